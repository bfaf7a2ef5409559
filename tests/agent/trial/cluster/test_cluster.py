"""A cluster as the runners of a night see it: who is chosen, on which class, and what is told."""

import signal
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest

from agent.home import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.trial import Measuring
from agent.trial.cluster.cluster import Cluster
from agent.trial.cluster.likeness import Likeness, class_name
from agent.trial.cluster.placement import Machine
from agent.trial.cluster.remote import Berth, Remote
from tests.agent.trial.cluster.test_likeness import OURS
from tests.agent.trial.cluster.test_placement import NOW, OTHER, a_machine
from tests.support.parts import a_folder, a_run, a_study


class FakeFleet:
    """Machines that stand still, and trials that nobody follows."""

    def __init__(self, home: Home, *machines: Machine) -> None:
        self.home = home
        self.machines = {one.address: one for one in machines}
        self.news: deque[str] = deque()
        self.ours: Likeness | None = OURS
        self.fault: str | None = None
        self.followed: list[tuple[Remote, bool]] = []
        self.dropped: list[str] = []

    def follow(self, remote: Remote, *, is_new: bool) -> None:
        self.followed.append((remote, is_new))
        self.machines[remote.berth.address].taken[remote.berth.attempt] = remote.predicted_mb

    def drop(self, address: str, attempt: str) -> None:
        self.dropped.append(attempt)


class Stage:
    def __init__(self, root: Path, *machines: Machine) -> None:
        self.said: list[str] = []
        self.ledger = Ledger.open(root / "ledger.db")
        self.fleet = FakeFleet(Home(root), *machines)
        self.cluster = self.again()

    def again(self) -> Cluster:
        """The cluster of a daemon that has just begun."""
        return Cluster(self.fleet, self.ledger, self.said.append, lambda: NOW)  # type: ignore[arg-type]


def test_a_run_goes_to_a_machine_and_its_folder_says_which(tmp_path: Path) -> None:
    stage = Stage(tmp_path, a_machine())
    with stage.ledger:
        run = a_run(stage.ledger)
        folder = a_folder(stage.fleet.home, run)
        assert stage.cluster.n_at_once == 2
        assert stage.cluster.may_start(run, 100.0).is_go
        process = stage.cluster.start(run, folder)
        berth = Berth.read(folder)
        assert berth is not None
        assert (berth.address, berth.likeness) == ("tcp://one:1", OURS)
        assert process.pid == 0
        assert stage.cluster.read(process) is None  # its machine watches its memory
        assert stage.cluster.where(process).device.endswith("class bbbbbb")


def test_where_no_machine_is_there_a_run_waits_unblamed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with stage.ledger:
        run = a_run(stage.ledger)
        word = stage.cluster.may_start(run, 100.0)
        assert (word.is_go, word.may_pass) == (False, True)
        stage.fleet.fault = "the scheduler does not answer"
        assert stage.cluster.may_start(run, 100.0).reason == "the scheduler does not answer"
        with pytest.raises(OSError, match="no machine"):
            stage.cluster.start(run, a_folder(stage.fleet.home, run))
        assert stage.cluster.n_at_once == 0


def test_a_new_daemon_finds_what_the_old_one_left_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path, a_machine())
    with stage.ledger:
        run = a_run(stage.ledger)
        folder = a_folder(stage.fleet.home, run)
        stage.cluster.start(run, folder)
        new = stage.again()
        stage.fleet.machines.clear()  # none has answered yet
        stage.fleet.machines["tcp://one:1"] = Machine("tcp://one:1", "one")
        assert new.find(run, folder) is not None
        assert stage.fleet.followed[-1][1] is False
        assert new.n_at_once == 1  # so that there is room for it
        new.end_left(run, folder, 0)
        assert stage.fleet.dropped == [stage.fleet.followed[-1][0].berth.attempt]
        assert stage.fleet.followed[-1][0].poll() == -signal.SIGKILL


