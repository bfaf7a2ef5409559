"""How many runs at once compute most, and what is kept of the measurement."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.search import study, throughput
from agent.search.throughput import Throughput
from agent.trial.executor import spawn_worker
from engine.errors import UserError
from tests.support.parts import NOW, TINY


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.mark.parametrize(("n_cores", "ways"), [
    (1, [(1, 1)]), (2, [(1, 2), (2, 1)]), (6, [(1, 6), (2, 3), (4, 1), (6, 1)]),
    (8, [(1, 8), (2, 4), (4, 2), (8, 1)])])
def test_processors_are_shared_out_in_powers_of_two_and_one_each(
        n_cores: int, ways: list[tuple[int, int]]) -> None:
    assert throughput.shares(n_cores) == ways


def rows(*speeds: float) -> list[Throughput]:
    return [Throughput(2**i, 1, speed, 1e-6) for i, speed in enumerate(speeds)]


def test_more_at_once_must_be_faster_by_more_than_a_measurement_errs() -> None:
    assert throughput.best(rows(1000.0, 1015.0)).n_trials == 1
    assert throughput.best(rows(1000.0, 1100.0, 1110.0)).n_trials == 2
    assert throughput.best(rows(1000.0, 1100.0, 1300.0)).n_trials == 4


def test_the_newest_measurement_counts_and_what_is_spoilt_is_passed_over(ledger: Ledger) -> None:
    throughput.note(ledger, TINY, rows(1.0, 2.0), NOW)
    throughput.note(ledger, TINY, rows(3.0, 4.0), NOW)
    ledger.event(throughput.THROUGHPUT, "a person's", NOW, data={"rows": "none"})
    assert throughput.noted(ledger, TINY) == rows(3.0, 4.0)
    assert "2 runs at once" in ledger.events_of(throughput.THROUGHPUT)[1].message


def test_workers_are_measured_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "MEASURE_S", 0.05)
    looks: list[tuple[int, int]] = []
    found = throughput.measured(TINY, 2, spawn_worker, lambda *look: looks.append(look))
    assert [(one.n_trials, one.n_replicas) for one in found] == [(1, 2), (2, 1)]
    assert all(one.tok_per_s > 0 and one.eval_token_s > 0 for one in found)
    assert looks == [(0, 2), (1, 2), (2, 2)]
    assert found[1].speed(TINY).tok_per_s == pytest.approx(found[1].tok_per_s / 2)


def test_a_device_that_has_no_process_to_give_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: object) -> None:
        raise OSError("no process")

    with pytest.raises(UserError, match="cannot start a worker to measure this device"):
        throughput.measured(TINY, 1, refuse)  # type: ignore[arg-type]
