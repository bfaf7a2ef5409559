"""The next experiment comes from the ledger's history, by a seeded chance, and fits."""

from pathlib import Path

import pytest

from agent.ledger import Ledger
from agent.proposer import history, propose
from engine.config import Config
from engine.errors import NoProposal
from strategies import STRATEGIES
from strategies.base import Limits
from tests.parts import NOW, TINY, a_run, a_study

ROOM = Limits(budget_tokens=3200, min_steps=5, max_vocab=300)


def with_baseline(ledger: Ledger) -> int:
    study = a_study(ledger)
    run = a_run(ledger, strategy="baseline", study=study)
    ledger.claim(NOW)
    ledger.finish(run.id, "finished", NOW, val_bpb=2.0, val_loss=4.5)
    ledger.decide(run.id, None, "baseline", "test/1", {}, "a baseline", NOW)
    return study


def test_same_ledger_and_seed_give_the_same_proposal(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(with_baseline(ledger))
        assert propose(ledger, study, ROOM, 5) == propose(ledger, study, ROOM, 5)


def test_the_proposal_departs_from_the_incumbent_and_fits(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        idea = propose(ledger, ledger.calibration(with_baseline(ledger)), ROOM, 0)
        assert idea.parent.label == "B1"
        assert idea.proposal.config.hash != TINY.hash
        assert idea.proposal.strategy in STRATEGIES


def test_every_strategy_gets_its_turn(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(with_baseline(ledger))
        asked = {propose(ledger, study, ROOM, seed).proposal.strategy for seed in range(60)}
        assert asked == set(STRATEGIES)


def test_without_a_finished_baseline_there_is_nothing_to_improve(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(a_study(ledger))
        with pytest.raises(NoProposal, match="no baseline run has finished"):
            propose(ledger, study, ROOM, 0)


def test_when_nothing_fits_every_strategy_says_why(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = ledger.calibration(with_baseline(ledger))
        with pytest.raises(NoProposal, match="no strategy found anything that fits") as refusal:
            propose(ledger, study, Limits(max_mb=1.0), 0)
        assert all(name in str(refusal.value) for name in STRATEGIES)


def test_history_tells_what_became_of_each_run(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = with_baseline(ledger)
        failed = a_run(ledger, Config.from_dict(TINY.to_dict() | {"lr": 0.5}),
                       strategy="learning_rate", study=study)
        ledger.claim(NOW)
        ledger.finish(failed.id, "diverged", NOW, error="loss nan")
        found = history(ledger, ledger.study_runs(study))
        assert [(o.state, o.verdict, o.val_bpb) for o in found] == [
            ("finished", "baseline", 2.0), ("diverged", None, None)]
