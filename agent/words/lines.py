"""The lines of a night: what is told, laid out for a screen of some width.

A night tells whole sentences, which a ledger or a log can keep as they are; a sentence may carry
the facts behind it, and then a screen shows a row of those.
"""

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from agent.words.said import printable
from agent.words.signs import in_ascii

Level = Literal["always", "usual", "verbose"]  # told to whom asks for quiet; by default; for all

NARROW = 60  # below it a row goes without seconds and wide gaps
LEAST = 28  # columns; a terminal that says less is not believed
PLAIN = 80  # columns where nothing tells how many there are
RULE = "─"
LONGEST_REASON = 70  # letters of a reason that a screen has room for


@dataclass(frozen=True, slots=True)
class Row:
    """One run on one line: what became of it, and what was changed."""

    label: str
    bpb: float | None
    verdict: str
    what: str = ""
    is_whole: bool = False  # what is told is not cut, but goes on below


class Told(str):
    """A sentence, the facts a screen may show in its place, and who wants to hear it.

    row     shown instead of the sentence, unless all is wanted
    below   lines under it, or under the clock where there is no row
    is_apart   whether an empty line goes before and after, so that the eye finds it again
    """

    __slots__ = ("below", "is_apart", "level", "row")
    row: Row | None
    below: tuple[str, ...]
    level: Level
    is_apart: bool

    def __new__(cls, text: str, *, level: Level = "usual", row: Row | None = None,
                below: Sequence[str] = (), is_apart: bool = False) -> Self:
        told = super().__new__(cls, text)
        told.row, told.below, told.level, told.is_apart = row, tuple(below), level, is_apart
        return told


@dataclass(frozen=True, slots=True)
class Page:
    """What lines are laid out for."""

    width: int = PLAIN
    level: Level = "usual"  # the least that is shown: always is quiet, verbose is all
    is_ascii: bool = False  # no sign but those of ASCII can be shown


def laid_out(message: str, clock: str, page: Page) -> list[str]:
    """The lines of a message, none longer than the page; none at all where it is not wanted.

    clock  HH:MM:SS; only a word that is longer than a line, such as a path, may stand out
    """
    told = message if isinstance(message, Told) else Told(message)
    if (page.level == "always" and told.level != "always") or (
            page.level == "usual" and told.level == "verbose"):
        return []
    width = max(LEAST, page.width)
    indent = " " * len(_stamp(clock, width))
    is_whole = page.level == "verbose" or not (told.row or told.below)
    if is_whole:
        lines = _sentences(_shown(told, page), _stamp(clock, width), width)
    elif told.row:
        lines = _row(told.row, clock, page, width, told.is_apart)
        for line in told.below:
            lines += _wrapped(_shown(line, page), indent, indent, width)
    else:  # a window that is narrow takes two lines for one; what is longer is cut
        starts = [_stamp(clock, width), *[indent] * (len(told.below) - 1)]
        lines = [part for start, line in zip(starts, told.below, strict=True)
                 for part in _two(_shown(line, page), start, indent, width, page.is_ascii)]
    return ["", *lines, ""] if told.is_apart else lines


def cut_at_word(text: str, width: int, is_ascii: bool = False) -> str:
    """Text in at most so many columns, its end marked where words are missing; no word is cut, but
    a first one that alone is longer, and no number stands last without what it counts.
    """
    if cells(text) <= width:
        return text
    mark = "..." if is_ascii else "…"
    n = _n_fitting(text, width - len(mark))
    head = text[: n + 1].rpartition(" ")[0].rstrip(" ,;:(→+")
    before, _, last = head.rpartition(" ")
    if last.isdecimal():  # without what it counts it would say something else
        head = before.rstrip(" ,;:(→+")
    head = head or text[:n]
    return (head + mark)[: max(0, width)]


def cut_list(text: str, width: int, is_ascii: bool = False) -> str:
    """A list with commas in at most so many columns: whole items where one fits, else words."""
    if cells(text) <= width:
        return text
    if cells(text) != len(text):  # letters that are no column each
        return cut_at_word(text, width, is_ascii)
    mark = "..." if is_ascii else "…"
    whole = text[: max(0, width - len(mark) + 1)].rpartition(", ")[0]
    return f"{whole}, {mark}" if whole and len(whole) + 2 + len(mark) <= width else cut_at_word(
        text, width, is_ascii)


