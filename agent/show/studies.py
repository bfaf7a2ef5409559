"""The studies as a list: two lines each, no line longer than the terminal."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import words
from agent.analysis import StudyFacts

GAP = "  "
MOST_TEXT = 20  # letters of a text's name


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head and its cell; the rank says which goes first."""

    title: str
    cell: Callable[[StudyFacts], str]
    rank: int  # the highest is dropped first where the terminal is narrow
    is_text: bool = False


_COLUMNS = (
    Column("study", lambda one: f"{'→ ' if one.is_last else ''}{one.study}", 0),
    Column("text", lambda one: words.cut(one.text, MOST_TEXT), 0, is_text=True),
    Column("tokens", lambda one: words.count(one.budget_tokens), 1),
    Column("runs", lambda one: words.count(one.n_runs), 2),
    Column("confirmed", lambda one: words.UNKNOWN if one.confirmed_bpb is None
           else f"{one.confirmed_bpb:+.4f}", 3),
    Column("head", lambda one: one.head or words.UNKNOWN, 4, is_text=True),
    Column("last used", lambda one: words.clock(one.last_used_at).removesuffix(" UTC"), 5,
           is_text=True),
)


def study_list(studies: Sequence[StudyFacts], width: int) -> str:
    """A line of facts for each study and one of its start, then how to read them."""
    if not studies:
        return "no studies yet; `agent run --for 4m` begins one"
    columns = list(_COLUMNS)
    while len(_row(columns, studies)[0]) > width and max(one.rank for one in columns):
        columns.remove(max(columns, key=lambda column: column.rank))
    head, *rows = _row(columns, studies)
    lines = [head]
    indent = " " * (len(_cells(_COLUMNS[0], studies)[0]) + len(GAP))
    for row, one in zip(rows, studies, strict=True):
        lines += [row, *_wrapped(f"from {one.start}", width, indent)]
    return "\n".join([*(words.cut(line, width) for line in lines), "", *_reading(studies, width)])


def _row(columns: Sequence[Column], studies: Sequence[StudyFacts]) -> list[str]:
    blocks = [_cells(column, studies) for column in columns]
    return [GAP.join(cells).rstrip() for cells in zip(*blocks, strict=True)]


def _cells(column: Column, studies: Sequence[StudyFacts]) -> list[str]:
    """Head and cells of a column, all of one width."""
    cells = [column.title, *(column.cell(one) for one in studies)]
    width = max(map(len, cells))
    return [cell.ljust(width) if column.is_text else cell.rjust(width) for cell in cells]


def _reading(studies: Sequence[StudyFacts], width: int) -> list[str]:
    last = next((one.study for one in studies if one.is_last), None)
    return _wrapped("confirmed: bits/byte gained on fresh seeds; times are UTC. `agent run` goes "
                    f"on with study {last}, marked →; `agent run --study N` with another.",
                    width, "")


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent,
                         break_on_hyphens=False)
