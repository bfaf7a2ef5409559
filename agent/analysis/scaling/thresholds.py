"""At how many tokens a model of each size passes each yardstick: as runs bracket it, and as the law
foretells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling.bootstrap import Draws
from agent.analysis.scaling.forms import Form, Points, foretold
from engine.model import Array

FROM, TO = 3.0, 12.0  # decades of tokens between which a law is asked
N_GRID = 361


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Where one size passes one yardstick along one axis, the other at its most."""

    yardstick: str
    nats: float
    axis: str  # tokens, or unique: different tokens
    size: float  # parameters
    above: float | None  # the most tokens with which it is still above; None: below from the least
    below: float | None  # the fewest with which it is below for good; None: never
    foretold: float | None = None  # by the law; None: never, or there is no law
    low: float | None = None  # 95 % interval; None: beyond what was asked
    high: float | None = None


def bracket(tokens: Sequence[float], losses: Sequence[float],
            nats: float) -> tuple[float | None, float | None]:
    """The most tokens of a run above the yardstick and the fewest of those after it, all below.

    Seeds of one amount are averaged before. More data that is worse again (a small text learnt by
    heart) moves the bracket to behind it.
    """
    rows: dict[float, list[float]] = {}
    for token, loss in zip(tokens, losses, strict=True):
        rows.setdefault(token, []).append(loss)
    pairs = [(token, sum(of) / len(of)) for token, of in sorted(rows.items())]
    above = [token for token, loss in pairs if loss >= nats]
    below = [token for token, loss in pairs if loss < nats and (not above or token > above[-1])]
    return (above[-1] if above else None), (below[0] if below else None)


def thresholds(points: Points, yardsticks: Mapping[str, float],
               draws: Draws | None) -> list[Threshold]:
    """Along tokens with the most different text, and along different text with the most tokens that
    were seen of several amounts of it.
    """
    found = []
    for size in np.unique(points.n):
        of_size = points.only(points.n == size)
        for axis, along in _axes(of_size):
            ways = along.d if axis == "tokens" else along.u
            law = _crossings(draws, float(size), yardsticks, axis, along) if draws else {}
            for name, nats in yardsticks.items():
                above, below = bracket(ways.tolist(), along.loss.tolist(), nats)
                at, low, high = law.get(name, (None, None, None))
                found.append(Threshold(
                    yardstick=name, nats=nats, axis=axis, size=float(size), above=above,
                    below=below, foretold=at, low=low, high=high))
    return found


def _axes(points: Points) -> list[tuple[str, Points]]:
    """The runs along each axis that has two amounts: those where the other is at its most, of
    tokens at the most that was seen of parts of the text, too.
    """
    whole = points.only((points.u >= points.d) | (points.u == points.u.max()))
    parted = [d for d in np.unique(points.d) if len(np.unique(points.u[points.d == d])) > 1]
    longest = points.only(points.d == max(parted, default=points.d.max()))
    return [(axis, of) for axis, of, ways in (
        ("tokens", whole, whole.d), ("unique", longest, longest.u)) if len(np.unique(ways)) > 1]


def _crossings(draws: Draws, size: float, yardsticks: Mapping[str, float], axis: str,
               along: Points) -> dict[str, tuple[float | None, float | None, float | None]]:
    """(tokens, low, high) for each yardstick, by the fitted row and by the draws."""
    grid = np.logspace(FROM, TO, N_GRID)
    most_u, most_d = float(along.u.max()), float(along.d.max())
    d, u = ((grid, np.minimum(grid, most_u)) if axis == "tokens" else
            (np.maximum(grid, most_d), np.minimum(grid, most_d)))
    form: Form = draws.fit.form
    rows = np.concatenate([draws.fit.theta[None], draws.theta])
    losses = foretold(form, rows, size, d, u)
    return {name: _summary(_first_below(losses, grid, nats)) for name, nats in yardsticks.items()}


def _first_below(losses: Array, grid: Array, nats: float) -> Array:
    """Where each row of losses, (rows, grid), first falls below, interpolated; inf: never."""
    is_below = losses < nats
    first = is_below.argmax(axis=1)
    rows = np.arange(len(losses))
    before = np.maximum(first - 1, 0)
    high, low = losses[rows, before], losses[rows, first]
    share = np.where(first > 0, (high - nats) / np.maximum(high - low, 1e-12), 0.0)
    at = np.exp(np.log(grid[before]) + share * (np.log(grid[first]) - np.log(grid[before])))
    return np.where(is_below.any(axis=1), at, np.inf)


def _summary(at: Array) -> tuple[float | None, float | None, float | None]:
    low, high = np.percentile(at[1:], (2.5, 97.5), method="nearest")
    return tuple(float(x) if np.isfinite(x) else None  # type: ignore[return-value]
                 for x in (at[0], low, high))
