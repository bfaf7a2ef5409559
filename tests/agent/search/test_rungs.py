"""The limit at a quarter, from the ledger: what had ended when a run was asked for, and no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.search.rungs import Rungs
from agent.trial import rung
from engine.config import Config
from tests.support.parts import NOW, TINY, a_run, a_study

N = rung.MIN_RUNGS + 2


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def ended(ledger: Ledger, study: int, n: int, strategy: str = "explore",
          start: float = 2.0) -> list[Run]:
    """Runs whose order at the rung is that of their ends."""
    found = []
    for i in range(n):
        lr = 1e-3 * (i + 1) + 1e-5 * start
        run = a_run(ledger, Config.from_dict(TINY.to_dict() | {"lr": lr}),
                    strategy=strategy, study=study)
        ledger.claim(NOW, 1, run_id=run.id)
        found.append(ledger.finish(run.id, "finished", NOW, val_bpb=start + 0.01 * i,
                                   rung_bpb=start + 0.5 + 0.01 * i))
    return found


def limit(ledger: Ledger, run: Run, window: int) -> float | None:
    return Rungs(ledger).limit(run, 0, window)


def test_one_run_at_a_time_is_held_against_all_that_have_ended(ledger: Ledger) -> None:
    study = a_study(ledger)
    known = ended(ledger, study, N)
    run = a_run(ledger, seed=7, strategy="explore", study=study)
    expected = rung.limit([one.rung_bpb or 0 for one in known],
                          [one.val_bpb for one in known], 0.5)
    assert limit(ledger, run, 1) == expected is not None


def test_of_several_at_once_those_of_the_window_say_nothing(ledger: Ledger) -> None:
    study = a_study(ledger)
    known = ended(ledger, study, N)
    run = a_run(ledger, seed=7, strategy="explore", study=study)
    behind = known[:-2]
    assert limit(ledger, run, 3) == rung.limit(
        [one.rung_bpb or 0 for one in behind], [one.val_bpb for one in behind], 0.5)
    assert limit(ledger, run, 6) is None  # too few had ended when it was asked for


def test_arms_and_runs_of_no_study_say_nothing(ledger: Ledger) -> None:
    study = a_study(ledger)
    ended(ledger, study, N, "confirm")
    assert limit(ledger, a_run(ledger, seed=7, strategy="explore", study=study), 1) is None
    ended(ledger, study, N, start=3.0)
    assert limit(ledger, a_run(ledger, seed=8, strategy="explore"), 1) is None
