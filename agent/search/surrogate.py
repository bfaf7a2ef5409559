"""A model of all results: a Gaussian process from features to the logarithm of bits a byte.

    y = offset(study) + f(x, study) + noise
    k = amplitude² · Matérn₅⁄₂(|(x − x')/lengths|) · (1 within a study, ρ between two)

Results of other studies, and of the table that came with the program, count through ρ: the shape
of their surface is much the same, its level is not, so every study has an offset of its own, about
which nothing is assumed. The constants were fitted by marginal likelihood to runs of tiny models
on two texts (`python -m tests.bench.table prior`). Source: Rasmussen and Williams 2006, chapters 2
and 4; the kernel over tasks is that of Bonilla et al. 2008 with one correlation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

# By strategies/features.py's NAMES: how far a feature must move until the loss is another.
LENGTHS = np.array((
    1.29, 1.39, 4.10, 2.06, 6.01, 12.79, 20.67, 10.77, 10.86, 9.11, 4.52, 9.38, 3.22,
    10.62, 16.02, 2.24, 0.75, 2.35, 3.06, 1.99, 14.03, 2.81,
    # Fitted to what tests.bench.gains measured, the others as they stand: shared heads, RWKV, Muon
    # and what follows in NAMES.
    8.60, 4.07, 3.14, 9.06, 8.16, 4.88, 5.09, 8.64))
AMPLITUDE = 0.13  # standard deviation of the loss over the space, of its logarithm
SHARED = 0.8  # ρ: correlation of two studies' surfaces
OFFSET = 1.0  # standard deviation of a study's level: wide, so that it is not assumed
JITTER = 1e-8


@dataclass(frozen=True, slots=True)
class Result:
    """What one configuration scored in one study."""

    x: tuple[float, ...]
    log_bpb: float
    noise: float  # standard deviation of log_bpb
    study: int  # 0 is the one that is searched


class Surrogate:
    """The posterior, given results; asked about configurations of study 0."""

    def __init__(self, results: Sequence[Result]) -> None:
        x = np.array([r.x for r in results], dtype=float).reshape(len(results), LENGTHS.size)
        self._x = x / LENGTHS
        self._study = np.array([r.study for r in results], dtype=int)
        y = np.array([r.log_bpb for r in results], dtype=float)
        self._level = float(y.mean()) if y.size else 0.0
        k = self._kernel(self._x, self._study)
        k[np.diag_indices_from(k)] += np.array([r.noise for r in results]) ** 2 + JITTER
        # A triangular factor, inverted once: every later question is then one product.
        self._inverse = np.linalg.inv(np.linalg.cholesky(k)) if y.size else k
        self._weights = self._inverse.T @ (self._inverse @ (y - self._level))

    def predict(self, x: Sequence[Sequence[float]]) -> tuple[Array, Array]:
        """Mean and standard deviation of the noiseless log_bpb at each x: (M, D) → (M,), (M,)."""
        at = np.array(x, dtype=float).reshape(len(x), LENGTHS.size) / LENGTHS
        cross = self._kernel(at, np.zeros(len(at), dtype=int))  # (M, N)
        mean = self._level + cross @ self._weights
        variance = AMPLITUDE**2 + OFFSET**2 - np.sum((cross @ self._inverse.T) ** 2, axis=1)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def distances(self, x: Sequence[Sequence[float]]) -> Array:
        """How far each x is from the nearest result of study 0, in lengths: (M, D) → (M,)."""
        own = self._x[self._study == 0]
        if not len(own):
            return np.full(len(x), np.inf)
        at = np.array(x, dtype=float).reshape(len(x), LENGTHS.size) / LENGTHS
        squares = np.sum(at**2, axis=1)[:, None] + np.sum(own**2, axis=1) - 2 * at @ own.T
        return np.asarray(np.sqrt(np.maximum(squares, 0.0).min(axis=1)))

    def _kernel(self, at: Array, study: Array) -> Array:
        """Covariances (M, N), computed in place: a daemon on a phone keeps what it once took."""
        r: Array = at @ self._x.T
        r *= -2
        r += np.sum(at**2, axis=1)[:, None]
        r += np.sum(self._x**2, axis=1)
        np.maximum(r, 0.0, out=r)
        r *= 5
        np.sqrt(r, out=r)
        k: Array = r / 3  # (1 + r + r²/3) · exp(−r)
        k += 1
        k *= r
        k += 1
        np.negative(r, out=r)
        np.exp(r, out=r)
        k *= r
        is_same = study[:, None] == self._study
        k *= AMPLITUDE**2
        np.multiply(k, SHARED, out=k, where=~is_same)
        np.add(k, OFFSET**2, out=k, where=is_same)
        return k


def expected_improvement(mean: Array, sd: Array, best: float) -> Array:
    """Of the best so far by a noiseless score: E[max(best − f, 0)]. Source: Jones et al. 1998."""
    z = (best - mean) / sd
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return np.asarray(sd * (z * _normal_cdf(z) + density))


def _normal_cdf(z: Array) -> Array:
    """Of the standard normal, to 1.5e-7: Abramowitz and Stegun 1964, 7.1.26."""
    x = np.abs(z) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * x)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (
        -1.453152027 + t * 1.061405429)))) * np.exp(-x * x) / 2
    return np.asarray(np.where(z > 0, 1 - tail, tail))
