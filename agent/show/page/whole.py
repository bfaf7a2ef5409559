"""Findings as a report: which sections there are, and in which order they are read."""

from agent import words
from agent.analysis import Findings
from agent.show.page import course, machine, said, search, table
from agent.show.page.blocks import Report

SECTIONS = (course.best_so_far, table.winner, search.chain, search.importance, search.slices,
            course.curves, search.strategies, search.grid, machine.machine, table.table)


def report_of(found: Findings) -> Report:
    """All of it; a section of which nothing is known is left out."""
    headline = said.headline(found)
    return Report(
        title=headline, eyebrow=said.eyebrow(found), headline=headline, lede=said.lede(found),
        facts=said.facts(found),
        sections=[section for of in SECTIONS if (section := of(found)) is not None],
        foot=_foot(found))


def _foot(found: Findings) -> str:
    others = [number for number in found.studies if number != found.study]
    more = "".join(f" `agent report --study {number}` shows study {number}."
                   for number in others[:5])
    return (f"Made by phi-auto from its ledger, {words.clock(found.at)}. Bits a byte of held-out "
            f"text, less is better; intervals are of 95 %.{more}")
