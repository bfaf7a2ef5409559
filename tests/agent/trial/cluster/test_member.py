"""When a process of a cluster leaves."""

from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[cluster]'")

from agent.home import Home, only_one
from agent.trial.cluster.member import ORPHAN_S, Over
from tests.support.parts import FakeTime


def test_a_worker_of_ones_own_leaves_when_it_is_asked_to() -> None:
    over = Over()
    assert not over()
    over.ask()
    assert over()


def test_those_of_a_local_cluster_leave_a_minute_after_the_homes_daemon(tmp_path: Path) -> None:
    time = FakeTime()
    over = Over(Home(tmp_path), lambda: time.now_s)
    with only_one(Home(tmp_path).lock):
        time.now_s += 10 * ORPHAN_S
        assert not over()
    time.now_s += ORPHAN_S - 1
    assert not over()  # another daemon may come
    with only_one(Home(tmp_path).lock):
        assert not over()
    time.now_s += ORPHAN_S + 1
    assert over()