def first_clause(text: str, longest: int = LONGEST_REASON) -> str:
    """A reason without its remedy and its particulars: up to a semicolon, or else a colon."""
    found = text.partition("; ")[0]
    return found if len(found) <= longest else found.partition(": ")[0]


def wrapped(text: str, width: int, n_lines: int | None = None) -> list[str]:
    """Text broken at words; of more than n_lines the last one says that more follows."""
    width = max(1, width)
    lines = (textwrap.wrap(text, width, break_on_hyphens=False) if text.isascii()
             else _wrapped_by_cells(text, width))
    if n_lines is None or len(lines) <= n_lines:
        return lines
    return [*lines[: n_lines - 1], cut_at_word(" ".join(lines[n_lines - 1:]), width)]


def fitted(text: str, width: int, later: str = "") -> str:
    """Text whose every line is broken at words and keeps its indent, and later before what goes
    on; a word that alone is longer, such as a path, stays whole.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip(" "))]
        fits = cells(line) <= width or not line.strip()
        if fits or cells(line) == len(line):
            lines += [line] if fits else _wrapped(line, "", indent + later, max(1, width))
        else:  # letters of two columns, or of none
            begun, *more = _wrapped_by_cells(line, max(1, width - len(indent + later)))
            lines += [indent + begun, *(indent + later + one for one in more)]
    return "\n".join(lines)


def cells(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese letters take two, accents none."""
    return len(text) if text.isascii() else sum(map(_cell, text))


def _cell(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _n_fitting(text: str, width: int) -> int:
    """How many letters fit."""
    used = 0
    for n, letter in enumerate(text):
        used += _cell(letter)
        if used > width:
            return n
    return len(text)


def _wrapped_by_cells(text: str, width: int) -> list[str]:
    """As textwrap does it; a script without spaces is broken between its letters."""
    lines, rest = [], text.strip()
    while rest:
        n = _n_fitting(rest, width) or 1
        if n < len(rest):
            at = rest[: n + 1].rfind(" ")
            n = at if at > n // 2 else n
        lines.append(rest[:n].rstrip())
        rest = rest[n:].lstrip()
    return lines


def _shown(text: str, page: Page) -> str:
    found = printable(str(text))
    return in_ascii(found) if page.is_ascii else found


def _stamp(clock: str, width: int) -> str:
    return f"{clock}  " if width >= NARROW else f"{clock[:5]} "


def _row(row: Row, clock: str, page: Page, width: int, is_ruled: bool) -> list[str]:
    """14:38:24  E3   1.035  kept       batch 16 → 4, learning rate 3e-3 → 1.5e-3"""
    gap = "  " if width >= NARROW else " "
    score = "-" if row.bpb is None else f"{row.bpb:.3f}"
    start = (f"{_stamp(clock, width)}{row.label:<4} {score:>5}{gap}"
             f"{row.verdict:<{len('discarded')}}{gap}")
    room = width - len(start)
    if is_ruled:
        rule = "-" if page.is_ascii else RULE
        return [(start + rule * room).rstrip()]
    what = _shown(" ".join(row.what.split()), page)
    if row.is_whole:
        return _wrapped(what, start, " " * len(_stamp(clock, width)), width)
    return [(start + (cut_list(what, room, page.is_ascii) if room > 0 else "")).rstrip()]


def _sentences(text: str, start: str, width: int) -> list[str]:
    """Lines as they came, such as a traceback's, each broken at words."""
    lines: list[str] = []
    indent = " " * len(start)
    for line in text.splitlines() or [""]:
        lines += _wrapped(line, start if not lines else indent, indent, width)
    return lines


def _two(text: str, first: str, later: str, width: int, is_ascii: bool) -> list[str]:
    """Text in two lines at most, its end cut where it is longer."""
    lines = _wrapped(text, first, later, width)
    if len(lines) < 3:  # letters of two columns each, or a long word, may stand out
        return [cut_at_word(line, width, is_ascii) for line in lines]
    rest = " ".join(line.strip() for line in lines[1:])
    return [lines[0], later + cut_at_word(rest, width - len(later), is_ascii)]


def _wrapped(text: str, first: str, later: str, width: int) -> list[str]:
    blank = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text.strip(), width, initial_indent=first + blank,
                         subsequent_indent=later + blank, break_long_words=False,
                         break_on_hyphens=False) or [first.rstrip()]
