"""How long runs take: the median of the newest, without what lay between, and of one machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.pace import pace_s
from tests.support.parts import a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as found:
        yield found


def ended(ledger: Ledger, study: int, seed: int, begins: int, took_s: int, computed_s: float,
          n_attempts: int = 1, device: str = "a") -> None:
    run = a_run(ledger, seed=seed, strategy="baseline", study=study)
    for attempt in range(n_attempts):
        if attempt:
            ledger.requeue(run.id, "2026-11-20T10:00:00Z", "again")
        ledger.claim(f"2026-11-20T10:{begins:02}:00Z", 4242, run_id=run.id)
    ledger.finish(run.id, "finished", f"2026-11-20T10:{begins:02}:{took_s:02}Z",
                  duration_s=computed_s, device=device)


def test_before_a_run_has_ended_nothing_is_known(ledger: Ledger) -> None:
    assert pace_s(ledger, ledger.calibration(a_study(ledger, device="a"))) is None


def test_it_is_the_median_of_the_newest_three_from_claim_to_end(ledger: Ledger) -> None:
    study = a_study(ledger, device="a")
    for seed, took_s in enumerate((50, 12, 14, 31)):
        ended(ledger, study, seed, seed, took_s, took_s - 2.0)
    assert pace_s(ledger, ledger.calibration(study)) == 14


def test_a_run_that_waited_or_slept_counts_what_it_computed(ledger: Ledger) -> None:
    study = a_study(ledger, device="a")
    ended(ledger, study, 0, 1, 59, 8.0)  # asleep
    ended(ledger, study, 1, 2, 40, 9.0, n_attempts=2)
    ended(ledger, study, 2, 3, 5, 10.0)  # the clock was set back
    assert pace_s(ledger, ledger.calibration(study)) == 9.0


def test_what_another_device_took_is_another_pace(ledger: Ledger) -> None:
    study = a_study(ledger, device="a")
    ended(ledger, study, 0, 1, 10, 9.0, device="b")
    assert pace_s(ledger, ledger.calibration(study)) is None
