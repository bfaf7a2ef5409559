"""A study's budget, corrected once: where its first baseline does not run as fast as was measured.

A speed measured in some seconds may be far off: the machine was busy, or has slowed down since. No
idea has been judged by then, so the study begins anew with a budget that its planned time holds.

What a budget was planned for, and that it was corrected, are events of the ledger. Everything is
decided by the ledger alone, so a daemon that dies at any moment corrects neither twice nor by half.
"""

from dataclasses import dataclass

from agent import words
from agent.ledger import Calibration, Ledger, Run
from agent.search import study
from engine.config import Config

PLANNED, CORRECTED = "budget_plan", "budget"  # kinds of the events
OFF = 1.5  # times the measured speed, either way
WORTH = 0.1  # of the budget: for less no baseline is begun anew
SEEN_S = 2 * study.MEASURE_S  # of training tell more than the measurement did
SEEN_SHARE = 0.25  # of a planned run: a phone that grows hot takes longer to tell
ENDED_ALIVE = ("queued", "running", "finished")  # states of a baseline whose speed tells


@dataclass(frozen=True, slots=True)
class Correction:
    """What a study's budget is to become, and why."""

    study: Calibration
    run: Run  # the baseline that told
    tok_per_s: float  # of it
    budget_tokens: int
    run_s: float
    seeds: list[int]

    def in_words(self) -> str:
        return (f"the budget is corrected once, before any idea: {self.run.label} trains "
                f"{self.tok_per_s:,.0f} tokens/s where {self.study.tok_per_s or 0:,.0f} were "
                f"measured, so {self.study.budget_tokens:,} → {self.budget_tokens:,} tokens a "
                f"run, about {words.duration(self.run_s)} each; the baseline begins anew")


def note_plan(ledger: Ledger, study_id: int, speed: study.Speed, run_s: float, now: str) -> None:
    """Note what a budget was planned for; one that a person gave in tokens has no such note."""
    ledger.event(PLANNED, f"planned for runs of {words.duration(run_s)} at "
                 f"{speed.tok_per_s:,.0f} tokens/s", now, data={
                     "calibration_id": study_id, "run_s": run_s,
                     "eval_token_s": speed.eval_token_s})


def look(ledger: Ledger, found: Calibration, seed: int) -> tuple[bool, Correction | None]:
    """Whether nothing will change the budget any more, and the correction that is due.

    seed  of the night: the first of the baseline's, as far as they are free
    """
    plan = _plan(ledger, found)
    runs = ledger.study_runs(found.id)
    if plan is None or not found.tok_per_s or not _may_change(ledger, found, runs):
        return True, None
    first = next((run for run in runs if run.strategy == "baseline"
                  and run.state in ENDED_ALIVE), None)
    speed = None if first is None else _tok_per_s(ledger, first, plan["run_s"])
    if first is None or speed is None:
        return False, None
    if 1 / OFF <= found.tok_per_s / speed <= OFF:
        return first.state == "finished", None  # else it may still slow down
    correction = _correction(ledger, found, first, speed, plan, seed)
    return correction is None, correction


def correct(ledger: Ledger, due: Correction, now: str) -> Calibration:
    """The study with its new budget: one transaction, and all of its runs wait under that budget.

    What a baseline that was begun has left lies in the folder of its old uid, which the event
    names; one that has finished stays as a measurement of its own.
    """
    config = Config.from_dict(due.study.config)
    ledger.replan(
        due.study.id, {
            "budget_tokens": due.budget_tokens, "run_s": due.run_s, "tok_per_s": due.tok_per_s,
            "flops_per_s": due.tok_per_s * config.flops_per_token},
        {seed: study.baseline_reason(number, len(due.seeds))
         for number, seed in enumerate(due.seeds, 1)},
        CORRECTED, due.in_words(), now, {
            "calibration_id": due.study.id, "budget_tokens": due.budget_tokens,
            "was_tokens": due.study.budget_tokens, "tok_per_s": due.tok_per_s,
            "was_tok_per_s": due.study.tok_per_s, "run": due.run.label})
    return ledger.calibration(due.study.id)


def left_behind(ledger: Ledger) -> list[str]:
    """Uids under which baselines ran before their budget was corrected: no run has them now."""
    return [uid for event in ledger.events_of(CORRECTED)
            for uid in (event.data or {}).get("left", []) if not ledger.has_uid(uid)]


def _plan(ledger: Ledger, found: Calibration) -> dict[str, float] | None:
    """What a budget was planned for; None where it was given, or has been corrected."""
    def of_study(kind: str) -> list[dict[str, float]]:
        return [event.data for event in ledger.events_of(kind)
                if event.data and event.data.get("calibration_id") == found.id]

    planned = of_study(PLANNED)
    return planned[0] if planned and not of_study(CORRECTED) else None


def _may_change(ledger: Ledger, found: Calibration, runs: list[Run]) -> bool:
    """Whether nothing would be lost: no idea has ended, nor a second seed of the baseline."""
    ended = [run for run in runs if run.state not in ("queued", "running")]
    n_finished = sum(run.state == "finished" for run in ended)
    is_shared = any(run.calibration_id != found.id for run in ledger.baselines(found))
    return n_finished <= 1 and not is_shared and all(
        run.strategy == "baseline" for run in ended)


def _tok_per_s(ledger: Ledger, run: Run, planned_s: float) -> float | None:
    """Tokens a second of a baseline; None while it has not trained long enough to tell."""
    if run.state == "finished":
        return run.tok_per_s
    told = [metric for metric in ledger.metrics(run.id) if metric.tok_per_s]
    if not told or not told[-1].tok_per_s:
        return None
    seen_s = told[-1].tokens / told[-1].tok_per_s
    return told[-1].tok_per_s if seen_s >= max(SEEN_S, SEEN_SHARE * planned_s) else None


def _correction(ledger: Ledger, found: Calibration, first: Run, tok_per_s: float,
                plan: dict[str, float], seed: int) -> Correction | None:
    """None where the budget stays about what it is: the least there is, or its time was well met.
    """
    config = Config.from_dict(found.config)
    assert found.tok_per_s is not None  # just looked at
    # What made training slower made scoring slower, too.
    slower = found.tok_per_s / tok_per_s
    speed = study.Speed(config.tokens_per_step / tok_per_s, plan["eval_token_s"] * slower,
                        config.tokens_per_step, first.replicas or 1)
    n_valid = ledger.corpus(found.corpus_id).n_tokens_search or 1
    budget = study.plan_budget(speed, config, n_valid, plan["run_s"])
    if abs(budget / found.budget_tokens - 1) < WORTH:
        return None
    while ledger.runs_on(found.text_sha256, budget):
        budget += config.tokens_per_step  # a budget of its own, so that no run is there already
    seeds = found.seeds or []
    fresh, planned = (study.baseline_seeds(ledger, found.text_sha256, config, n, seed,
                                           found.kernels)
                      for n in (budget, found.budget_tokens))
    seeds = fresh if seeds == planned else seeds
    return Correction(found, first, tok_per_s, budget, speed.run_s(config, budget, n_valid), seeds)
