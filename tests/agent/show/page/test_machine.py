"""The machine as pictures: runs, readings, and what the guard did."""

import dataclasses

from agent.analysis.findings import Findings
from agent.analysis.machine_course import GuardWord, MachineCourse
from agent.show.page import machine
from agent.show.page.blocks import Figure, Finding, Items


def spoken(hours: float, message: str = "hot", **read: float) -> GuardWord:
    return GuardWord(hours=hours, at="2026-03-24T22:00:00Z", label="E1", message=message,
                     **{"battery_pct": None, "heat_c": None, "free_mb": None} | read)


def figures(found: Findings) -> dict[str, Figure]:
    section = machine.machine(found)
    assert section is not None
    return {block.name: block for block in section.blocks if isinstance(block, Figure)}


def test_speed_and_memory_of_the_published_runs(record: Findings) -> None:
    found = figures(record)
    assert set(found) == {"speed", "memory"}
    assert found["speed"].finding.startswith("11,769 tokens a second in the middle on AMD EPYC")
    assert found["memory"].finding == "At most 254 MB of memory in a run."


def test_battery_and_heat_are_drawn_where_they_were_read(record: Findings) -> None:
    words = [spoken(0.1, battery_pct=80.0, heat_c=30.0), spoken(0.4, battery_pct=40.0, heat_c=41.5)]
    course = dataclasses.replace(record.machine, words=words, n_words=2)
    found = figures(dataclasses.replace(record, machine=course))
    assert found["battery"].finding == "At least 40 %. At most 41.5 °C."
    assert len(found["battery"].pictures) == 2


def test_the_guards_newest_words_are_told_and_counted(record: Findings) -> None:
    course = MachineCourse(devices=[], loads=[], n_words=20, words=[
        spoken(i / 10, f"word {i}") for i in range(20)])
    section = machine.machine(dataclasses.replace(record, machine=course))
    assert section is not None
    counted, told = section.blocks
    assert isinstance(counted, Finding)
    assert isinstance(told, Items)
    assert counted.finding == "The guard spoke 20 times."
    assert told.lines[0] == "2026-03-24 22:00 UTC  E1: word 19"
    assert len(told.lines) == machine.MOST_WORDS


def test_an_empty_ledger_has_no_machine(empty: Findings) -> None:
    assert machine.machine(empty) is None
