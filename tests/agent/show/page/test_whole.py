"""Which sections a report has, and how names are cut for it."""

import dataclasses

from agent.analysis.findings import Findings
from agent.show.page.whole import report_of, shortened


def test_sections_come_in_the_order_of_reading_and_unknown_ones_are_left_out(
        record: Findings, night: Findings, empty: Findings) -> None:
    assert [one.name for one in report_of(record).sections] == [
        "course", "winner", "chain", "importance", "slices", "curves", "strategies", "grid",
        "machine", "runs"]
    assert "grid" not in [one.name for one in report_of(night).sections]
    assert report_of(empty).sections == []


def test_the_other_studies_are_named_with_their_command(record: Findings) -> None:
    foot = report_of(dataclasses.replace(record, studies=[1, 2])).foot
    assert "`agent report --study 2` shows study 2." in foot


def test_names_are_cut_wherever_they_stand_and_nothing_else_is_touched(
        record: Findings, spoilt: Findings) -> None:
    assert shortened(record) is record
    short = shortened(spoilt)
    assert max(len(row.label) for row in short.table) == 24
    assert short.winner is not None
    assert len(short.winner.label) == 24
    assert len(spoilt.table[0].label) > 10_000
