"""A smooth surface over the fields, fitted to losses, and other surfaces that fit as well.

A Gaussian process whose kernel is a sum over fields and over pairs of fields, each part with mean
zero over the values that were tried: the parts of a functional analysis of variance then stand in
it side by side. Each field's kernel is cut to its few largest components, so the process is linear
in features,

    loss = mean + Σ_f w_f·φ_f + noise      w_f ~ N(0, a_i·λ_f) or N(0, b·a_i·a_j·λ_f) for a pair

with φ orthonormal over the reference measure: every field by itself, numbers even between the
least and the largest place that was tried, choices even. The scales a, b and the misfit are those
of the largest posterior density; draws vary them by Laplace's approximation.

Sources: Durrande et al. 2013, ANOVA kernels and RKHS of zero mean functions, arXiv:1106.3571; Lu,
Boukouvalas and Hensman 2022, Additive Gaussian processes revisited, arXiv:2206.09861; Rasmussen
and Williams 2006, Gaussian Processes for Machine Learning, 5.4.1; MacKay 1992 for Laplace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.analysis.places import Column

LENGTH = 0.5  # of the kernel, in parts of a whole axis; 0.3 and 1.0 rank planted fields as well
N_GRID = 81  # places of a field at which its kernel is taken apart
N_PARTS = 4  # components kept of a field
N_PAIRED = 2  # of them in a pair
LEAST_PART = 1e-5  # of the largest component, below which rounding is larger

# Normal priors on the logarithms: scale of a field, of pairs, misfit; losses have deviation 1.
FIELD_PRIOR, PAIR_PRIOR, MISFIT_PRIOR = (0.0, 3.0), (-1.0, 1.5), (-7.0, 2.0)
MOST_STEPS = 60
LONGEST_STEP = 2.0  # of a logarithm
ENOUGH = 1e-4  # nats of posterior density that one more step must gain
NUDGE = 0.03  # of a logarithm, to see the curvature

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Basis:
    """The features of D fields at N configurations."""

    phi: Array  # (N, F)
    spread: Array  # (F,) λ, prior variances at scale 1
    owner: NDArray[np.intp]  # (F, 2) the field, and the other one of a pair or -1

    def takes(self, first: int, second: int = -1) -> NDArray[np.bool_]:
        """(F,) which features belong to a field, or to a pair."""
        mine: NDArray[np.bool_] = (self.owner == (first, second)).all(axis=1)
        return mine


def basis_of(columns: Sequence[Column]) -> Basis:
    """Features of columns that vary, and of all pairs of them; 0 where a field has no effect."""
    alone = [_choices(one.places) if one.is_choice else _components(one.places)
             for one in columns]
    phi, spread = [one[0] for one in alone], [one[1] for one in alone]
    owner = [(i, -1) for i, one in enumerate(alone) for _ in one[1]]
    for i in range(len(alone)):
        for j in range(i + 1, len(alone)):
            (a, of_a), (b, of_b) = ((x[:, :N_PAIRED], of[:N_PAIRED])
                                    for x, of in (alone[i], alone[j]))
            phi.append((a[:, :, None] * b[:, None, :]).reshape(len(a), -1))
            spread.append(np.outer(of_a, of_b).ravel())
            owner += [(i, j)] * spread[-1].size
    return Basis(np.hstack(phi), np.concatenate(spread), np.array(owner, dtype=np.intp))


def _components(places: Array) -> tuple[Array, Array]:
    """Largest components of the kernel, its mean over the range taken out: (N, P) and λ (P,).

        k(x, z) = exp(−(x − z)² / 2ℓ²)      k₀(x, z) = k(x, z) − m(x)·m(z) / mean(m)
        m(x) = mean_z k(x, z)               φ_p(x) = Σ_g k₀(x, g)·u_gp / λ_p
    """
    is_active = ~np.isnan(places)
    low, high = places[is_active].min(), places[is_active].max()
    grid = low + (high - low) * (np.arange(N_GRID) + 0.5) / N_GRID  # middles of equal cells
    kernel = _kernel(grid, grid)
    mean = kernel.mean(axis=1)
    centred = kernel - np.outer(mean, mean) / mean.mean()
    spread, vectors = np.linalg.eigh(centred / N_GRID)  # ascending
    spread, vectors = spread[:-N_PARTS - 1:-1], vectors[:, :-N_PARTS - 1:-1]
    kept = spread > LEAST_PART * spread[0]
    spread, vectors = spread[kept], vectors[:, kept] * np.sqrt(N_GRID)
    here = _kernel(np.where(is_active, places, grid[0]), grid)  # (N, N_GRID)
    here -= np.outer(here.mean(axis=1), mean) / mean.mean()
    return np.where(is_active[:, None], here @ vectors / N_GRID / spread, 0.0), spread


def _kernel(a: Array, b: Array) -> Array:
    result: Array = np.exp(-0.5 * ((a[:, None] - b[None]) / LENGTH) ** 2)
    return result


def _choices(places: Array) -> tuple[Array, Array]:
    """Orthonormal contrasts between K choices: (N, K − 1) and λ (K − 1,)."""
    is_active = ~np.isnan(places)
    kinds = np.unique(places[is_active])
    n = len(kinds)
    _, vectors = np.linalg.eigh(np.eye(n) - 1 / n)  # the first is the mean
    of_kind = vectors[:, 1:] * np.sqrt(n)
    phi = of_kind[np.searchsorted(kinds, np.where(is_active, places, kinds[0]))]
    return np.where(is_active[:, None], phi, 0.0), np.full(n - 1, 1 / n)


class Surface:
    """The process over a basis, with the losses it has seen."""

    def __init__(self, basis: Basis, losses: Array, noise: Array) -> None:
        """losses (N,), lower is better; noise (N,) is the variance of each by seeds alone."""
        self.basis = basis
        scale = float(losses.std()) or 1.0
        self.y = (losses - losses.mean()) / scale
        self.noise = noise / scale ** 2
        n_fields = int(basis.owner[:, 0].max()) + 1
        priors = np.array([*[FIELD_PRIOR] * n_fields, PAIR_PRIOR, MISFIT_PRIOR])
        self.prior_mean, self.prior_deviation = priors[:, 0], priors[:, 1]
        self.of = np.zeros((len(basis.owner), n_fields + 2))  # log v = log λ + of @ logs
        rows = np.arange(len(basis.owner))
        self.of[rows, basis.owner[:, 0]] = 1
        is_pair = basis.owner[:, 1] >= 0
        self.of[rows[is_pair], basis.owner[is_pair, 1]] = 1
        self.of[is_pair, n_fields] = 1
        self.logs = self._fit()  # (D + 2,) of scales a, of b, of the misfit

    def draws(self, n: int, rng: Generator) -> Array:
        """Weights of n surfaces that fit, (n, F): a draw of the scales, then one of the weights.

        By Matheron's rule: a draw before any loss was seen, moved by what it misses.
        """
        curvature, axes = np.linalg.eigh(self._curvature())
        # Where the likelihood says nothing, or bends the wrong way, the prior is left.
        width = 1 / np.sqrt(np.maximum(curvature, self.prior_deviation.max() ** -2))
        phi, drawn = self.basis.phi, np.empty((n, len(self.basis.spread)))
        for i in range(n):
            logs = self.logs + axes @ (width * rng.normal(size=len(width)))
            variance, covariance, noise = self._parts(logs)
            before = np.sqrt(variance) * rng.normal(size=len(variance))
            seen = phi @ before + rng.normal() + np.sqrt(noise) * rng.normal(size=len(self.y))
            drawn[i] = before + variance * (phi.T @ np.linalg.solve(covariance, self.y - seen))
        return drawn

    def _parts(self, logs: Array) -> tuple[Array, Array, Array]:
        """Prior variances of the weights (F,), covariance of the losses (N, N), its noise (N,)."""
        variance = self.basis.spread * np.exp(self.of @ logs)
        noise = self.noise + np.exp(logs[-1])
        covariance = (self.basis.phi * variance) @ self.basis.phi.T + 1 + np.diag(noise)
        return variance, covariance, noise

    def _descent(self, logs: Array) -> tuple[float, Array]:
        """Minus the log posterior density of the scales, but for a constant, and its gradient.

            ½·yᵀK⁻¹y + ½·log|K| + ½·Σ((logs − mean) / deviation)²
            ∂/∂log v_f = −½·v_f·((φ_fᵀK⁻¹y)² − φ_fᵀK⁻¹φ_f)
        """
        variance, covariance, _ = self._parts(logs)
        inverse = np.linalg.inv(covariance)
        pulled, phi = inverse @ self.y, self.basis.phi
        away = (logs - self.prior_mean) / self.prior_deviation
        value = 0.5 * (self.y @ pulled + np.linalg.slogdet(covariance)[1] + away @ away)
        held = ((inverse @ phi) * phi).sum(axis=0)
        slope = self.of.T @ (-0.5 * variance * ((phi.T @ pulled) ** 2 - held))
        slope[-1] = -0.5 * np.exp(logs[-1]) * (pulled @ pulled - np.trace(inverse))
        return float(value), slope + away / self.prior_deviation

    def _fit(self) -> Array:
        """Scales of the largest posterior density, by BFGS: Nocedal and Wright 2006, 6.1."""
        logs = self.prior_mean.copy()
        value, slope = self._descent(logs)
        inverse, one = np.eye(len(logs)), np.eye(len(logs))
        for _ in range(MOST_STEPS):
            way = -inverse @ slope
            step = min(1.0, LONGEST_STEP / float(np.abs(way).max() or 1.0))
            ahead, ahead_slope = self._descent(logs + step * way)
            while ahead > value + 1e-4 * step * float(way @ slope) and step > 1e-6:
                step /= 2
                ahead, ahead_slope = self._descent(logs + step * way)
            if ahead >= value:
                break
            moved, turned = step * way, ahead_slope - slope
            gained, logs, value, slope = value - ahead, logs + moved, ahead, ahead_slope
            if (bend := float(moved @ turned)) > 1e-10:
                left = one - np.outer(moved, turned) / bend
                inverse = left @ inverse @ left.T + np.outer(moved, moved) / bend
            if gained < ENOUGH:
                break
        return logs

    def _curvature(self) -> Array:
        """Second derivatives at the fitted scales, (D + 2, D + 2), from differences of slopes."""
        nudges = NUDGE * np.eye(len(self.logs))
        rows = np.array([self._descent(self.logs + nudge)[1] - self._descent(self.logs - nudge)[1]
                         for nudge in nudges]) / (2 * NUDGE)
        result: Array = (rows + rows.T) / 2
        return result
