"""A cluster of this machine alone: who dies is started again, and a new daemon finds them."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from agent.home import Home
from agent.trial.cluster import local
from agent.trial.cluster.local import Local
from tests.support.parts import FakeProcess

ADDRESS = "tcp://127.0.0.1:4711"


class Started:
    """Children that only remember how they were started."""

    def __init__(self) -> None:
        self.words: list[list[str]] = []
        self.processes: list[FakeProcess] = []

    def __call__(self, words: list[str], log: Path) -> Any:
        self.words.append(words)
        self.processes.append(FakeProcess(pid=2**22 + len(self.words)))
        if words[0] == "scheduler":
            Path(words[2]).write_text(json.dumps({"address": ADDRESS}))
        return self.processes[-1]

    def names(self) -> list[str]:
        return [words[0] for words in self.words]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(local, "_end", found.append)
    return found


def test_a_scheduler_comes_first_and_then_so_many_nannies(tmp_path: Path) -> None:
    started = Started()
    cluster = Local(Home(tmp_path), 3, 500.0, started)
    assert cluster.look() is None  # it has to say where it is
    assert cluster.look() == ADDRESS
    assert started.names() == ["scheduler", "nanny", "nanny", "nanny"]
    assert started.words[1][2:] == [ADDRESS, "500"]
    cluster.look()
    assert len(started.words) == 4


def test_a_nanny_that_died_is_replaced(tmp_path: Path, ended: list[int]) -> None:
    started = Started()
    cluster = Local(Home(tmp_path), 2, 500.0, started)
    cluster.look()
    cluster.look()
    started.processes[1].status = -signal.SIGKILL
    cluster.look()
    assert started.names() == ["scheduler", "nanny", "nanny", "nanny"]
    assert ended == []


def test_nannies_of_a_scheduler_that_died_are_ended_with_it(tmp_path: Path,
                                                            ended: list[int]) -> None:
    started = Started()
    cluster = Local(Home(tmp_path), 2, 500.0, started)
    cluster.look()
    cluster.look()
    started.processes[0].status = -signal.SIGKILL
    assert cluster.look() is None
    assert ended == [started.processes[1].pid, started.processes[2].pid]
    assert cluster.look() == ADDRESS
    assert started.names()[3:] == ["scheduler", "nanny", "nanny"]


def test_at_the_end_nobody_is_left(tmp_path: Path, ended: list[int]) -> None:
    started = Started()
    cluster = Local(Home(tmp_path), 2, 500.0, started)
    cluster.look()
    cluster.look()
    cluster.close()
    assert sorted(ended) == [process.pid for process in started.processes]
    assert not (tmp_path / "runs" / "cluster.json").exists()


def test_an_address_that_is_not_of_this_machine_is_not_believed(tmp_path: Path) -> None:
    started = Started()
    cluster = Local(Home(tmp_path), 1, 500.0, started)
    cluster.look()
    (tmp_path / "runs" / "cluster" / "scheduler.json").write_text('{"address": "tcp://10.1.1.1:1"}')
    assert cluster.look() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"scheduler": [1]}',
                                  '{"scheduler": [4194305, 7], "nannies": [[4194306, 9]]}'])
def test_of_a_cluster_that_is_gone_a_new_one_is_made(tmp_path: Path, text: str) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "cluster.json").write_text(text)
    started = Started()
    Local(Home(tmp_path), 1, 500.0, started).look()
    assert started.names() == ["scheduler"]
