"""How sure a fitted law is: cells drawn anew with replacement, and the law fitted to each draw.

A cell is what was run with one configuration on one amount of data; its seeds go together, since
another night would have chosen other cells, not other seeds of these (Efron and Tibshirani 1993,
sections 6 and 13). Rows that end on a bound of an exponent are kept: they say that the runs do
not tell it.
"""

from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling.fit import Fit, minimise
from agent.analysis.scaling.forms import Form, Points, foretold, in_words
from engine.model import Array

N_DRAWS = 1000
INSIDE = (2.5, 97.5)  # per cent: a 95 % interval


@dataclass(frozen=True, slots=True)
class Draws:
    """A fitted law and what it became over the draws."""

    fit: Fit
    theta: Array  # (draws, params)

    def interval(self, values: Array) -> tuple[float, float]:
        """The middle 95 % of one number of each draw, (draws,)."""
        low, high = np.percentile(values, INSIDE)
        return float(low), float(high)

    @property
    def ci95(self) -> dict[str, tuple[float, float]]:
        """Of each constant, and of a = β / (α + β): the best N grows as compute to the a."""
        rows = [in_words(self.fit.form, row) for row in self.theta]
        found = {name: self.interval(np.array([row[name] for row in rows])) for name in rows[0]}
        return found | {"a": self.interval(share_of_size(self.fit.form, self.theta))}

    @property
    def correlations(self) -> dict[str, float]:
        """Of each pair of fitted numbers over the draws, "alpha,beta" and so on; those of A, B, E
        and R* are of their logarithms."""
        names, spread = self.fit.form.params, self.theta.std(axis=0)
        scaled = (self.theta - self.theta.mean(axis=0)) / np.where(spread > 0, spread, 1)
        found = scaled.T @ scaled / len(scaled)
        return {f"{one},{other}": float(found[i, j]) for i, one in enumerate(names)
                for j, other in enumerate(names) if i < j}

    def foretold(self, n: float, d: float, u: float | None = None) -> tuple[float, float, float]:
        """The loss foretold at a size and amount, and its 95 % interval, without a run's noise."""
        form = self.fit.form
        losses = foretold(form, self.theta, n, d, u)[:, 0]
        return float(foretold(form, self.fit.theta, n, d, u)[0, 0]), *self.interval(losses)


def share_of_size(form: Form, theta: Array) -> Array:
    """a = β / (α + β), (rows,): the best N grows as compute to the a (Hoffmann, equation 4)."""
    of = form.columns(theta)
    share: Array = (of["beta"] / (of["alpha"] + of["beta"]))[:, 0]
    return share


def draws_of(fit: Fit, points: Points, rng: np.random.Generator, n_draws: int = N_DRAWS) -> Draws:
    """The law fitted to n_draws draws of as many cells as there are, from where it stands."""
    cells, of_run = np.unique(points.cell, return_inverse=True)
    counts = rng.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=n_draws)
    theta, _ = minimise(fit.form, np.repeat(fit.theta[None], n_draws, axis=0), points,
                        counts[:, of_run].astype(float), fit.delta)
    return Draws(fit, theta)
