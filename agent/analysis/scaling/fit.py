"""The constants of a law that fit the runs best: robust, and many fits at once.

What is made least is the sum over runs of Huber(δ) of the difference in ln L (Hoffmann et al.
2022, arXiv:2203.15556, section 3.3, with the sum of Besiroglu et al. 2024, arXiv:2404.10102: a
mean ends optimisers early). Begun by variable projection (Golub and Pereyra 1973): on a grid of
exponents the other constants are a linear fit. Then damped Gauss-Newton steps on the weighted
squares that lie above Huber's sum and touch it where one stands (Huber 1981, section 7.8), so
that no accepted step makes it larger.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling.forms import Form, Points, log_loss, worth
from engine.model import Array

DELTA = 1e-3  # of Huber's loss: of Hoffmann et al.
SQUARES = np.inf  # in its place: least squares of ln L
EXPONENTS = (0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
REPEATS = (2.0, 15.0, 60.0)  # R* to begin from; 15.4 is the one of Muennighoff et al.
LEAST = 1e-6  # of a loss: where a term of a start is nothing, its logarithm begins there
N_STARTS = 12  # the best of the grid, each followed to its end
MAX_STEPS = 400
CLOSE = 1e-13  # a relative gain of a step that is none
N_CLOSE = 8  # such steps in turn end a fit
BOUND = {"alpha": (1e-3, 6.0), "beta": (1e-3, 6.0), "gamma": (1e-3, 6.0),
         "lnR": (-3.0, 9.0), "lnE": (-9.0, 5.0)}


@dataclass(frozen=True, slots=True)
class Fit:
    """A law with the constants that fit best."""

    form: Form
    theta: Array  # (params,) in the order of form.params
    objective: float  # the sum of Huber's losses
    delta: float


def fit(form: Form, points: Points, delta: float = DELTA) -> Fit:
    """The best of many starts."""
    starts = projected(form, points)
    theta, found = minimise(form, starts, points, np.ones((1, len(points))), delta)
    best = int(np.argmin(found))
    return Fit(form, theta[best], float(found[best]), delta)


def objective(form: Form, theta: Array, points: Points, delta: float = DELTA) -> Array:
    """The sum of Huber's losses, (rows,), for rows of parameters."""
    residual = np.log(points.loss) - log_loss(form, np.atleast_2d(theta), points)[0]
    value: Array = huber(residual, delta).sum(axis=1)
    return value


def huber(residual: Array, delta: float) -> Array:
    """r²/2 near nothing, δ(|r| − δ/2) beyond δ."""
    if not np.isfinite(delta):
        return residual * residual / 2
    size = np.abs(residual)
    return np.where(size <= delta, residual * residual / 2, delta * (size - delta / 2))


# --- where to begin --------------------------------------------------------------------------


def projected(form: Form, points: Points) -> Array:
    """Starts, (rows, params): the exponents of a grid with the constants that fit them best."""
    found: list[tuple[float, list[float]]] = []
    is_one = "gamma" in form.params
    for alpha, beta, r in itertools.product(EXPONENTS, EXPONENTS[:1] if is_one else EXPONENTS,
                                            REPEATS if form.is_of_repeats else (1.0,)):
        known = {"alpha": alpha, "beta": beta, "gamma": alpha, "lnR": float(np.log(r))}
        columns = _terms(form, known | ({"beta": alpha} if is_one else {}), points)
        columns /= points.loss[:, None]
        scale = columns.max(axis=0)
        constants, left = _least_not_negative(columns / scale)
        logs = np.log(np.maximum(constants, LEAST) / scale)
        known |= dict(zip(("lnA", "lnB", "lnE"), map(float, logs), strict=False))
        found.append((left, [known[name] for name in form.params]))
    found.sort(key=lambda one: one[0])
    return np.array([theta for _, theta in found[:N_STARTS]])


