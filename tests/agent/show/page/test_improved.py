"""Rounds of `agent improve` on a report."""

import dataclasses
from typing import Any

from agent.analysis import Improved
from agent.analysis.findings import Findings
from agent.show.page import html, improved, whole
from agent.show.page.blocks import Figure
from agent.show.page.marks import ORANGE, QUIET
from agent.show.page.ranked import Rows


def measure(name: str, step: int, value: float, low: float | None = None,
            high: float | None = None) -> dict[str, Any]:
    return {"name": name, "step": step, "value": value, "low": low, "high": high, "n": 90}


def test_a_round_is_a_row_in_colour_where_it_is_better_beyond_the_noise(record: Findings) -> None:
    assert improved.rounds(record) is None
    first, second = (Improved(label=label, measures=[
        measure("right of 2 digits", 0, 0.15, 0.1, 0.2),
        measure("right of 2 digits", 90, after, after - 0.1, after + 0.1),
        measure("right of 2 digits change", 90, after - 0.15, after - 0.2, after - 0.05),
        measure("loss on the text", 90, 2.0)]) for label, after in (("I1", 0.18), ("I2", 0.42)))
    found = dataclasses.replace(record, improved=[first, second])
    section = improved.rounds(found)
    assert section is not None
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    assert figure.finding.startswith("2 rounds of `agent improve`")
    (picture,) = figure.pictures
    assert isinstance(picture, Rows)
    assert picture.title == "right of 2 digits"
    assert [(row.lead, row.name, row.told, row.kind) for row in picture.rows] == [
        ("I1", "0.15 before", "0.18", QUIET), ("I2", "0.15 before", "0.42", ORANGE)]
    page = html.page(whole.report_of(found))
    assert "Going on from a model" in page
