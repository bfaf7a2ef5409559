"""Findings as a report: which sections there are, and in which order they are read."""

import dataclasses
from typing import Any, TypeVar

from agent import words
from agent.analysis import Findings
from agent.show.page import course, harvest, improved, machine, said, search, table
from agent.show.page.blocks import Report

SECTIONS = (course.best_so_far, table.winner, harvest.harvest, improved.rounds, search.chain,
            search.importance, search.slices, course.curves, search.strategies, search.grid,
            machine.machine, table.table)

# Names in sentences, with how many letters a sentence bears; what this program names is shorter.
NAMES = {"label": 24, "against": 24, "first": 24, "last": 24, "strategy": 32, "text": 60}

T = TypeVar("T")


def report_of(found: Findings) -> Report:
    """All of it; a section of which nothing is known is left out."""
    found = shortened(found)
    headline = said.headline(found)
    return Report(
        title=headline, eyebrow=said.eyebrow(found), headline=headline, lede=said.lede(found),
        facts=said.facts(found),
        sections=[section for of in SECTIONS if (section := of(found)) is not None],
        foot=_foot(found))


def shortened(value: T) -> T:
    """Findings with every name in them cut to what a sentence bears; a person may have made it."""
    new: Any = value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        old = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        parts = {name: _short(part, NAMES[name]) if isinstance(part, str) and name in NAMES
                 else shortened(part) for name, part in old.items()}
        changed = {name: part for name, part in parts.items() if part is not old[name]}
        new = dataclasses.replace(value, **changed) if changed else value
    elif isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
        parts_of = [shortened(part) for part in value]
        is_same = all(a is b for a, b in zip(parts_of, value, strict=True))
        new = value if is_same else parts_of
    found: T = new
    return found


def _short(name: str, most: int) -> str:
    """A name on one line; itself where nothing has to go."""
    line = words.cut(" ".join(name[:4 * most].split()), most)
    return name if line == name else line


def _foot(found: Findings) -> str:
    others = [number for number in found.studies if number != found.study]
    more = "".join(f" `agent report --study {number}` shows study {number}."
                   for number in others[:5])
    return (f"Made by phi-auto from its ledger, {words.clock(found.at)}. Bits a byte of held-out "
            f"text, less is better; intervals are of 95 %.{more}")
