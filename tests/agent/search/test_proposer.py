"""What a proposal is made from: what became of each run, and what other studies found."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.search import prior
from agent.search.proposer import elsewhere, history, warm_start
from engine.config import Config
from strategies.base import Limits
from tests.support.parts import NOW, TINY, a_run, a_study

ROOM = Limits(budget_tokens=3200, min_steps=5, max_vocab=300)


def tuned(**changes: object) -> Config:
    return Config.from_dict(TINY.to_dict() | changes)


def ended(ledger: Ledger, config: Config, verdict: str, strategy: str = "random",
          study: int | None = None) -> Run:
    """A run that finished, with the verdict on it."""
    run = a_run(ledger, config, strategy=strategy, study=study)
    ledger.claim(NOW)
    ledger.finish(run.id, "finished", NOW, val_bpb=2.0, val_loss=4.5)
    ledger.decide(run.id, None, verdict, "test/1", {}, "a test", NOW)  # type: ignore[arg-type]
    return run


def test_history_tells_what_became_of_each_run(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = a_study(ledger)
        ended(ledger, TINY, "baseline", "baseline", study)
        for lr, state, error in ((0.5, "diverged", "loss nan"), (0.6, "pruned", None),
                                 (0.7, "killed", "the run took 99 MB, over --max-ram 50 MB")):
            run = a_run(ledger, tuned(lr=lr), strategy="learning_rate", study=study)
            ledger.claim(NOW)
            ledger.finish(run.id, state, NOW, error=error,  # type: ignore[arg-type]
                          rung_bpb=2.5 if state == "pruned" else None)
        found = history(ledger, ledger.study_runs(study))
        assert [(o.state, o.verdict, o.val_bpb, o.rung_bpb, o.is_pruned, o.is_out_of_memory)
                for o in found] == [
            ("finished", "baseline", 2.0, None, False, False),
            ("diverged", None, None, None, False, False),
            ("pruned", None, None, 2.5, True, False),
            ("killed", None, None, None, False, True)]


# --- what earlier studies found --------------------------------------------------------------


def test_the_head_of_an_earlier_study_is_tried_first(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        earlier = a_study(ledger, budget_tokens=64_000)
        ended(ledger, tuned(lr=2e-3), "kept", study=earlier)
        study = ledger.calibration(a_study(ledger))
        found = warm_start(ledger, study, TINY, [], ROOM)
        assert found is not None
        assert (found.config.lr, found.strategy) == (2e-3, "warm_start")
        assert found.reason == ("learning rate 3e-3 → 2e-3: head of study 1, of 64,000 tokens "
                                "a run")


@pytest.mark.parametrize(("verdict", "strategy"), [
    ("discarded", "random"), ("refuted", "random"), ("baseline", "baseline")])
def test_what_an_earlier_study_did_not_keep_is_no_start(
        tmp_path: Path, verdict: str, strategy: str) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        earlier = a_study(ledger, budget_tokens=64_000)
        ended(ledger, tuned(lr=2e-3), verdict, strategy, study=earlier)
        assert warm_start(ledger, ledger.calibration(a_study(ledger)), TINY, [], ROOM) is None


def test_a_head_that_was_tried_or_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        earlier = a_study(ledger, budget_tokens=64_000)
        head = tuned(lr=2e-3)
        ended(ledger, head, "kept", study=earlier)
        study = ledger.calibration(a_study(ledger))
        known = [replace(outcome, budget_tokens=ROOM.budget_tokens)
                 for outcome in history(ledger, ledger.study_runs(earlier))]
        assert warm_start(ledger, study, TINY, known, ROOM) is None
        failed = [replace(outcome, config=tuned(lr=1.9e-3), state="diverged") for outcome in known]
        assert warm_start(ledger, study, TINY, failed, ROOM) is None
        assert warm_start(ledger, study, TINY, [], Limits(max_mb=1.0)) is None


def test_a_head_is_tried_on_the_text_in_this_studys_order(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        earlier = a_study(ledger, budget_tokens=64_000)
        ended(ledger, tuned(lr=2e-3, data_order="linear"), "kept", study=earlier)
        found = warm_start(ledger, ledger.calibration(a_study(ledger)), TINY, [], ROOM)
        assert found is not None
        assert (found.config.lr, found.config.data_order) == (2e-3, "circular")
        assert "order" not in found.reason


def test_results_of_earlier_studies_come_before_the_table(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        earlier = a_study(ledger, budget_tokens=64_000)
        ended(ledger, tuned(lr=2e-3), "kept", study=earlier)
        study = ledger.calibration(a_study(ledger))
        ended(ledger, tuned(lr=4e-3), "kept", study=study.id)
        own, *others = elsewhere(ledger, study)
        assert (own.study, own.budget_tokens, own.config.lr, own.bpb, own.n) == (
            "study 1", 64_000, 2e-3, 2.0, 1)
        assert len(others) == len(prior.table()[1])
        budgets = [row.budget_tokens for row in others]  # the study's are 3,200 tokens
        assert budgets == sorted(budgets)


def test_the_table_that_came_along_is_of_legal_configurations_and_two_texts() -> None:
    version, rows = prior.table()
    assert version >= 1
    assert len(rows) > 200
    assert {row.study.partition(" ")[0] for row in rows} == {
        "tinystories", "builtin", "tinystories-ideas"}
    assert all(0.5 < row.bpb < 8 and row.n >= 1 for row in rows)
