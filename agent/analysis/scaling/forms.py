"""The laws that a loss over size and data may follow, and what each foretells.

    floor       L = E + A/N^α + B/D^β       Hoffmann et al. 2022, arXiv:2203.15556, section 3.3
    no floor    L = A/N^α + B/D^β           the same with E = 0
    repetition  L = E + A/N^α + B/D'^β      Muennighoff et al. 2023, arXiv:2305.16264, section 3
    one exponent  L = E + A/N^γ + B/D^γ     Gadre et al. 2024, arXiv:2403.08540, section 2.2:
                                            for few runs, which tell no more

N are parameters, D the tokens seen, U ≤ D those of them that are different. In a repeated token
is less than in a new one: D' = U + U·R*·(1 − exp(−(D/U − 1)/R*)), so that D' = D where nothing is
repeated, and at most U·(1 + R*). All is computed in logarithms: ln L is the logarithm of a sum of
exponentials of terms that are linear in what is fitted, but for R*.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.model import Array

LARGEST_LOG = 40.0  # of a ratio of terms: beyond it the smaller one is nothing in a float64


@dataclass(frozen=True, slots=True)
class Form:
    """One law by its name and what is fitted of it, in the order of a row of parameters."""

    name: str
    words: str
    params: tuple[str, ...]  # lnA, lnB, alpha and beta or gamma, lnE and lnR where it has them

    @property
    def has_floor(self) -> bool:
        return "lnE" in self.params

    @property
    def is_of_repeats(self) -> bool:
        return "lnR" in self.params

    def columns(self, theta: Array) -> dict[str, Array]:
        """Each name's column, (rows, 1), of rows of parameters; gamma is alpha and beta."""
        found = {name: theta[:, i:i + 1] for i, name in enumerate(self.params)}
        return ({"alpha": found["gamma"], "beta": found["gamma"]} if "gamma" in found else {}) | (
            found)


FLOOR = Form("floor", "E + A/N^α + B/D^β", ("lnA", "lnB", "alpha", "beta", "lnE"))
NO_FLOOR = Form("no floor", "A/N^α + B/D^β", ("lnA", "lnB", "alpha", "beta"))
REPETITION = Form("repetition", "E + A/N^α + B/D'^β",
                  ("lnA", "lnB", "alpha", "beta", "lnE", "lnR"))
ONE_EXPONENT = Form("one exponent", "E + A/N^γ + B/D^γ", ("lnA", "lnB", "gamma", "lnE"))
FORMS = (FLOOR, NO_FLOOR, REPETITION)


@dataclass(frozen=True, slots=True)
class Points:
    """What was measured: one entry a run."""

    n: Array  # (n,) float64 parameters, by one convention
    d: Array  # (n,) float64 tokens seen
    u: Array  # (n,) float64 different tokens among them
    loss: Array  # (n,) float64 nats per token
    cell: Array  # (n,) int64: runs that differ in nothing but the seed share a number

    def __len__(self) -> int:
        return int(self.loss.size)

    def only(self, which: Array) -> "Points":
        """Those of the entries that `which`, (n,) bool or indices, picks."""
        return Points(self.n[which], self.d[which], self.u[which], self.loss[which],
                      self.cell[which])


def worth(d: Array, u: Array, ln_r: Any) -> tuple[Array, Array]:
    """ln D', the worth of d tokens of which u are different, and its derivative by ln R*.

    Rows of ln_r, (rows, 1), against the points, (n,).
    """
    passes = np.maximum(d / u - 1, 0)  # beyond the first
    r = np.exp(ln_r)
    share = passes / r
    gone = np.exp(-share)
    fresh = np.minimum(d, u)
    added = -np.expm1(-share) * r  # passes' worth
    return (np.log(fresh) + np.log1p(added),
            (added - passes * gone) / (1 + added))


def log_loss(form: Form, theta: Array, points: Points) -> tuple[Array, Array]:
    """ln L, (rows, n), and its derivatives, (rows, n, params), for rows of parameters.

    theta  (rows, params) in the order of form.params
    """
    ln_n, ln_d, of = np.log(points.n), np.log(points.d), form.columns(theta)
    if form.is_of_repeats:
        ln_d, slope = worth(points.d, points.u, of["lnR"])
    terms = [of["lnA"] - of["alpha"] * ln_n, of["lnB"] - of["beta"] * ln_d]
    if form.has_floor:
        terms.append(np.broadcast_to(of["lnE"], terms[0].shape))
    largest = np.maximum.reduce(terms)
    parts = [np.exp(np.maximum(term - largest, -LARGEST_LOG)) for term in terms]
    total = np.add.reduce(parts)
    of_n, of_d = parts[0] / total, parts[1] / total
    slopes = {"lnA": of_n, "lnB": of_d, "alpha": -of_n * ln_n, "beta": -of_d * ln_d}
    slopes["gamma"] = slopes["alpha"] + slopes["beta"]
    if form.has_floor:
        slopes["lnE"] = parts[2] / total
    if form.is_of_repeats:
        slopes["lnR"] = -of_d * of["beta"] * slope
    return largest + np.log(total), np.stack([slopes[name] for name in form.params], axis=-1)


def foretold(form: Form, theta: Array, n: Any, d: Any, u: Any = None) -> Array:
    """Losses in nats per token: (rows, n) of each row of parameters at each point."""
    n, d = np.broadcast_arrays(np.atleast_1d(np.asarray(n, float)),
                               np.atleast_1d(np.asarray(d, float)))
    u = d if u is None else np.broadcast_to(np.asarray(u, float), d.shape)
    nothing = np.zeros_like(n)
    ln, _ = log_loss(form, np.atleast_2d(theta), Points(n, d, u, nothing, nothing))
    return np.exp(ln)


def in_words(form: Form, theta: Array) -> dict[str, float]:
    """The law's constants by the names of the literature: A, B, E, R*, alpha, beta."""
    names = {"lnA": "A", "lnB": "B", "lnE": "E", "lnR": "R*"}
    return {names.get(name, name): float(np.exp(value) if name in names else value)
            for name, value in zip(form.params, theta, strict=True)}
