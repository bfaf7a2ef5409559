"""What runs here hold beside what their configurations tell: by runs, else by the measuring one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.machine import machine
from agent.search import footprint
from agent.search.study import Origin, new_run
from tests.support.parts import NOW, TINY, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        a_study(opened)
        yield opened


def queued(ledger: Ledger, seed: int) -> Run:
    return ledger.queue(new_run(ledger, TINY, seed, 3200, 1, NOW, Origin("random", "to see", 1), 2))


def ended(ledger: Ledger, seed: int, more_mb: float) -> Run:
    run = queued(ledger, seed)
    ledger.claim(NOW, run_id=run.id)
    text_mb = footprint.text_mb(ledger.corpus(1))
    return ledger.finish(run.id, "finished", NOW, tok_per_s=1000.0,
                         peak_mb=TINY.predicted_mb(2) + text_mb + more_mb)


def more_mb(run: Run, ledger: Ledger) -> float:
    return (run.predicted_mb or 0.0) - TINY.predicted_mb(2) - footprint.text_mb(ledger.corpus(1))


def test_the_next_run_is_foreseen_with_what_those_here_have_held(ledger: Ledger) -> None:
    assert more_mb(queued(ledger, 0), ledger) == 0.0  # nothing is known yet
    for seed, mb in enumerate((27.0, 26.0, 90.0), 1):
        ended(ledger, seed, mb)
    assert more_mb(queued(ledger, 9), ledger) == pytest.approx(27.0)  # whatever one of them was


def test_before_the_first_run_the_worker_that_measured_tells(ledger: Ledger) -> None:
    footprint.note(ledger, None, NOW)
    assert ledger.events_of(footprint.MEASURED) == []
    footprint.note(ledger, 15.0, NOW)
    assert more_mb(queued(ledger, 0), ledger) == pytest.approx(15.0)
    ended(ledger, 1, 20.0)
    assert more_mb(queued(ledger, 2), ledger) == pytest.approx(20.0)


def test_another_device_tells_nothing_and_less_is_no_reason_to_foresee_less(
        ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    footprint.note(ledger, -9.0, NOW)
    assert more_mb(queued(ledger, 0), ledger) == 0.0
    footprint.note(ledger, 15.0, NOW)
    ended(ledger, 1, 20.0)
    monkeypatch.setattr(machine, "device", lambda: "another")
    assert more_mb(queued(ledger, 2), ledger) == 0.0
