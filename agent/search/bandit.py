"""Which strategy is asked next: Thompson sampling over what each has earned lately.

The reward of a run is its gain over the head in units of the noise, clipped, per unit of cost; the
past fades, since what helps a poor head differs from what helps a good one. Source: Thompson 1933;
discounting as in Garivier and Moulines 2011, arXiv:0805.3415.
"""

import math
import random
from collections.abc import Sequence

DISCOUNT = 0.97  # of everything earned, at each further run
FLOOR = 0.05  # no strategy is asked less often than this
LARGEST_REWARD = 8.0  # in units of s_d: one lucky jump must not rule for the night
PRIOR_WEIGHT = 1.0  # runs that the first guess is worth
PRIOR_REWARD = 0.5
# The one field to tune where only one can be: Goodfellow et al. 2016, Deep Learning, 11.4.1.
PRIOR_REWARDS = {"learning_rate": 3.0}

# Whom a search asks while it finds something, and on the first and the second plateau; None: all.
CLASSES = (None, ("efficiency", "sequence_length", "random", "explore"),
           ("scale_up", "scale_down", "explore"))
CLASS_NAMES = ("any", "structure", "size")


class Bandit:
    """Discounted sums of rewards by strategy."""

    def __init__(self) -> None:
        self._n: dict[str, float] = {}
        self._total: dict[str, float] = {}

    def reward(self, name: str, gain: float | None, s_d: float | None, cost: float) -> None:
        """Take in one run of a strategy.

        gain  over the head, bits per byte; None where the run failed
        cost  in runs of the baseline
        """
        for known in self._n:
            self._n[known] *= DISCOUNT
            self._total[known] *= DISCOUNT
        earned = 0.0 if gain is None or not s_d else min(max(gain / s_d, 0.0), LARGEST_REWARD)
        self._n[name] = self._n.get(name, 0.0) + 1
        self._total[name] = self._total.get(name, 0.0) + earned / max(cost, 1e-9)

    def order(self, names: Sequence[str], rng: random.Random) -> list[str]:
        """The names as they are to be asked, the chosen one first."""
        ranked = sorted(names, key=lambda name: -self._draw(name, rng))
        if rng.random() < FLOOR * len(names):
            chosen = names[rng.randrange(len(names))]
            ranked.remove(chosen)
            ranked.insert(0, chosen)
        return ranked

    def expected(self, name: str) -> float:
        """Mean reward of a strategy, the first guess taken in."""
        n = self._n.get(name, 0.0) + PRIOR_WEIGHT
        first = PRIOR_REWARDS.get(name, PRIOR_REWARD)
        return (self._total.get(name, 0.0) + PRIOR_WEIGHT * first) / n

    def _draw(self, name: str, rng: random.Random) -> float:
        n = self._n.get(name, 0.0) + PRIOR_WEIGHT
        return self.expected(name) + rng.gauss(0.0, 1.0) / math.sqrt(n)
