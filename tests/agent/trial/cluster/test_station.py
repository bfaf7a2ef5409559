"""A machine's station: what it takes in, what it gives back, and whom it ends by itself."""

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from agent.home import Home, RunFolder
from agent.machine import Limits, Readings, Sensors, parse_window
from agent.machine.guard import Reading
from agent.trial.cluster.options import Options
from agent.trial.cluster.parcel import Digests, pack
from agent.trial.cluster.station import LEASE_S, Station, Unknown
from agent.trial.cluster.store import Store
from agent.trial.job import Job
from engine.errors import UserError
from tests.support.parts import TINY, FakeProcess, FakeSpawn, FakeTime


class Silent(Sensors):
    """Sensors of a machine that tells nothing, at once."""

    is_settled = True

    def __init__(self) -> None:
        pass

    def poll(self, now_s: float) -> Readings:
        return Readings()

    def close(self) -> None:
        pass


class Stage:
    """A home with one run, and a machine."""

    def __init__(self, root: Path, **limits: Any) -> None:
        self.time, self.spawn = FakeTime(), FakeSpawn()
        self.reading = Reading(50.0, 8000.0)
        self.folder = a_run_at_home(root / "home")
        self.parcel = pack(self.folder, Digests())
        self.store = Store(root / "files")
        self.station = Station(
            root / "trials", self.store, 2, Options(Limits(**limits), 100.0),
            clock=self.time.clock(), spawn=self.spawn, read=lambda pid: self.reading,
            sensors=Silent())
        self.station.tick()

    def begin(self, attempt: str = "E1-a") -> FakeProcess:
        missing = self.station.open(attempt, self.parcel.values())
        digests = Digests()
        pack(self.folder, digests)
        for sha256 in missing:
            self.station.put(attempt, sha256, 0, digests.paths[sha256].read_bytes())
        self.station.begin(attempt)
        return self.spawn.processes[-1]

    def there(self, attempt: str = "E1-a") -> RunFolder:
        return self.station.trials[attempt].folder


def a_run_at_home(root: Path) -> RunFolder:
    """A home with the texts of one run, whose job is written."""
    home = Home(root)
    folder = home.run("uid1")
    folder.root.mkdir(parents=True)
    home.data.mkdir()
    for name in ("train", "valid", "tokenizer"):
        (home.data / name).write_bytes(name.encode() * 10)
    Job(config=TINY, seed=1, budget_tokens=1000, train_tokens=str(home.data / "train"),
        valid_tokens=str(home.data / "valid"), n_valid_bytes=9,
        tokenizer=str(home.data / "tokenizer")).write(folder.job)
    return folder


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sent: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, number: sent.append(number))
    return sent


def test_a_run_is_laid_out_as_at_home_with_the_machines_own_files(stage: Stage) -> None:
    (stage.folder.root / "checkpoint.npz").write_bytes(b"saved")
    stage.parcel = pack(stage.folder, Digests())
    stage.begin()
    job = Job.read(stage.there().job)
    at_home = Job.read(stage.folder.job)
    assert (job.config, job.seed, job.budget_tokens) == (at_home.config, 1, 1000)
    for name in ("train_tokens", "valid_tokens", "tokenizer"):
        there, here = Path(getattr(job, name)), Path(getattr(at_home, name))
        assert there.read_bytes() == here.read_bytes()
        assert there.parent == stage.store.root
    assert stage.there().checkpoint.read_bytes() == b"saved"


def test_files_travel_once_a_machine(stage: Stage) -> None:
    assert len(stage.station.open("E1-a", stage.parcel.values())) == 3
    stage.begin()
    assert stage.station.open("E1-b", stage.parcel.values()) == []


def test_a_machine_takes_no_more_than_it_has_room_for(stage: Stage) -> None:
    stage.begin("E1-a")
    stage.begin("E1-b")
    with pytest.raises(UserError, match="computes 2 trials already"):
        stage.station.open("E1-c", stage.parcel.values())


