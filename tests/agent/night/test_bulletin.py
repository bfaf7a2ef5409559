"""The guard's present word: what it says, when it is left, and how it is read again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.machine import present
from agent.machine.conditions import Limits
from agent.machine.guard import Reading
from agent.machine.present import Present
from agent.machine.sensors import Readings
from agent.night import bulletin
from agent.night.bulletin import EVERY_S, SOONEST_S, Bulletin, of_night
from engine.errors import StorageError
from tests.agent.night.test_watch import COOL, Stage

HOT = Readings(80.0, False, 41.5, None, 9000.0, 900.0, 12.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def stage(tmp_path: Path, ledger: Ledger) -> Stage:
    return Stage(tmp_path, ledger, Limits())


def test_while_all_is_well_it_says_go_with_the_readings(stage: Stage) -> None:
    stage.tick()
    stage.tick()
    found = of_night(stage.night)
    assert (found.word, found.cause, found.reason) == ("go", "", "nothing is in the way")
    assert found.told == ("battery 80 % and not charging, 30.0 °C; 9,000 MB of disk free; the run "
                          "takes 50 MB, 8,000 MB free, unknown MB of swap free")
    assert (found.readings["battery_c"], found.readings["group_mb"]) == (30.0, 50.0)


def test_it_waits_for_the_reason_of_the_machine(stage: Stage) -> None:
    stage.tick(HOT)
    found = of_night(stage.night)
    assert (found.word, found.cause) == ("waits", "heat")
    assert found.reason == "battery at 41.5 °C, and the limit is 40 °C; goes on at 37 °C"
    assert found.readings["battery_age_s"] == 12.0


def test_before_the_sensors_have_answered_it_says_so(stage: Stage) -> None:
    stage.sensors.is_settled = False
    stage.tick()
    found = of_night(stage.night)
    assert (found.word, found.reason, found.told) == (
        "waits", "the sensors have not answered yet", "")


def test_it_tells_of_a_run_that_waits_for_memory(stage: Stage) -> None:
    stage.night.read_free_mb = lambda: 10.0
    stage.tick()
    found = of_night(stage.night)
    assert (found.word, found.cause) == ("waits", "memory")
    assert "10 MB free" in found.told
    assert "the next run needs" in found.told


def test_it_tells_why_the_memory_guard_ends_a_run(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.killpg", lambda pid, number: None)
    stage.tick()
    stage.night.runner._read = lambda pid: Reading(50.0, 150.0)
    stage.tick()
    found = of_night(stage.night)
    assert (found.word, found.reason) == (
        "waits", "the machine has 150 MB free, under the reserve of 200 MB")


# --- when ------------------------------------------------------------------------------------


class Board:
    """A bulletin and what it has left."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage, self.left = stage, list[Present]()
        monkeypatch.setattr(present, "write", lambda path, found: self.left.append(found))
        self.bulletin = Bulletin(stage.night.home.guard, stage.time.clock())

    def after(self, seconds: float, readings: Readings) -> int:
        """How often it was left, this time included."""
        self.stage.time.now_s += seconds
        self.stage.sensors.readings = readings
        self.stage.watch.look()
        self.bulletin.post(self.stage.night)
        return len(self.left)


def test_a_changed_word_is_left_at_once_and_a_reading_after_5_s(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(stage, monkeypatch)
    assert board.after(0.0, COOL) == 1
    assert board.after(0.5, replace(COOL, battery_c=35.0)) == 1
    assert board.after(SOONEST_S - 0.5, replace(COOL, battery_c=35.0)) == 2
    assert board.after(0.5, HOT) == 3
    assert [found.word for found in board.left] == ["go", "go", "waits"]


def test_what_hardly_moved_waits_for_its_minute(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(stage, monkeypatch)
    assert board.after(0.0, COOL) == 1
    assert board.after(EVERY_S - 1, replace(COOL, battery_percent=79.0, battery_age_s=30.0)) == 1
    assert board.after(1.0, replace(COOL, battery_percent=79.0)) == 2


def test_a_reading_that_is_gone_or_turned_is_news(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(stage, monkeypatch)
    board.after(0.0, COOL)
    assert board.after(SOONEST_S, replace(COOL, is_charging=True)) == 2
    assert board.after(SOONEST_S, replace(COOL, battery_c=None, is_charging=True)) == 3


def test_a_disk_that_takes_no_file_stops_nothing(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(stage, monkeypatch)

    def refuse(path: Path, found: Present) -> None:
        board.left.append(found)
        raise StorageError("cannot write")

    monkeypatch.setattr(bulletin.present, "write", refuse)
    assert board.after(0.0, COOL) == 1
    assert board.after(1.0, COOL) == 1  # nor is it tried at each tick


# --- the file --------------------------------------------------------------------------------

FOUND = Present(at="2026-11-20T10:00:00Z", word="go", cause="", reason="nothing is in the way",
                told="31.0 °C", readings={"battery_c": 31.0, "is_charging": None})


def test_what_was_left_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "guard.json"
    assert present.read(path) is None
    present.write(path, FOUND)
    assert present.read(path) == FOUND


GOOD: dict[str, Any] = {"at": "2026-11-20T10:00:00Z", "word": "go", "cause": "", "reason": "",
                        "told": "", "readings": {}}


@pytest.mark.parametrize("text", [
    "", "{half", "[]", "[" * 100_000, "{}", "\udcff", json.dumps(GOOD | {"word": "stop"}),
    json.dumps(GOOD | {"at": "soon"}), json.dumps(GOOD | {"at": "2026-11-20"}),
    json.dumps(GOOD | {"reason": 3}), json.dumps(GOOD | {"readings": []})])
def test_what_this_program_did_not_write_is_no_word(tmp_path: Path, text: str) -> None:
    path = tmp_path / "guard.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert present.read(path) is None


def test_readings_that_are_no_values_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"
    path.write_text(json.dumps(GOOD | {"readings": {
        "a": 1.5, "b": "x", "c": None, "d": float("inf"), "e": float("nan"), "f": True}}))
    found = present.read(path)
    assert found is not None
    assert found.readings == {"a": 1.5, "c": None, "f": True}
