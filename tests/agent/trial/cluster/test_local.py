"""A cluster of this machine alone: who dies is started again, and a new daemon finds them."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.home import Home, only_one
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
    monkeypatch.setattr(local, "KILLED_S", 0.0)
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


@pytest.mark.slow
def test_all_of_it_listens_on_localhost_alone(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[cluster]'")
    with only_one(Home(tmp_path).lock):
        cluster = Local(Home(tmp_path), 1, 500.0)
        try:
            assert len(heard(cluster)) >= 4  # scheduler, nanny, worker, and their HTTP
            assert set(heard(cluster)) == {"127.0.0.1"}
        finally:
            cluster.close()


def heard(cluster: Local, patience_s: float = 120.0) -> list[str]:
    """Where the processes of a cluster listen, once its worker does."""
    end_s, found = time.monotonic() + patience_s, list[str]()
    while len(found) < 4 and time.monotonic() < end_s:
        time.sleep(0.2)  # what comes up in other processes is waited for
        cluster.look()
        ours = psutil.Process().children(recursive=True)
        found = [one.laddr.ip for process in ours if process.is_running()
                 for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return found
