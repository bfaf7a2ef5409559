"""On which cores a night computes where they are of several speeds: measured once, then known."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.machine import affinity, kernels, machine
from agent.night import cores
from agent.night.cores import settled, tie_to_fast
from agent.night.launch import Desk
from agent.night.wish import Wish
from agent.trial.executor import Here
from agent.trial.prepare import Source
from tests.support.parts import TINY, FakeTime, Listener

EVERY = frozenset(range(2))
pytestmark = pytest.mark.skipif(not affinity.usable() >= EVERY, reason="needs cores 0 and 1")


class Phone:
    """Two cores, the first of them slow: so many seconds a step on both, and on the fast one."""

    def __init__(self, on_both_s: float, on_fast_s: float) -> None:
        self.seconds, self.measured = {2: on_both_s, 1: on_fast_s}, list[tuple[int, ...]]()

    def spawn(self, folder: RunFolder) -> "subprocess.Popen[bytes]":
        here = tuple(sorted(affinity.usable()))
        self.measured.append(here)
        assert json.loads(folder.job.read_text())["n_replicas"] == len(here)
        folder.events.write_text(json.dumps({
            "kind": "measured", "step_s": self.seconds[len(here)], "eval_token_s": 1e-6}) + "\n")
        return subprocess.Popen(["true"])


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Phone]]:
    before = affinity.usable()

    def a_phone(on_both_s: float, on_fast_s: float, slow: int = 300) -> Phone:
        os.sched_setaffinity(0, EVERY)
        phone = Phone(on_both_s, on_fast_s)
        monkeypatch.setattr(cores, "spawn_worker", phone.spawn)
        monkeypatch.setattr(kernels, "make_ready", lambda progress: None)
        monkeypatch.setattr(affinity, "capacities", lambda these: {
            core: slow if core == 0 else 1024 for core in these})
        return phone

    yield a_phone
    os.sched_setaffinity(0, before)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield Desk(Home(tmp_path), ledger, Listener(), lambda *how: None, FakeTime().clock())


def a_wish(**asked: Any) -> Wish:
    return Wish(Source("/nowhere"), 3000.0, **{"n_replicas": 2} | asked)


def test_the_fast_cores_are_kept_to_where_a_step_is_sooner_done_there(
        on: Callable[..., Phone], at: Desk) -> None:
    phone = on(0.3, 0.2)
    wish = settled(at, a_wish(), TINY)
    assert wish.n_replicas == 1
    assert affinity.usable() == {1}
    assert phone.measured == [(0, 1), (1,)]
    assert at.observer.said == [  # type: ignore[attr-defined]
        "computes on core 1, 1.50 × as fast as on all 2; --cores all takes all"]


def test_where_all_together_are_faster_all_compute(on: Callable[..., Phone], at: Desk) -> None:
    on(0.2, 0.21)
    assert settled(at, a_wish(), TINY) == a_wish()
    assert affinity.usable() == EVERY


@pytest.mark.parametrize(("both_s", "fast_s", "left"), [(0.3, 0.2, {1}), (0.2, 0.3, {0, 1})])
def test_what_was_measured_decides_from_then_on(
        on: Callable[..., Phone], at: Desk, both_s: float, fast_s: float, left: set[int]) -> None:
    phone = on(both_s, fast_s)
    assert not tie_to_fast(at)  # nothing is known, and there is no model to measure with
    tie_to_fast(at, TINY)
    for base in (TINY, None):
        os.sched_setaffinity(0, EVERY)
        assert tie_to_fast(at, base) is (left == {1})
        assert affinity.usable() == left
    assert len(phone.measured) == 2


def test_what_another_device_measured_decides_nothing(
        on: Callable[..., Phone], at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = on(0.3, 0.2)
    tie_to_fast(at, TINY)
    os.sched_setaffinity(0, EVERY)
    monkeypatch.setattr(machine, "device", lambda: "another")
    assert not tie_to_fast(at)
    tie_to_fast(at, TINY)
    assert len(phone.measured) == 4


@pytest.mark.parametrize("asked", [{"are_cores_given": True}, {"is_replicas_given": True}])
def test_who_named_cores_or_processes_is_obeyed(
        on: Callable[..., Phone], at: Desk, asked: dict[str, bool]) -> None:
    phone = on(0.3, 0.2)
    assert settled(at, a_wish(**asked), TINY) == a_wish(**asked)
    assert (affinity.usable(), phone.measured) == (EVERY, [])


def test_cores_of_one_speed_and_other_machines_are_left_alone(
        on: Callable[..., Phone], at: Desk) -> None:
    phone = on(0.3, 0.2, slow=1024)
    assert settled(at, a_wish(), TINY) == a_wish()
    phone = on(0.3, 0.2)
    at.executor = Here()
    assert settled(at, a_wish(), TINY) == a_wish()
    assert (affinity.usable(), phone.measured) == (EVERY, [])


def test_a_quota_that_leaves_the_slow_cores_idle_needs_no_choice(
        on: Callable[..., Phone], at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = on(0.3, 0.2)
    monkeypatch.setattr(machine, "n_cores", lambda: 1)
    assert not tie_to_fast(at, TINY)
    assert phone.measured == []


def test_where_the_system_does_not_allow_it_all_compute(
        on: Callable[..., Phone], at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    on(0.3, 0.2)
    monkeypatch.setattr(affinity, "tie", lambda these: False)
    assert not tie_to_fast(at, TINY)
    assert at.observer.said == []  # type: ignore[attr-defined]