def test_an_attempt_is_begun_once(stage: Stage) -> None:
    stage.begin()
    with pytest.raises(Unknown):
        stage.station.begin("E1-a")
    with pytest.raises(Unknown):
        stage.station.begin("E1-of-another-life")
    assert len(stage.spawn.processes) == 1


def test_whole_lines_come_back_and_files_by_pieces_with_their_hash(stage: Stage) -> None:
    process = stage.begin()
    stage.there().events.write_bytes(b'{"kind": "start"}\n{"ki')
    told = stage.station.look("E1-a", 0)
    assert told["events"] == b'{"kind": "start"}\n'
    assert told["status"] is None
    stage.there().checkpoint.write_bytes(b"state")
    process.status = 0
    assert stage.station.look("E1-a", 18)["status"] == 0
    assert "checkpoint.npz" in stage.station.look("E1-a", 18)["files"]
    assert stage.station.fetch("E1-a", "checkpoint.npz", 0) == (
        b"state", hashlib.sha256(b"state").hexdigest())
    stage.station.release("E1-a")
    assert stage.station.trials == {}
    assert list(stage.station.root.iterdir()) == []


@pytest.mark.parametrize("name", ["job.json", "../../uid1/job.json", "/etc/passwd"])
def test_nothing_else_comes_back(stage: Stage, name: str) -> None:
    stage.begin()
    with pytest.raises(UserError, match="no file that comes back"):
        stage.station.fetch("E1-a", name, 0)


def test_a_home_that_is_not_heard_of_has_gone_on_without_it(stage: Stage) -> None:
    process = stage.begin()
    stage.time.now_s += LEASE_S + 1
    stage.station.tick()
    with pytest.raises(Unknown):  # what computes is ended, and it is never listened to again
        stage.station.look("E1-a", 0)
    process.status = 75
    stage.station.tick()
    assert stage.station.trials == {}


def test_the_machines_own_hours_end_what_runs_and_refuse_what_is_new(
        tmp_path: Path, signals: list[int]) -> None:
    stage = Stage(tmp_path, window=parse_window("11:00-13:00"))
    stage.begin()
    assert stage.station.told()["is_go"]
    stage.time.minutes = 14 * 60
    stage.station.tick()
    stage.station.tick()
    assert signal.SIGTERM in signals  # it saves, and its home fetches that
    assert not stage.station.told()["is_go"]
    with pytest.raises(UserError, match="this machine waits"):
        stage.station.open("E2-a", stage.parcel.values())


def test_a_run_over_the_machines_memory_is_ended_and_says_so(stage: Stage) -> None:
    stage.begin()
    stage.reading = Reading(150.0, 8000.0)
    stage.station.tick()
    assert stage.station.trials["E1-a"].ending is not None
    assert "over --max-ram 100 MB" in stage.there().output.read_text()


def test_a_machine_short_of_memory_has_its_runs_saved(stage: Stage, signals: list[int]) -> None:
    stage.begin()
    stage.reading = Reading(50.0, 100.0)
    stage.station.tick()
    assert signals == [signal.SIGTERM]


def test_a_run_that_no_home_sends_is_refused(stage: Stage) -> None:
    values = stage.parcel.values()
    for spoilt in (values | {"uid": "../x"}, values | {"files": {"/etc/x": "0"}}, {"uid": "a"}):
        with pytest.raises(UserError, match="no run that a home of this version sends"):
            stage.station.open("E1-a", spoilt)


def test_a_machine_that_its_homes_daemon_watches_asks_no_sensors(tmp_path: Path) -> None:
    stage = Stage(tmp_path, window=parse_window("01:00-02:00"))
    assert not stage.station.word().is_go
    other = Station(tmp_path / "other", stage.store, 1, Options(
        Limits(window=parse_window("01:00-02:00")), is_watched=False), clock=stage.time.clock(),
        sensors=Silent())
    other.tick()
    assert other.word().is_go
