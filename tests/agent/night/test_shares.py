"""How processors are shared out among runs at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.machine import machine
from agent.night.shares import shared_out
from agent.night.wish import Wish
from agent.search import throughput
from agent.search.throughput import Throughput
from agent.trial.prepare import Source
from engine.config import Config
from tests.support.parts import NOW, TINY


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "n_cores", lambda: 8)


def shares(ledger: Ledger, base: Config = TINY, max_ram_mb: float = 3000.0,
           **asked: int | bool) -> tuple[int | None, int]:
    wish = shared_out(ledger, Wish(Source("/nowhere"), max_ram_mb,
                                   **{"n_replicas": 8} | asked), base)  # type: ignore[arg-type]
    return wish.n_trials, wish.n_replicas


@pytest.mark.parametrize(("n_trials", "n_replicas"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_processes_are_shared_out_and_each_run_has_one(
        ledger: Ledger, n_trials: int, n_replicas: int) -> None:
    assert shares(ledger, n_trials=n_trials) == (n_trials, n_replicas)


def test_processes_that_a_person_gave_are_those_of_each_run(ledger: Ledger) -> None:
    assert shares(ledger, n_trials=4, n_replicas=2, is_replicas_given=True) == (4, 2)
    assert shares(ledger, n_replicas=2, is_replicas_given=True) == (1, 2)


def test_without_a_measurement_one_run_has_all(ledger: Ledger) -> None:
    assert shares(ledger) == (1, 8)


ROWS = [Throughput(1, 8, 1000.0, 1e-6), Throughput(4, 2, 1900.0, 1e-6),
        Throughput(8, 1, 2000.0, 1e-6)]


def test_what_computed_most_decides_for_models_that_are_like_it_and_fit_together(
        ledger: Ledger) -> None:
    throughput.note(ledger, TINY, ROWS, NOW)
    assert shares(ledger) == (8, 1)
    assert shares(ledger, max_ram_mb=4.5 * TINY.predicted_mb(2)) == (4, 2)
    assert shares(ledger, Config(n_embd=256, n_layer=8)) == (1, 8)  # of another size


def test_a_measurement_of_another_device_says_nothing(
        ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    throughput.note(ledger, TINY, ROWS, NOW)
    monkeypatch.setattr(machine, "device", lambda: "another")
    assert shares(ledger) == (1, 8)
