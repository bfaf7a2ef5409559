"""How the search is doing is told by its ideas, and counted from the ledger's rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Earned
from agent.show.earnings import lines
from engine.config import Config
from tests.support.parts import NOW, TINY, a_run, a_study

ROOT = Path(__file__).parents[3]


def earned(strategy: str, n_runs: int = 1, **values: object) -> Earned:
    unsaid = {"n_kept": 0, "n_confirmed": 0, "n_pruned": 0, "gain_bpb": None, "tokens": 1000,
              "saved_tokens": 0}
    return Earned(**unsaid | {"strategy": strategy, "n_runs": n_runs} | values)  # type: ignore[arg-type]


def test_ideas_gains_pruning_and_tokens_are_told() -> None:
    found = lines([
        earned("explore", 38, n_kept=4, n_confirmed=3, gain_bpb=0.62, n_pruned=17, tokens=7000,
               saved_tokens=956_000),
        earned("learning_rate", 6, n_kept=1, n_confirmed=1, gain_bpb=0.034, tokens=1000),
        earned("random", 4, tokens=500), earned("baseline", 5, tokens=1000),
        earned("confirm", 2, tokens=500)])
    assert found == [
        "48 tried in all, 5 kept, 4 confirmed: one in 12", "explore +0.6200 by 4 of 38",
        "learning_rate +0.0340 by 1 of 6", "17 given up at a quarter: 956,000 tokens saved",
        "tokens: 85 % ideas, 10 % calibrating, 5 % confirming"]


def test_before_an_idea_has_ended_there_is_nothing_to_tell() -> None:
    assert lines([]) == lines([earned("baseline", 5)]) == []


def test_a_night_that_kept_nothing_says_so() -> None:
    assert lines([earned("explore", 3)]) == ["3 tried in all, 0 kept, 0 confirmed",
                                             "tokens: 100 % ideas"]


def test_a_ledger_counts_ended_runs_of_one_study(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study, other = a_study(ledger), a_study(ledger)
        rows = [("explore", 1e-3, "finished", 3200, "kept", 0.1, study),
                ("explore", 2e-3, "finished", 3200, "discarded", -0.2, study),
                ("random", 4e-3, "pruned", 800, "pruned", None, study),
                ("random", 5e-3, "finished", 3200, "kept", 0.5, other)]
        for strategy, lr, state, tokens, verdict, gain, calibration in rows:
            run = a_run(ledger, Config.from_dict(TINY.to_dict() | {"lr": lr}), strategy=strategy,
                        study=calibration)
            ledger.claim(NOW, run_id=run.id)
            ledger.finish(run.id, state, NOW, tokens=tokens)  # type: ignore[arg-type]
            evidence = {} if gain is None else {"gain_bpb": gain}
            ledger.decide(run.id, None, verdict, "test/1", evidence, "", NOW)  # type: ignore[arg-type]
            if verdict == "kept":
                ledger.decide(run.id, None, "confirmed", "test/1", {"gain_bpb": 0.05}, "", NOW)
        waiting = a_run(ledger, TINY, strategy="explore", study=study)
        assert waiting.state == "queued"
        assert ledger.earned(study) == [
            earned("explore", 2, n_kept=1, n_confirmed=1, gain_bpb=pytest.approx(0.1),
                   tokens=6400),
            earned("random", n_pruned=1, tokens=800, saved_tokens=2400)]


def test_the_published_night_is_counted_as_sqlite_counts_it() -> None:
    with closing(sqlite3.connect(f"file:{ROOT / 'ledger.db'}?mode=ro", uri=True)) as db, db:
        wanted = db.execute(
            "SELECT count(*), sum(tokens) FROM runs WHERE calibration_id = 1 AND strategy NOT IN "
            "('baseline', 'confirm', 'ablate') AND state NOT IN ('queued', 'running')").fetchone()
        n_kept, = db.execute(
            "SELECT count(DISTINCT run_id) FROM decisions JOIN runs ON runs.id = run_id "
            "WHERE verdict = 'kept' AND calibration_id = 1").fetchone()
    db.close()
    with Ledger.open(ROOT / "ledger.db", read_only=True) as ledger:
        ideas = [one for one in ledger.earned(1)
                 if one.strategy not in ("baseline", "confirm", "ablate")]
    assert (sum(one.n_runs for one in ideas), sum(one.tokens for one in ideas)) == wanted
    assert sum(one.n_kept for one in ideas) == n_kept == 19
