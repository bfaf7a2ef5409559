"""Foreign text on its way into a page: nothing in it acts, nothing in it is too long."""

import html
import re

from agent import words

MOST = 200  # letters of any one text, unless a place has room for more
# Letters written from right to left, and what stands between them: they turn what is around them.
TURNED = ("\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff"
          "\U0001e800-\U0001efff")
_TURNED = re.compile(f"[{TURNED}]+(?:[^A-Za-z<>{TURNED}]*[{TURNED}]+)*")
ISOLATE, END = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def text(value: object, most: int = MOST) -> str:
    """Escaped for HTML and SVG, as text or in a quoted attribute; what cannot be shown is marked.

    Control characters, lone surrogates and marks that turn the direction of writing become the
    replacement character: HTML forbids the first two, the last could reorder a page.
    """
    return html.escape(words.printable(words.cut(str(value), most)), quote=True)


def line(value: object, most: int = MOST) -> str:
    """The same on one line."""
    return text(" ".join(str(value)[:4 * most].split()), most)


def bdi(value: object, most: int = MOST) -> str:
    """One line of foreign text in HTML, whose direction does not touch what stands around it."""
    return f"<bdi>{line(value, most)}</bdi>"


def isolated(value: object, most: int = MOST) -> str:
    """One line of foreign text where no element can stand, as in SVG: set off by signs."""
    return apart(line(value, most), ISOLATE, END)


def turns(told: str) -> bool:
    """Whether it has letters that are written from right to left."""
    return _TURNED.search(told) is not None


def apart(told: str, begin: str, end: str) -> str:
    """Escaped text with whatever is written from right to left between two signs."""
    return _TURNED.sub(lambda found: f"{begin}{found[0]}{end}", told)
