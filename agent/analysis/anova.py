"""How much of the loss's variance each field makes over the values that were tried.

Functional analysis of variance: a surface over all fields is the sum of a part for each field, one
for each pair and so on, and a field's share is the variance of its part. The surface is known only
where runs were, so shares come from many surfaces that fit, as a median and an interval.

Sources: Hutter, Hoos and Leyton-Brown 2014, An efficient approach for assessing hyperparameter
importance, ICML 32, there with a forest; Sobol' 1993 for the shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analysis.places import Column, groups_of, spread_rows
from agent.analysis.surface_fit import Basis, Surface, basis_of

MOST_POINTS = 250  # the surface is fitted to, as its time grows with their cube
BEST_POINTS = 80  # of them the best, the others spread over all that was tried
N_DRAWS = 200
CONFIDENCE = 0.95
N_PAIRS = 3  # the largest are named

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """Part of the variance: the median over surfaces that fit, and the interval over them."""

    names: tuple[str, ...]  # a field; several that no run tells apart; or the two of a pair
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Anova:
    """All shares; those of fields, of all pairs and of higher parts (here none) make up 1."""

    fields: list[Share]  # the largest first
    pairs: Share  # all of them; names are empty
    largest_pairs: list[Share]
    n_points: int  # the surface was fitted to


def functional_anova(columns: Sequence[Column], losses: Array, noise: Array) -> Anova:
    """Shares of the columns that vary in losses (N,), whose variance by seeds is noise (N,).

    Columns that no row tells apart have one share. The same input gives the same output.
    """
    groups = groups_of(columns)
    names = [tuple(columns[i].name for i in group) for group in groups]
    rows = spread_rows(columns, losses, BEST_POINTS, MOST_POINTS)
    every = basis_of([columns[group[0]] for group in groups])
    basis = Basis(every.phi[rows], every.spread, every.owner)
    active = [float((~np.isnan(columns[group[0]].places)).mean()) for group in groups]
    squares = Surface(basis, losses[rows], noise[rows]).draws(
        N_DRAWS, np.random.default_rng(0)) ** 2
    # A field that acts in a part of the runs makes that part of its variance.
    squares *= np.append(active, 1.0)[basis.owner].prod(axis=1)
    squares /= squares.sum(axis=1, keepdims=True)
    fields = [_share(names[i], squares[:, basis.takes(i)]) for i in range(len(groups))]
    pairs = [_share(names[i] + names[j], squares[:, basis.takes(i, j)])
             for i in range(len(groups)) for j in range(i + 1, len(groups))]
    return Anova(_sorted(fields), _share((), squares[:, basis.owner[:, 1] >= 0]),
                 _sorted(pairs)[:N_PAIRS], len(rows))


def _share(names: tuple[str, ...], squares: Array) -> Share:
    """Of the features of one part, (draws, features)."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, middle, high = np.percentile(squares.sum(axis=1), [tail, 50, 100 - tail])
    return Share(names, float(middle), float(low), float(high))


def _sorted(shares: Sequence[Share]) -> list[Share]:
    return sorted(shares, key=lambda one: -one.share)
