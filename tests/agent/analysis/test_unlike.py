"""Runs of two studies, texts, budgets: what compares, and one clear sentence where nothing does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.compare import compare_runs
from agent.ledger.ledger import Ledger
from agent.ledger.records import NewCalibration, Run
from engine.config import Config
from engine.errors import LedgerError, UserError
from tests.support import example_ledger as example
from tests.support.example_ledger import BUDGET, NOW, START

IDEA = Config(lr=1e-3)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Study 1 on stories with baselines B1 and B2; no idea yet."""
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        a_study(opened)
        for seed in (0, 1):
            ended(opened, Config(), seed, 2.0 + seed / 100, strategy="baseline")
        yield opened


def a_study(ledger: Ledger, corpus_id: int = 1, text: str = "aa", budget: int = BUDGET,
            config: Config | None = None) -> int:
    return ledger.add_calibration(NewCalibration(
        created_at=START, corpus_id=corpus_id, text_sha256=text, budget_tokens=budget,
        config=(config or Config()).to_dict(), seeds=[0, 1, 2]))


def ended(ledger: Ledger, config: Config, seed: int, bpb: float, state: Any = "finished",
          rung_bpb: float | None = None, **changes: Any) -> Run:
    run = example.queue(ledger, config, seed=seed, **changes)
    ledger.claim(NOW, run_id=run.id)
    if state != "finished":
        return ledger.finish(run.id, state, NOW, rung_bpb=rung_bpb)
    return ledger.finish(run.id, "finished", NOW, val_bpb=bpb, val_loss=2 * bpb,
                         vs_unigram=bpb / 4 - 1, rung_bpb=rung_bpb)


def on_tales(ledger: Ledger, with_study: bool) -> None:
    """What was done on another text, and best there: T1 by hand, or a study with B3 and E1."""
    other = example.add_corpus(ledger, text_sha256="zz", name="tales")
    if not with_study:
        ended(ledger, IDEA, 0, 1.5, corpus_id=other, strategy="hand", calibration_id=None)
        return
    study = a_study(ledger, other, "zz")
    ended(ledger, Config(), 0, 1.6, corpus_id=other, strategy="baseline", calibration_id=study)
    ended(ledger, IDEA, 0, 1.5, corpus_id=other, calibration_id=study)


def test_baselines_on_another_text_than_the_best_are_not_denied(ledger: Ledger) -> None:
    on_tales(ledger, with_study=False)
    with pytest.raises(UserError) as found:
        compare_runs(ledger, "baseline", "T1")
    assert str(found.value) == (
        "B1 was scored on stories, T1 on tales: scores on two texts do not compare, each only with "
        "its own unigram (-50.0% and -62.5%); no study is on tales, so no baseline is there to "
        "hold T1 against")


def test_the_remedy_is_a_pair_on_the_text_of_the_second(ledger: Ledger) -> None:
    on_tales(ledger, with_study=True)
    with pytest.raises(UserError, match="; `agent compare B3 E1` stays on tales$"):
        compare_runs(ledger, "B1", "E1")


def test_two_texts_of_one_name_are_told_apart(ledger: Ledger) -> None:
    other = example.add_corpus(ledger, text_sha256="zz1234567890")
    ended(ledger, IDEA, 0, 1.5, corpus_id=other, calibration_id=None)
    with pytest.raises(UserError, match=r"on stories \(aa\), E1 on stories \(zz123456\)"):
        compare_runs(ledger, "B1", "E1")


@pytest.mark.parametrize("keys", [("baseline", "E1"), ("E1", "baseline"), ("BASELINE", "E1")])
def test_the_baseline_is_that_of_the_others_own_study(
        ledger: Ledger, keys: tuple[str, str]) -> None:
    ended(ledger, IDEA, 0, 1.9)
    on_tales(ledger, with_study=True)  # newer, and with better scores
    found = compare_runs(ledger, *keys)
    assert {found.first.label, found.second.label} == {"B1", "E1"}


def test_two_studies_of_one_text_do_not_lend_each_other_a_baseline(ledger: Ledger) -> None:
    start = Config(n_embd=64)
    second = a_study(ledger, config=start)
    ended(ledger, start, 0, 2.5, strategy="baseline", calibration_id=second)
    ended(ledger, IDEA, 0, 1.9)
    ended(ledger, Config(n_embd=64, lr=1e-3), 0, 2.4, calibration_id=second)
    pairs = [compare_runs(ledger, "baseline", label) for label in ("E1", "E2")]
    assert [found.first.label for found in pairs] == ["B1", "B3"]


