"""What speaks for a law and what against it: against other laws, against seeds, against a run
larger than all that it was fitted to."""

import math
from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling.bootstrap import Draws, draws_of
from agent.analysis.scaling.fit import DELTA, Fit, fit
from agent.analysis.scaling.forms import Form, Points, log_loss
from agent.search import student
from engine.model import Array

LARGEST = 0.1  # of the cells, by compute, are held out, one at least
FLOPS = 6  # a parameter and a token: what orders the cells


def aicc(squares: Fit, points: Points) -> float:
    """Akaike's criterion for few points, of a law's least squares of ln L; less is better.

    Hurvich and Tsai 1989: n ln(squares / n) + 2k + 2k(k + 1) / (n − k − 1), k with the variance.
    Infinite where there are no more points than that.
    """
    n, k = len(points), len(squares.form.params) + 1
    if n - k - 1 <= 0:
        return math.inf
    likelihood = n * math.log(max(2 * squares.objective, 1e-300) / n)
    return likelihood + 2 * k + 2 * k * (k + 1) / (n - k - 1)


@dataclass(frozen=True, slots=True)
class LackOfFit:
    """Whether the law misses the cells by more than seeds of one cell differ."""

    sigma: float  # of ln L, over the seeds of a cell
    off: float  # root mean square, of ln L, by which the law misses the cells' means
    n_replicated: int  # cells with two seeds or more
    p: float  # of so much or more by chance, were the law true

    @property
    def is_lacking(self) -> bool:
        return self.p < 0.05


def lack_of_fit(squares: Fit, points: Points) -> LackOfFit | None:
    """By Fisher's ratio of what is between cells to what is within; None without replicates.

    squares  the law's least squares of ln L
    """
    form, ln = squares.form, np.log(points.loss)
    cells, of_run, counts = np.unique(points.cell, return_inverse=True, return_counts=True)
    means = np.bincount(of_run, ln) / counts
    within = float(np.sum((ln - means[of_run]) ** 2))
    df_within, df_between = len(points) - len(cells), len(cells) - len(form.params)
    if df_within < 1 or df_between < 1 or within <= 0:
        return None
    foretold = log_loss(form, squares.theta[None], points)[0][0]
    between = float(np.sum((means[of_run] - foretold) ** 2))
    ratio = (between / df_between) / (within / df_within)
    return LackOfFit(math.sqrt(within / df_within), math.sqrt(between / len(points)),
                     int(np.sum(counts > 1)), student.f_tail(ratio, df_between, df_within))


@dataclass(frozen=True, slots=True)
class HoldOut:
    """How well the law of all smaller runs foretold the largest ones."""

    n_runs: int
    error_percent: float  # mean of foretold over measured, less one: above 0 foretold too much
    worst_percent: float  # the largest of them, without its sign
    in_sigmas: float  # root mean square of the errors over what was to be expected of each


def hold_out(form: Form, points: Points, rng: np.random.Generator, sigma: float | None,
             n_draws: int = 200) -> HoldOut | None:
    """The largest tenth of the cells by compute left out, foretold by the rest.

    An error is expected to be as large as the fit is unsure of it, together with a run's own
    noise: sigma of ln L over seeds, or what the fit leaves. None where too little is left.
    """
    which = largest(points)
    rest, held = points.only(~which), points.only(which)
    if len(np.unique(rest.cell)) <= len(form.params) + 1:
        return None
    draws = draws_of(fit(form, rest, DELTA), rest, rng, n_draws)
    foretold = log_loss(form, draws.fit.theta[None], held)[0][0]
    spread = log_loss(form, draws.theta, held)[0].std(axis=0)
    error = foretold - np.log(held.loss)
    noise = sigma if sigma else residual_sigma(draws, rest)
    return HoldOut(len(held), float(100 * np.mean(np.expm1(error))),
                   float(100 * np.max(np.abs(np.expm1(error)))),
                   float(np.sqrt(np.mean(error ** 2 / (spread ** 2 + noise ** 2)))))


def largest(points: Points) -> Array:
    """Which runs, (n,) bool, are of the largest tenth of the cells by 6 N D."""
    cells, first = np.unique(points.cell, return_index=True)
    compute = (FLOPS * points.n * points.d)[first]
    n_held = max(1, round(LARGEST * len(cells)))
    return np.isin(points.cell, cells[np.argsort(compute, kind="stable")[-n_held:]])


def residual_sigma(draws: Draws, points: Points) -> float:
    """Standard deviation of what the law leaves of ln L, in the middle: 1.4826 · MAD."""
    left = np.log(points.loss) - log_loss(draws.fit.form, draws.fit.theta[None], points)[0][0]
    return float(1.4826 * np.median(np.abs(left - np.median(left))))
