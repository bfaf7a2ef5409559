"""Questions in few columns say what the whole rows do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.ledger.underway import at_rung, n_timed, running_ids
from agent.trial.slots import turn
from tests.support.parts import NOW, a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def end(ledger: Ledger, run: Run, bpb: float | None = None) -> None:
    ledger.claim(NOW, 1, run_id=run.id)
    ledger.finish(run.id, "pruned" if bpb is None else "finished", NOW, val_bpb=bpb,
                  rung_bpb=2.5, tok_per_s=1.0)


def test_who_runs_is_told_by_id(ledger: Ledger) -> None:
    runs = [a_run(ledger, seed=seed) for seed in range(4)]
    ledger.claim(NOW, 1, run_id=runs[3].id)
    ledger.claim(NOW, 1, run_id=runs[1].id)
    assert running_ids(ledger) == [runs[1].id, runs[3].id]
    assert running_ids(ledger) == [run.id for run in ledger.runs("running")]


def test_only_what_finished_with_a_speed_is_news_of_one(ledger: Ledger) -> None:
    assert n_timed(ledger) == 0
    end(ledger, a_run(ledger), 2.0)
    end(ledger, a_run(ledger, seed=1))  # pruned
    assert n_timed(ledger) == 1


@pytest.mark.parametrize("n_behind", [0, 1, 3, 9])
def test_of_runs_before_a_turn_those_count_that_whole_rows_say(
        ledger: Ledger, n_behind: int) -> None:
    study = a_study(ledger)
    kinds = ["explore", "explore", "baseline", "confirm", "explore", "baseline", "explore"]
    runs = [a_run(ledger, seed=seed, strategy=kind, study=study)
            for seed, kind in enumerate(kinds)]
    for run in runs[:6:2]:
        end(ledger, run, 2.0 if run.id % 3 else None)
    rows = sorted(ledger.study_runs(study), key=turn)
    for run in runs:
        place = next(i for i, row in enumerate(rows) if row.id == run.id)
        expected = [row for row in rows[:max(0, place - n_behind)] if row.rung_bpb is not None]
        found = at_rung(ledger, study, run.id, n_behind)
        assert sorted((row.run_id, row.strategy, row.val_bpb) for row in found) == sorted(
            (row.id, row.strategy, row.val_bpb) for row in expected)
    assert [row.run_id for row in at_rung(ledger, study)] == [run.id for run in runs[:6:2]]
