"""A night holds where the machine asks for it, and goes on where it stopped asking."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.machine.conditions import Guard, Limits, parse_window
from agent.machine.guard import Reading
from agent.machine.sensors import Readings
from agent.night.night import Night
from agent.night.watch import Watch
from agent.search.campaign import Plan
from agent.trial.job import STOPPED
from agent.trial.runner import Runner
from tests.support.parts import NOW, FakeProcess, FakeSpawn, FakeTime, Listener, a_folder, a_run

COOL = Readings(80.0, False, 30.0, None, 9000.0)


@dataclass
class FakeSensors:
    """Sensors that say what the test says."""

    readings: Readings = COOL
    is_settled: bool = True
    n_polls: int = field(default=0)

    def poll(self, now_s: float) -> Readings:
        self.n_polls += 1
        return self.readings

    def close(self) -> None:
        self.is_settled = False


class Stage:
    """A night with one queued run and a machine that may object."""

    def __init__(self, root: Path, ledger: Ledger, limits: Limits, *, warns: bool = False) -> None:
        self.ledger, self.time, self.spawn = ledger, FakeTime(), FakeSpawn()
        self.sensors, self.listener = FakeSensors(), Listener()
        home, clock = Home(root), self.time.clock()
        self.watch = Watch(self.sensors, Guard(limits), clock, warns)  # type: ignore[arg-type]
        runner = Runner(ledger, home, clock, 3000.0, spawn=self.spawn,
                        read=lambda pid: Reading(50.0, 8000.0))
        self.night = Night(runner, Plan(3000.0), observer=self.listener, watch=self.watch,
                           read_free_mb=lambda: 8000.0,
                           prepare=lambda vocab_size: None)  # type: ignore[arg-type,return-value]
        self.night._tokens_of = lambda run: None  # type: ignore[assignment,method-assign]
        a_folder(home, a_run(ledger))

    def tick(self, readings: Readings | None = None) -> str:
        """The state of the one run after a tick."""
        self.sensors.readings = readings or self.sensors.readings
        self.night.tick()
        return self.ledger.runs()[0].state

    def told(self) -> list[str]:
        return [event.message for event in reversed(self.ledger.events(50))
                if event.kind == "guard"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_a_hot_battery_stops_the_run_at_a_checkpoint_until_it_has_cooled(
        tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("os.killpg", lambda pid, number: asked.append(pid))
    stage = Stage(tmp_path, ledger, Limits())
    assert stage.tick() == "running"
    hot, warm = (Readings(80.0, False, c, None, 9000.0) for c in (41.5, 38.0))
    assert stage.tick(hot) == "running"
    assert asked == [stage.spawn.processes[0].pid]  # it saves, then frees its memory
    stage.spawn.processes[0].status = STOPPED
    assert stage.tick() == "queued"
    for _ in range(3):
        assert stage.tick(warm) == "queued"  # under the limit, but not yet cool
    assert stage.tick(COOL) == "running"
    assert stage.told() == [
        "waits: battery at 41.5 °C, and the limit is 40 °C; goes on at 37 °C",
        "goes on: battery 80 % and not charging, 30.0 °C; 9,000 MB of disk free"]
    (event, *_) = (e for e in ledger.events(50) if e.kind == "guard" and "waits" in e.message)
    assert event.data is not None
    assert event.data["battery_c"] == 41.5


def test_nothing_starts_before_the_sensors_have_spoken(tmp_path: Path, ledger: Ledger) -> None:
    stage = Stage(tmp_path, ledger, Limits())
    stage.sensors.is_settled = False
    assert stage.tick() == "queued"
    stage.sensors.is_settled = True
    assert stage.tick() == "running"


def test_a_night_works_in_its_window_only(tmp_path: Path, ledger: Ledger) -> None:
    stage = Stage(tmp_path, ledger, Limits(window=parse_window("22:00-07:00")))
    stage.time.minutes = 21 * 60 + 59
    assert stage.tick() == "queued"
    stage.time.minutes = 22 * 60
    assert stage.tick() == "running"
    assert stage.told()[0] == ("waits: it is 21:59, outside --window 22:00-07:00; goes on at 22:00")


def test_silent_sensors_are_told_once_and_stop_nothing(tmp_path: Path, ledger: Ledger) -> None:
    stage = Stage(tmp_path, ledger, Limits(), warns=True)
    silent = Readings()
    assert stage.tick(silent) == "running"
    stage.tick(silent)
    assert [message.partition(":")[0] for message in stage.told()] == [
        "the battery's charge cannot be read", "no temperature can be read",
        "free disk cannot be read"]


def test_an_adopted_worker_goes_on_until_the_sensors_have_spoken(
        tmp_path: Path, ledger: Ledger) -> None:
    stage = Stage(tmp_path, ledger, Limits())
    stage.sensors.is_settled = False
    run = ledger.claim(NOW)
    assert run is not None
    stage.night.runner.adopt(run, FakeProcess())
    for _ in range(3):
        assert stage.tick() == "running"
    assert stage.night.runner.trial is not None
    assert stage.night.runner.trial.asked_at_s is None
