"""When a study's budget is corrected, to what, and what the ledger holds then."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Calibration, Metric, Run
from agent.search import budget, study
from agent.search.study import Speed
from engine.config import Config
from engine.errors import LedgerError
from tests.support.parts import NOW, TEXT, TINY, a_run, a_study

MEASURED = 3000.0  # tokens a second
RUN_S = 10.0  # planned
TOKENS = 30_000  # the budget that follows


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("AGENT_NATIVE", "0")  # runs by hand are computed as those of a_study
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def a_plan(ledger: Ledger, run_s: float = RUN_S, is_planned: bool = True,
           text: str = TEXT) -> Calibration:
    """A study of five seeds whose budget was planned by a measured speed, or was given."""
    found = ledger.calibration(a_study(
        ledger, text, budget_tokens=TOKENS, tok_per_s=MEASURED, run_s=run_s,
        seeds=[0, 1, 2, 3, 4]))
    if is_planned:
        budget.note_plan(ledger, found.id, Speed(TINY.tokens_per_step / MEASURED, 1e-9,
                                                 TINY.tokens_per_step), run_s, NOW)
    study.queue_baselines(ledger, found, NOW, 1)
    return found


def trained(ledger: Ledger, tok_per_s: float, seconds: float, steps: int = 7) -> Run:
    """The oldest queued run, under way for so many seconds of training at that speed."""
    run = ledger.claim(NOW)
    assert run is not None
    ledger.ingest(run.id, [Metric(steps, round(seconds * tok_per_s), tok_per_s=tok_per_s)], 9, NOW)
    return ledger.run(run.id)


def ended(ledger: Ledger, tok_per_s: float) -> Run:
    run = ledger.claim(NOW)
    assert run is not None
    return ledger.finish(run.id, "finished", NOW, val_bpb=2.0, val_loss=4.0, confirm_bpb=2.0,
                         tok_per_s=tok_per_s, tokens=TOKENS)


@pytest.mark.parametrize(("tok_per_s", "is_due"), [
    (1000.0, True), (1990.0, True), (2010.0, False), (3000.0, False), (4490.0, False),
    (4510.0, True), (30_000.0, True)])
def test_a_speed_over_one_and_a_half_times_off_either_way_is_corrected(
        ledger: Ledger, tok_per_s: float, is_due: bool) -> None:
    found = a_plan(ledger)
    ended(ledger, tok_per_s)
    is_settled, due = budget.look(ledger, found, 0)
    assert (is_settled, due is not None) == (not is_due, is_due)
    if due:
        assert due.budget_tokens / TOKENS == pytest.approx(tok_per_s / MEASURED, rel=0.2)
        assert due.run_s == pytest.approx(RUN_S, rel=0.1)


@pytest.mark.parametrize(("share", "is_due"), [(0.975, False), (0.85, True), (1.2, True)])
def test_for_a_few_per_cent_no_baseline_is_begun_anew(
        ledger: Ledger, monkeypatch: pytest.MonkeyPatch, share: float, is_due: bool) -> None:
    """As where a budget is near the least that tells anything, however slow the device is."""
    found = a_plan(ledger)
    ended(ledger, 1000.0)
    monkeypatch.setattr(budget.study, "plan_budget", lambda *_: round(share * TOKENS))
    assert (budget.look(ledger, found, 0)[1] is not None) is is_due


def test_a_run_under_way_tells_once_it_has_trained_longer_than_the_measurement(
        ledger: Ledger) -> None:
    found = a_plan(ledger)
    run = trained(ledger, 1000.0, budget.SEEN_S - 1)
    assert budget.look(ledger, found, 0) == (False, None)
    ledger.ingest(run.id, [Metric(9, 9000, tok_per_s=1000.0)], 10, NOW)
    assert budget.look(ledger, found, 0)[1] is not None


def test_of_long_runs_a_quarter_must_have_passed(ledger: Ledger) -> None:
    found = a_plan(ledger, run_s=600.0)
    trained(ledger, 1000.0, 140.0)
    assert budget.look(ledger, found, 0) == (False, None)


def test_a_run_that_begins_as_measured_may_still_slow_down(ledger: Ledger) -> None:
    found = a_plan(ledger)
    run = trained(ledger, 2900.0, 9.0)
    assert budget.look(ledger, found, 0) == (False, None)
    ledger.ingest(run.id, [Metric(99, 29_900, tok_per_s=1500.0)], 10, NOW)
    assert budget.look(ledger, found, 0)[1] is not None


def test_a_budget_given_in_tokens_is_never_touched(ledger: Ledger) -> None:
    found = a_plan(ledger, is_planned=False)
    ended(ledger, 100.0)
    assert budget.look(ledger, found, 0) == (True, None)


@pytest.mark.parametrize("strategy", ["hand", "learning_rate"])
def test_once_an_idea_was_judged_nothing_is_corrected(ledger: Ledger, strategy: str) -> None:
    found = a_plan(ledger)
    idea = ledger.queue(study.new_run(
        ledger, dataclasses.replace(TINY, lr=2e-3), 0, TOKENS, found.corpus_id, NOW,
        study.Origin(strategy, "an idea", found.id)))
    ledger.claim(NOW, run_id=idea.id)
    ledger.finish(idea.id, "diverged", NOW)
    ended(ledger, 100.0)
    assert budget.look(ledger, found, 0) == (True, None)


def test_the_second_seed_corrects_nothing_that_the_first_did_not(ledger: Ledger) -> None:
    found = a_plan(ledger)
    ended(ledger, 2900.0)
    ended(ledger, 100.0)
    assert budget.look(ledger, found, 0) == (True, None)


def test_baselines_that_another_study_ran_are_not_thrown_away(ledger: Ledger) -> None:
    a_plan(ledger, is_planned=False)
    ended(ledger, 100.0)
    second = a_plan(ledger)  # the same text, baseline and budget
    assert budget.look(ledger, second, 0) == (True, None)


def test_a_first_baseline_that_failed_tells_nothing_and_the_next_does(ledger: Ledger) -> None:
    found = a_plan(ledger)
    ledger.finish(1, "failed", NOW, error="no memory")
    assert budget.look(ledger, found, 0) == (False, None)
    ended(ledger, 100.0)
    assert budget.look(ledger, found, 0)[1] is not None


def test_the_least_budget_there_is_stays(ledger: Ledger) -> None:
    found = ledger.calibration(a_study(
        ledger, budget_tokens=study.MIN_STEPS * TINY.tokens_per_step, tok_per_s=MEASURED))
    budget.note_plan(ledger, found.id, Speed(0.01, 1e-9, TINY.tokens_per_step), 0.1, NOW)
    study.queue_baselines(ledger, found, NOW, 1)
    ended(ledger, 100.0)
    assert budget.look(ledger, found, 0) == (True, None)


# --- what the ledger holds after it ----------------------------------------------------------


def corrected(ledger: Ledger, found: Calibration, seed: int = 0) -> Calibration:
    due = budget.look(ledger, found, seed)[1]
    assert due is not None
    return budget.correct(ledger, due, NOW)


def test_a_baseline_that_was_begun_begins_anew_and_nothing_of_the_old_budget_is_left(
        ledger: Ledger) -> None:
    found = a_plan(ledger)
    uids = [run.uid for run in ledger.runs()]
    run = trained(ledger, 1000.0, 9.0)
    ledger.requeue(run.id, NOW, "stopped at a checkpoint")
    after = corrected(ledger, found)
    assert (after.id, after.tok_per_s, after.seeds) == (found.id, 1000.0, [0, 1, 2, 3, 4])
    assert after.budget_tokens < TOKENS / 2
    runs = ledger.runs()
    assert [(run.label, run.seed, run.state, run.budget_tokens) for run in runs] == [
        (f"B{n}", n - 1, "queued", after.budget_tokens) for n in range(1, 6)]
    assert not {run.uid for run in runs} & set(uids)  # so no old checkpoint is taken up
    first = runs[0]
    assert (first.attempts, first.started_at, first.steps, first.tokens, first.events_offset) == (
        0, None, None, None, 0)
    assert ledger.metrics(first.id) == []
    assert budget.left_behind(ledger) == uids


def test_the_event_says_why_with_both_speeds_and_both_budgets(ledger: Ledger) -> None:
    found = a_plan(ledger)
    ended(ledger, 1000.0)
    after = corrected(ledger, found)
    (event,) = ledger.events_of("budget")
    assert event.message == (
        "the budget is corrected once, before any idea: B1 trains 1,000 tokens/s where 3,000 were "
        f"measured, so 30,000 → {after.budget_tokens:,} tokens a run, about 10 s each; the "
        "baseline begins anew")
    assert event.data is not None
    assert (event.data["was_tok_per_s"], event.data["tok_per_s"]) == (3000.0, 1000.0)


def test_a_baseline_that_has_finished_stays_as_a_measurement_of_its_own(ledger: Ledger) -> None:
    found = a_plan(ledger)
    first = ended(ledger, 1000.0)
    study.note_noise(ledger, found)
    after = corrected(ledger, found)
    assert (after.n, after.mean_bpb, after.sigma_bpb) == (0, None, None)
    kept = ledger.run(first.id)
    assert (kept.calibration_id, kept.val_bpb, kept.budget_tokens) == (None, 2.0, TOKENS)
    study.queue_baselines(ledger, after, NOW, 1)
    assert [(run.label, run.seed) for run in ledger.study_runs(found.id)] == [
        ("B2", 0), ("B3", 1), ("B4", 2), ("B5", 3), ("B6", 4)]
    assert [(run.reason or "")[:11] for run in ledger.study_runs(found.id)] == [
        f"seed {n} of 5" for n in range(1, 6)]
    assert ledger.comparable_runs(after) == ledger.study_runs(found.id)


def test_it_is_corrected_once(ledger: Ledger) -> None:
    found = a_plan(ledger)
    ended(ledger, 1000.0)
    after = corrected(ledger, found)
    ended(ledger, 10.0)
    assert budget.look(ledger, after, 0) == (True, None)


def test_the_new_budget_is_one_that_no_run_of_this_text_has(ledger: Ledger) -> None:
    found = a_plan(ledger)
    ended(ledger, 1000.0)
    due = budget.look(ledger, found, 0)[1]
    assert due is not None
    taken = study.new_run(ledger, Config(**TINY.to_dict() | {"lr": 1e-4}), 0, due.budget_tokens,
                          found.corpus_id, NOW, study.Origin("hand", "by hand"))
    ledger.queue(taken)
    after = corrected(ledger, found)
    assert after.budget_tokens == due.budget_tokens + TINY.tokens_per_step


def test_a_night_goes_on_with_the_corrected_study_on_its_own_seeds(ledger: Ledger) -> None:
    """Where a seed was passed over under the old budget, it is free under the new one."""
    a_study(ledger)
    run = ledger.queue(study.new_run(ledger, TINY, 0, TOKENS, 1, NOW,
                                     study.Origin("hand", "by hand")))
    ledger.claim(NOW, run_id=run.id)
    ledger.finish(run.id, "finished", NOW, val_bpb=2.0)
    found = ledger.calibration(a_study(ledger, budget_tokens=TOKENS, tok_per_s=MEASURED,
                                       seeds=study.baseline_seeds(ledger, TEXT, TINY, TOKENS, 0)))
    assert found.seeds == [1, 2, 3, 4, 5]
    budget.note_plan(ledger, found.id, Speed(0.01, 1e-9, 32), RUN_S, NOW)
    study.queue_baselines(ledger, found, NOW, 1)
    ended(ledger, 1000.0)
    after = corrected(ledger, found)
    assert after.seeds == study.baseline_seeds(ledger, TEXT, TINY, after.budget_tokens, 0)


def test_an_idea_of_a_person_that_waits_waits_under_the_new_budget(ledger: Ledger) -> None:
    found = a_plan(ledger)
    idea = ledger.queue(study.new_run(
        ledger, dataclasses.replace(TINY, lr=2e-3), 0, TOKENS, found.corpus_id, NOW,
        study.Origin("hand", "an idea", found.id)))
    ended(ledger, 1000.0)
    after = corrected(ledger, found)
    kept = ledger.run(idea.id)
    assert (kept.uid, kept.budget_tokens, kept.seed) == (idea.uid, after.budget_tokens, 0)


def test_what_is_under_way_forbids_it_and_nothing_is_changed(ledger: Ledger) -> None:
    found = a_plan(ledger)
    trained(ledger, 1000.0, 9.0)
    before = [dataclasses.astuple(run) for run in ledger.runs()]
    with pytest.raises(LedgerError, match="B1 is running; its study's budget can change only"):
        corrected(ledger, found)
    assert [dataclasses.astuple(run) for run in ledger.runs()] == before
    assert ledger.calibration(found.id) == found


def test_a_kill_inside_leaves_all_or_nothing(
        ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    found = a_plan(ledger)
    ended(ledger, 1000.0)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "event", killed)  # its last statement
    with pytest.raises(KeyboardInterrupt):
        corrected(ledger, found)
    assert ledger.calibration(found.id) == found
    assert {run.budget_tokens for run in ledger.runs()} == {TOKENS}


def test_a_run_by_hand_is_no_part_of_it(ledger: Ledger) -> None:
    found = a_plan(ledger)
    other = a_run(ledger, seed=9)
    ended(ledger, 1000.0)
    corrected(ledger, found)
    assert ledger.run(other.id) == other