def test_the_baseline_is_on_the_seed_of_the_other(ledger: Ledger) -> None:
    ended(ledger, IDEA, 1, 1.9)
    assert compare_runs(ledger, "baseline", "E1").first.label == "B2"


def test_a_baseline_that_failed_gives_way_to_one_that_finished(ledger: Ledger) -> None:
    study = a_study(ledger, budget=64_000)
    changes = {"strategy": "baseline", "calibration_id": study, "budget_tokens": 64_000}
    ended(ledger, Config(), 0, 0.0, "failed", **changes)
    ended(ledger, Config(), 0, 2.2, **changes)
    ended(ledger, IDEA, 0, 1.9, calibration_id=study, budget_tokens=64_000)
    assert compare_runs(ledger, "baseline", "E1").first.label == "B4"


def test_where_no_idea_is_better_it_says_so(ledger: Ledger) -> None:
    with pytest.raises(UserError, match="baseline and best are both B1: no idea has beaten the "):
        compare_runs(ledger, "baseline", "best")


def test_without_any_study_the_ledger_has_the_word(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as empty:
        example.add_corpus(empty)
        ended(empty, IDEA, 0, 1.9, calibration_id=None)
        with pytest.raises(LedgerError, match="has a baseline yet"):
            compare_runs(empty, "baseline", "E1")


def test_two_budgets_compare_in_bits_and_the_sentence_names_both(ledger: Ledger) -> None:
    ended(ledger, IDEA, 0, 2.3, budget_tokens=64_000, calibration_id=None)
    found = compare_runs(ledger, "B1", "E1")
    assert (found.gain.bpb, found.first_bpb) == (pytest.approx(-0.3), {0: 2.0, 1: 2.01})
    assert found.sentence.endswith(
        ", but B1 had 2,048,000 training tokens and E1 64,000: scores of two budgets do not tell "
        "what the settings did")


def test_one_configuration_under_two_budgets_is_compared_too(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.3, budget_tokens=64_000, calibration_id=None)
    found = compare_runs(ledger, "B1", "E1")
    assert (found.changes, found.second_bpb) == ("", {0: 2.3})
    assert "scores of two budgets" in found.sentence


def test_two_vocabularies_compare_in_bits(ledger: Ledger) -> None:
    other = example.add_corpus(ledger, vocab_size=512)
    ended(ledger, Config(vocab_size=512), 0, 1.8, corpus_id=other)
    found = compare_runs(ledger, "baseline", "best")
    assert (found.first.label, found.second.label) == ("B1", "E1")
    assert found.sentence.startswith("E1 is 0.2000 bits/byte better than B1")


def test_of_a_run_given_up_early_the_score_at_the_quarter_is_told(ledger: Ledger) -> None:
    ended(ledger, IDEA, 0, 0.0, "pruned", rung_bpb=2.5)
    ended(ledger, Config(lr=2e-3), 0, 1.9, rung_bpb=2.25)
    with pytest.raises(UserError) as found:
        compare_runs(ledger, "E2", "E1")
    assert str(found.value) == (
        "E1 (pruned) has no score, and no other seed of it has finished; compare finished runs; at "
        "a quarter of the budget E2 had 2.2500 bits/byte, E1 2.5000")


def test_it_says_which_seed_of_the_baseline_stands_for_it_and_why(ledger: Ledger) -> None:
    study = a_study(ledger, budget=64_000)
    own = {"calibration_id": study, "budget_tokens": 64_000}
    first, second = (ended(ledger, Config(), seed, 2.2 - seed / 10, strategy="baseline", **own)
                     for seed in (0, 1))
    with pytest.raises(UserError, match=f"both {second.label}: .* of its 2 seeds this one scored"):
        compare_runs(ledger, "baseline", "best", study)
    same, other = (ended(ledger, IDEA, seed, 1.9, **own) for seed in (1, 7))
    assert compare_runs(ledger, "baseline", same.label).note == (
        f"{second.label} is of the baseline's 2 seeds the one on seed 1, as {same.label}")
    assert compare_runs(ledger, other.label, "baseline").note == (
        f"{first.label} is of the baseline's 2 seeds the first, as none is on seed 7 of "
        f"{other.label}")
    assert compare_runs(ledger, first.label, same.label).note == ""
