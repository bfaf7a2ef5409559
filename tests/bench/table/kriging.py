"""Gaussian-process regression of several outputs over configurations of two texts, numpy alone.

    k((x, t), (x', t')) = s² · M(r) · (1 if t = t' else ρ)        r² = Σ_d ((x_d − x'_d) / l_d)²
    M(r) = (1 + √5·r + 5·r²/3) · exp(−√5·r)                       Matérn 5/2

A point that is a mean of n runs has the noise τ²/n. Scales l, s, ρ and τ are those of the largest
marginal likelihood of the first output, with log-normal priors on l. Source: Rasmussen and
Williams 2006, chapters 4 and 5; leaving a fold out in closed form is their equation 5.12 for
blocks.
"""

import math
from dataclasses import dataclass

import numpy as np

from agent.simulate.tunnel import N_OWN, Aim, Array, matern

LENGTH_MEAN, LENGTH_SD = 1.5, 1.4  # of a log scale, a feature's standard deviation being 1
START = (0.0, -3.0, 1.0)
BOUNDS = ((-4.0, 6.0), (-10.0, 0.0), (-3.0, 6.0))
LENGTH_BOUNDS = (-2.0, 7.0)


@dataclass(frozen=True)
class Kernel:
    """The covariance; its parameters in one row: log s², log τ², logit ρ, log l."""

    parameters: Array

    @property
    def noise(self) -> float:
        return math.exp(float(self.parameters[1]))

    @property
    def rho(self) -> float:
        return 1 / (1 + math.exp(-float(self.parameters[2])))

    def scaled(self, x: Array) -> Array:
        return x / np.exp(self.parameters[N_OWN:])

    def between(self, a: Array, own: Array, b: Array, other: Array) -> Array:
        """Covariance of scaled points (N, F) of texts own (N,) with those of b, (N, M)."""
        found: Array = self.of_points(a, Aim.at(b)) * np.where(own[:, None] == other, 1.0, self.rho)
        return found

    def of_points(self, a: Array, b: Aim) -> Array:
        """The same within one text; the dtype is kept."""
        return matern(a, b, math.exp(float(self.parameters[0])))

    def evidence(self, x: Array, text: Array, y: Array, n_runs: Array) -> tuple[float, Array]:
        """Negative log of the marginal likelihood and prior, and its gradient in the parameters."""
        scaled, rho = self.scaled(x), self.rho
        root, is_same = Aim.at(scaled).roots(scaled), text[:, None] == text
        bell = math.exp(float(self.parameters[0])) * np.exp(-root)
        apart = np.where(is_same, 1.0, rho)
        plain = bell * (1 + root + root * root / 3)
        noise = self.noise / n_runs
        factor = np.linalg.cholesky(plain * apart + np.diag(noise))
        half = np.linalg.inv(factor)
        inverse = half.T @ half
        weights = inverse @ y
        pull = inverse - np.outer(weights, weights)  # twice the slope in the covariance
        steep = pull * (bell * apart * (5 / 3) * (1 + root))
        lengths = self.parameters[N_OWN:] - LENGTH_MEAN
        value = 0.5 * y @ weights + np.log(np.diag(factor)).sum() + (
            0.5 * (lengths / LENGTH_SD)**2).sum()
        slope = np.concatenate([
            [0.5 * (pull * plain * apart).sum(), 0.5 * (np.diag(pull) * noise).sum(),
             0.5 * (pull * plain)[~is_same].sum() * rho * (1 - rho)],
            (steep.sum(axis=1)[:, None] * scaled**2).sum(axis=0)
            - (scaled * (steep @ scaled)).sum(axis=0) + lengths / LENGTH_SD**2])
        return float(value), slope


@dataclass(frozen=True)
class Fitted:
    """A posterior mean: the kernel, its centres and how much each of them weighs in each output."""

    kernel: Kernel
    centres: Array  # (M, F), scaled
    texts: Array  # (M,)
    weights: Array  # (M, O)
    inverse: Array  # (M, M), of the covariance with noise

    def predict(self, x: Array, text: Array) -> Array:
        """(N, O) at standardised features (N, F) of texts (N,)."""
        found: Array = self.kernel.between(
            self.kernel.scaled(x), text, self.centres, self.texts) @ self.weights
        return found

    def missed(self, n_runs: Array) -> Array:
        """By how much the points lie above the posterior mean at them, (M, O)."""
        found: Array = self.weights * (self.kernel.noise / n_runs)[:, None]
        return found

    def without_folds(self, y: Array, folds: Array) -> Array:
        """What the model says of each point when its fold is left out, (M, O)."""
        found = np.empty_like(y)
        for fold in np.unique(folds):
            at = np.flatnonzero(folds == fold)
            found[at] = y[at] - np.linalg.solve(self.inverse[np.ix_(at, at)], self.weights[at])
        return found


def learn_kernel(x: Array, text: Array, y: Array, n_runs: Array, n_rounds: int = 40) -> Kernel:
    """The kernel of the largest posterior for y (N,) at standardised features (N, F)."""
    from scipy.optimize import minimize  # the extra `bench`

    n_features = x.shape[1]
    found = minimize(lambda values: Kernel(values).evidence(x, text, y, n_runs),
                     np.array([*START, *[LENGTH_MEAN] * n_features]), jac=True,
                     method="L-BFGS-B", options={"maxiter": n_rounds},
                     bounds=[*BOUNDS, *[LENGTH_BOUNDS] * n_features])
    return Kernel(found.x)


def fit(kernel: Kernel, x: Array, text: Array, y: Array, n_runs: Array) -> Fitted:
    """The posterior mean for outputs y (N, O) at standardised features (N, F)."""
    scaled = kernel.scaled(x)
    covariance = kernel.between(scaled, text, scaled, text) + np.diag(kernel.noise / n_runs)
    half = np.linalg.inv(np.linalg.cholesky(covariance))
    inverse = half.T @ half
    return Fitted(kernel, scaled, text, inverse @ y, inverse)
