"""Blocks in a window: all of them where they fit, else those that matter most, and what is missing.
"""

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

ENLARGE = "enlarge the window, or `agent status`"
JOINED = ("home", "night", "now", "search", "ideas")  # no empty line between two of these


def stacked(blocks: Mapping[str, RenderableType], *, is_tight: bool = False) -> RenderableType:
    """The blocks under each other, with an empty line where a new subject begins."""
    parts: list[RenderableType] = []
    before: str | None = None
    for name, block in blocks.items():
        if before is not None and not is_tight and not (before in JOINED and name in JOINED):
            parts.append(Text())
        parts.append(block)
        before = name
    return Group(*parts)


def fitted(forms: Sequence[Mapping[str, RenderableType]], order: Sequence[str], console: Console,
           height: int) -> RenderableType:
    """The longest form that fits the height; of the shortest one as much as fits, and a word on
    what is left out.

    forms   the same blocks, longer ones first
    order   which blocks go first where there is no room, the least important first
    """
    for blocks in forms:
        for is_tight in (False, True):
            page = stacked(blocks, is_tight=is_tight)
            if _height(page, console) <= height:
                return page
    left = dict(forms[-1])
    out: list[str] = []
    for name in (name for name in order if name in forms[-1]):
        if len(left) == 1 or _height(_with_word(left, out, console.width), console) <= height:
            break
        out.append(name)
        del left[name]
    # What was let go for a large block that went later may have room again.
    for name in reversed(out.copy()):
        again = {known: block for known, block in forms[-1].items() if known in {*left, name}}
        rest = [known for known in out if known != name]
        if _height(_with_word(again, rest, console.width), console) <= height:
            left, out = again, rest
    return _with_word(left, out, console.width)


def _with_word(blocks: Mapping[str, RenderableType], out: Sequence[str],
               width: int) -> RenderableType:
    """The blocks and a word on what is left out, by name where a line has room for that."""
    if not out:
        return stacked(blocks, is_tight=True)
    n = f"{len(out)} more block{'s' if len(out) > 1 else ''}"
    word = f"{n} ({', '.join(out)}): {ENLARGE}"
    return Group(stacked(blocks, is_tight=True),
                 Text(word if len(word) <= width else f"{n}: {ENLARGE}", style="dim"))


def _height(page: RenderableType, console: Console) -> int:
    return len(console.render_lines(page, console.options.update(height=None), pad=False))
