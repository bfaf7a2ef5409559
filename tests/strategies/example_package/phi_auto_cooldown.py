"""cooldown: keep the learning rate constant, then decay it, and find out for how long.

A longer decay lowers the loss, up to a fifth of the steps or so: Hägele et al. 2024,
arXiv:2405.18392.
"""

from collections.abc import Iterator, Sequence

from numpy.random import Generator

from engine.config import Config
from strategies.base import DEFAULT_LIMITS, Change, Limits, Outcome, Proposal, fresh, shuffled

FIRST = (0.1, 0.2, 0.4)  # parts of all steps, where there was no such decay before
FACTORS = (1.5, 2.0, 0.67, 0.5)  # longer before shorter


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, rng), parent, history, limits, "cooldown")


def _candidates(parent: Config, rng: Generator) -> Iterator[Change]:
    """Nothing for schedule_free, which averages where others decay."""
    if parent.optimizer == "schedule_free":
        return
    if parent.schedule != "wsd":
        for part in shuffled(FIRST, rng):
            yield Change({"schedule": "wsd", "decay_frac": part}, "full speed, then a cooldown")
        return
    for factor in FACTORS:
        why = "a longer cooldown" if factor > 1 else "a shorter cooldown"
        yield Change({"decay_frac": (parent.decay_frac or 0.1) * factor}, why)
