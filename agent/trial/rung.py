"""The one rung at which a run may end early, pure: what compares there, and what is too bad.

A run is scored after a quarter of its budget, and compared with runs of the same kind of schedule.
With ten such scores, a later run must be among the better 30 % to go on; one in ten goes on all the
same, so that the rung keeps being checked: where its order is not that of the final scores, it is
switched off. All scores are bits per byte, which are finite. A score at the rung is never a final
one.

The rule is successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) cut to one rung.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.config import Config

SHARE = 0.25  # of the budget
KEPT_PCT = 30
FINISHING_SHARE = 0.1  # of those over the limit, by chance
MIN_RUNGS, MIN_BOTH = 10, 6
MIN_SPEARMAN = 0.6


@dataclass(frozen=True, slots=True)
class Word:
    """What the rung asks of a run, and why."""

    max_bpb: float | None  # above it the run ends; None where it goes on whatever its score
    reason: str


def kind(config: Config) -> str | None:
    """What a score at the rung compares with: runs of the same kind of schedule; None: nothing.

    At the same share of the same schedule runs are at the same point of their way, be it that the
    rate still falls; what still warms up there, or decays already where others do not, is not.
    """
    if config.warmup_frac > SHARE:
        return None
    if config.optimizer == "schedule_free":
        return "schedule_free"  # scored at its average
    if config.schedule == "wsd" and config.decay_frac > 1 - SHARE:
        return None
    return config.schedule


def step_of(config: Config, budget_tokens: int) -> int | None:
    """Updates after which a run is at the rung; None where nothing compares there.

    Rounded as the schedule's own parts are, so that they never meet it.
    """
    step = round(SHARE * config.steps_for(budget_tokens))
    return step if step and kind(config) else None


def limit(rungs: Sequence[float], finals: Sequence[float | None], draw: float) -> float | None:
    """The most bits per byte at the rung with which a run goes on; None: it goes on anyway.

    rungs   scores at the rung of all earlier runs that compare, whether they went on or not
    finals  their final scores in the same order, None where there is none
    draw    in [0, 1), by chance: whether this run would go on all the same
    """
    return word(rungs, finals, draw).max_bpb


def word(rungs: Sequence[float], finals: Sequence[float | None], draw: float) -> Word:
    """The limit with its reason in words; arguments as of `limit`."""
    if len(rungs) < MIN_RUNGS:
        return Word(None, f"{len(rungs)} runs have been at the rung, and it takes {MIN_RUNGS} to "
                    "know what is good there")
    both = [(rung, final) for rung, final in zip(rungs, finals, strict=True) if final is not None]
    if len(both) < MIN_BOTH:
        return Word(None, f"{len(both)} runs have both a rung and an end, and it takes {MIN_BOTH} "
                    "to know whether the rung tells the end")
    rho = spearman([rung for rung, _ in both], [final for _, final in both])
    if rho is None:
        return Word(None, f"the rung is off: the {len(both)} runs that went on do not differ")
    known = f"Spearman {rho:.2f} between rung and end over {len(both)} runs"
    if rho < MIN_SPEARMAN:
        return Word(None, f"the rung is off: {known}, under {MIN_SPEARMAN}")
    if draw < FINISHING_SHARE:
        return Word(None, "it goes on whatever its rung, as one run in ten does: the rung is "
                    "checked by it")
    max_bpb = sorted(rungs)[-(-KEPT_PCT * len(rungs) // 100) - 1]
    return Word(max_bpb, f"{max_bpb:.4f} bits/byte at the rung bounds the better {KEPT_PCT} % of "
                f"{len(rungs)} runs ({known})")


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation in [−1, 1]: Pearson's of the ranks; None where either does not vary."""
    a, b = ranks(first), ranks(second)
    mean = (len(a) + 1) / 2  # of the ranks 1 … n, tied or not
    squares = sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b)
    if not squares:
        return None
    product: float = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    return product / math.sqrt(squares)


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, 1 for the smallest; equal ones share the mean of theirs."""
    ordered = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    last = {value: place for place, value in enumerate(ordered)}
    return [1 + (first[value] + last[value]) / 2 for value in values]
