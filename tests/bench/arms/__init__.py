"""The arms of tests.bench.search: one space, one trainer, one sum of training tokens for each.

agent      agent/search/campaign.py over a ledger of its own, as the daemon drives it: calibration,
           search, confirmation and ablation are all paid from the same tokens
agent-new  the same without the prior, as `agent run --no-prior`: what it finds is its own
agent-all  the same as a person has it: with every field and optimizer that the engine knows. Its
           lead is that of the larger space and not of the search alone
tpe        Optuna's TPESampler(multivariate=True) and MedianPruner, which looks at a quarter and at
           half of a run
tpe-plain  Optuna's TPESampler(multivariate=False), its default up to version 4; no pruner
cma        Optuna's CmaEsSampler on the numeric axes, its mean at the start; the choices at random
random     Optuna's RandomSampler
rule       one random mutation of the head, kept where it is better on the night's one seed
tpe-deaf   tpe, but a trial that may not run is told it failed, of which TPE takes no note

`course` is what all are given, `agent`, `samplers` and `rule` are theirs, `night` is the door.
"""

from dataclasses import replace
from typing import Any

from tests.bench.arms import agent, rule, samplers
from tests.bench.arms.course import FRESH, SEEDS_APART, Course, Fresh, Report, Standing

OWN = ("agent", "agent-new", "agent-all")
ARMS = (*OWN, "tpe", "tpe-plain", "cma", "random", "rule", "tpe-deaf")
N_MARKS = 8  # of a night's tokens, evenly, where what it would hand over is scored


def packages_of(arm: str) -> tuple[str, ...]:
    """What an arm needs of the extra `bench`."""
    if arm in (*OWN, "rule"):
        return ()
    return ("optuna", "cmaes") if arm == "cma" else ("optuna",)


def night(arm: str, number: int, course: Course, report: Report,
          is_anytime: bool = False) -> dict[str, Any]:
    """One night of an arm, its winner scored on fresh seeds on the test shard: plain values."""
    seed = SEEDS_APART * (number + 1)
    if arm in OWN:
        own = replace(course, is_bound=arm != "agent-all")
        found = agent.agent_night(own, seed, report, with_prior=arm != "agent-new")
    elif arm == "rule":
        found = rule.rule_night(course, seed, report)
    else:
        found = samplers.optuna_night(course, seed, arm, report)
    fresh = Fresh(course, range(seed + FRESH, seed + FRESH + course.n_fresh))
    winner, head = found.handed[-1], found.heads[-1] if found.heads else None
    return {
        "arm": arm, "night": number, "winner": winner.config.to_dict(),
        "winner_text": winner.config.describe(), "winner_is": winner.what,
        "claimed_gain": found.claimed_gain, "n_runs": found.n_runs, "tokens": found.tokens,
        "tokens_by_kind": dict(found.tokens_by_kind), "wasted": dict(found.wasted),
        "verdicts": dict(found.verdicts), "end": found.end, "story": found.story,
        "handed": [one.to_dict() for one in found.handed],
        "heads": [one.to_dict() for one in found.heads],
        "unigram_bpb": course.tokens.bpb(course.tokens.yardsticks.unigram),
        "start_bpb": fresh.bpb(course.start), "fresh_bpb": fresh.bpb(winner.config),
        "head_bpb": fresh.bpb(head.config) if head else None,
        "anytime": anytime(course, found.handed, found.heads, fresh) if is_anytime else None}


def anytime(course: Course, handed: list[Standing], heads: list[Standing],
            fresh: Fresh) -> dict[str, Any]:
    """Fresh-seed scores of what the night would have handed over at each mark, and of its head.

    Each configuration is trained once. A head is scored only while the night has N_MARKS of them
    or fewer beside its start, the last ones first; None where it is not.
    """
    total = course.n_runs * course.budget_tokens
    marks = [round(total * i / N_MARKS) for i in range(N_MARKS + 1)]
    of_handed = [fresh.bpb(one.config) for one in at_marks(handed, marks)]
    of_heads: list[list[float | None] | None] = []
    for one in reversed(at_marks(heads, marks)):
        is_scored = fresh.knows(one.config) or fresh.n_known <= N_MARKS
        of_heads.insert(0, fresh.bpb(one.config) if is_scored else None)
    return {"tokens": marks, "bpb": of_handed, "head_bpb": of_heads or None}


def at_marks(standings: list[Standing], marks: list[int]) -> list[Standing]:
    """The standing at each mark; at the last one that of the night's end."""
    if not standings:  # of an arm that has no head beside what it hands over
        return []
    found = [[one for one in standings if one.tokens <= mark][-1] for mark in marks[:-1]]
    return [*found, standings[-1]]