def _terms(form: Form, known: Mapping[str, float], points: Points) -> Array:
    """Each term for a constant of one, (n, terms): linear in what _least_not_negative finds."""
    ln_d = np.log(points.d)
    if form.is_of_repeats:
        ln_d = worth(points.d, points.u, known["lnR"])[0]
    terms = [np.exp(-known["alpha"] * np.log(points.n)), np.exp(-known["beta"] * ln_d)]
    return np.stack([*terms, *([np.ones(len(points))] if form.has_floor else [])], axis=1)


def _least_not_negative(columns: Array) -> tuple[Array, float]:
    """Constants of at least 0 with which the columns come nearest to one, and the squares left.

    With two or three columns every set of those that are not 0 is tried.
    """
    n, best, left = columns.shape[1], np.zeros(columns.shape[1]), float(len(columns))
    for size in range(1, n + 1):
        for which in itertools.combinations(range(n), size):
            part = columns[:, which]
            found = np.linalg.lstsq(part, np.ones(len(part)), rcond=None)[0]
            squares = float(np.sum((part @ found - 1) ** 2))
            if (found >= 0).all() and squares < left:
                best, left = np.zeros(n), squares
                best[list(which)] = found
    return best, left


# --- downhill --------------------------------------------------------------------------------


def minimise(form: Form, theta: Array, points: Points, weights: Array,
             delta: float = DELTA) -> tuple[Array, Array]:
    """Each row of parameters followed downhill: ends, (rows, params), and objectives, (rows,).

    weights  (rows, n) or (1, n): how often each run counts
    """
    theta, weights = theta.copy(), np.broadcast_to(weights, (len(theta), len(points)))
    ends, values = theta.copy(), np.full(len(theta), np.inf)
    open_rows, n_close = np.arange(len(theta)), np.zeros(len(theta), int)
    damping = np.full(len(theta), 1e-2)
    state = _look(form, theta, points, weights, delta)
    for _ in range(MAX_STEPS):
        wanted = _bounded(form, theta + _step(state, damping))
        tried = _look(form, wanted, points, weights, delta)
        gain = state[0] - tried[0]
        is_down = gain > 0
        theta = np.where(is_down[:, None], wanted, theta)
        state = tuple(np.where(is_down.reshape(-1, *([1] * (new.ndim - 1))), new, old)
                      for new, old in zip(tried, state, strict=True))
        damping = np.clip(np.where(is_down, damping / 3, damping * 4), 1e-10, 1e10)
        n_close = np.where(gain > CLOSE * state[0], 0, n_close + 1)
        is_open = n_close < N_CLOSE
        if not is_open.all():
            ends[open_rows], values[open_rows] = theta, state[0]
            open_rows, theta, n_close = open_rows[is_open], theta[is_open], n_close[is_open]
            damping, weights = damping[is_open], weights[is_open]
            state = tuple(one[is_open] for one in state)
            if not open_rows.size:
                break
    ends[open_rows], values[open_rows] = theta, state[0]
    return ends, values


def _look(form: Form, theta: Array, points: Points, weights: Array,
          delta: float) -> tuple[Array, ...]:
    """The objective of each row, (rows,), with its gradient and the curvature of what lies above
    it: (rows, params), (rows, params, params)."""
    foretold, slopes = log_loss(form, theta, points)
    residual = np.log(points.loss) - foretold
    value = (weights * huber(residual, delta)).sum(axis=1)
    size = np.maximum(np.abs(residual), 1e-300)
    pull = weights * (np.minimum(1, delta / size) if np.isfinite(delta) else 1)
    return (value, np.einsum("rnk,rn->rk", slopes, pull * residual),
            np.matmul((slopes * pull[..., None]).transpose(0, 2, 1), slopes))


def _step(state: tuple[Array, ...], damping: Array) -> Array:
    _, downhill, curvature = state
    diagonal = np.einsum("rkk->rk", curvature)
    damped = curvature.copy()
    entries = np.arange(curvature.shape[1])
    damped[:, entries, entries] += damping[:, None] * diagonal + 1e-14
    return np.linalg.solve(damped, downhill[..., None])[..., 0]


def _bounded(form: Form, theta: Array) -> Array:
    for i, name in enumerate(form.params):
        if name in BOUND:
            theta[:, i] = np.clip(theta[:, i], *BOUND[name])
    return theta