def test_all_pairs_of_a_study_are_computed_on_the_class_of_its_noise(tmp_path: Path) -> None:
    stage = Stage(tmp_path, a_machine(capacity=1), a_machine("b", likeness=OTHER, capacity=3))
    with stage.ledger:
        baseline = replace(a_run(stage.ledger), strategy="baseline", calibration_id=1)
        stage.cluster.start(baseline, a_folder(stage.fleet.home, baseline))
        assert stage.fleet.followed[0][0].berth.likeness == OTHER  # where there is most room
        stage.fleet.machines["tcp://b:1"].told["is_go"] = False
        pair = replace(baseline, strategy="confirm")
        assert not stage.cluster.may_start(pair, 100.0).is_go
        idea = replace(baseline, strategy="llm")
        assert stage.cluster.may_start(idea, 100.0).is_go


def test_a_measurement_goes_where_the_study_s_pairs_go_and_says_on_what(tmp_path: Path) -> None:
    stage = Stage(tmp_path, a_machine(capacity=1), a_machine("b", likeness=OTHER, capacity=3))
    with stage.ledger:
        start = stage.cluster.measuring(None, 100.0)  # of a new study: where there is most room
        process = start(RunFolder(tmp_path / "measure"))
        assert isinstance(process, Measuring)
        assert stage.fleet.followed[0][0].berth.likeness == OTHER
        assert stage.cluster.device() == f"a phone, {class_name(OTHER.bits)}"
        stage.fleet.machines["tcp://b:1"].told["free_mb"] = 0.0
        with pytest.raises(OSError, match="free on b"):
            start(RunFolder(tmp_path / "measure"))
        study = a_study(stage.ledger, device=f"a phone, {class_name(OURS.bits)}")
        stage.cluster.measuring(study, 100.0)(RunFolder(tmp_path / "measure"))
        assert stage.fleet.followed[-1][0].berth.likeness == OURS
        assert stage.cluster.device(study) == f"a phone, {class_name(OURS.bits)}"
        assert stage.cluster.classes() == ("class bbbbbb", {"class bbbbbb",
                                                            class_name(OTHER.bits)})


@pytest.mark.parametrize(("n_local", "n_trials", "expected"), [(1, 8, 1), (4, 8, 2), (2, 1, 1)])
def test_workers_of_this_machine_are_measured_beside_each_other_as_far_as_they_come(
        tmp_path: Path, n_local: int, n_trials: int, expected: int) -> None:
    stage, waited = Stage(tmp_path, a_machine(capacity=2, told_s=NOW + 30.0)), list[float]()
    with stage.ledger:
        cluster = Cluster(stage.fleet, stage.ledger, print,  # type: ignore[arg-type]
                          lambda: NOW + sum(waited), n_local=n_local)
        assert cluster.n_beside(n_trials, lambda: None, waited.append) == expected
    assert (sum(waited) > 1.0) is (n_local == 4)  # two of four are not there, and do not come


def test_a_run_that_has_begun_keeps_its_class_while_it_is_there_and_else_begins_anew(
        tmp_path: Path) -> None:
    stage = Stage(tmp_path, a_machine("here", capacity=4), a_machine("there", likeness=OTHER))
    with stage.ledger:
        run = a_run(stage.ledger)
        folder = a_folder(stage.fleet.home, run)
        Berth("E1-a", "tcp://there:1", 0, OTHER).write(folder)
        folder.checkpoint.write_bytes(b"saved")
        stage.cluster.start(run, folder)
        assert stage.fleet.followed[-1][0].berth.likeness == OTHER
        assert folder.checkpoint.exists()
        del stage.fleet.machines["tcp://there:1"]
        stage.cluster.start(run, folder)
        assert stage.fleet.followed[-1][0].berth.likeness == OURS
        assert not folder.checkpoint.exists()


def test_what_is_new_of_machines_is_told_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, a_machine())
    with stage.ledger:
        stage.fleet.news.append(f"one joins: a phone, {class_name(OURS.bits)}")
        assert stage.cluster.n_at_once == 2
        assert stage.cluster.n_at_once == 2
        assert stage.said == ["one joins: a phone, class bbbbbb"]
