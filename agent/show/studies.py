"""The studies as a list: two lines each, no line longer than the terminal."""

import textwrap
from collections.abc import Sequence

from agent import words
from agent.analysis import StudyFacts
from agent.show.columns import GAP, Column, fitting, rows

MOST_TEXT = 20  # letters of a text's name


_COLUMNS: tuple[Column[StudyFacts], ...] = (
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
    columns = fitting(_COLUMNS, lambda left: max(
        len(row.rstrip()) for row in rows(left, studies)) > width)
    head, *lines_of = (line.rstrip() for line in rows(columns, studies))
    lines = [head]
    indent = " " * (len(_COLUMNS[0].block(studies)[0]) + len(GAP))
    for row, one in zip(lines_of, studies, strict=True):
        lines += [row, *_wrapped(f"from {one.start}", width, indent)]
        if not one.is_of_home:
            lines += _wrapped(f"of another home ({one.device or 'its device is unknown'})", width,
                              indent)
        if one.is_withdrawn:
            lines += _wrapped(f"withdrawn: `agent run --study {one.study}` takes it up again",
                              width, indent)
    return "\n".join([*(words.cut(line, width) for line in lines), "", *_reading(studies, width)])


def _reading(studies: Sequence[StudyFacts], width: int) -> list[str]:
    last = next((one.study for one in studies if one.is_last), None)
    going_on = ("`agent run` begins a new one" if last is None else
                f"`agent run` goes on with study {last}, marked →")
    return _wrapped("runs: of the study, ended in all its nights; confirmed: bits/byte gained on "
                    f"fresh seeds; times are UTC. {going_on}; `agent run --study N` with another.",
                    width, "")


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent,
                         break_on_hyphens=False)
