"""One-dimensional power laws: y = c · x^e by least squares of logarithms, and where more stops
paying."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = factor · x^exponent."""

    factor: float
    exponent: float
    r2: float  # of the logarithms


def power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw:
    """The straight line through (ln x, ln y). Raises ValueError below two different x."""
    ln_x, ln_y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    if len(set(x)) < 2:
        raise ValueError("a power law needs two different x")
    across = ln_x - ln_x.mean()
    exponent = float(across @ (ln_y - ln_y.mean()) / (across @ across))
    left = ln_y - ln_y.mean() - exponent * across
    total = float(np.sum((ln_y - ln_y.mean()) ** 2))
    return PowerLaw(float(np.exp(ln_y.mean() - exponent * ln_x.mean())), exponent,
                    1 - float(left @ left) / total if total else 1.0)


@dataclass(frozen=True, slots=True)
class Marginal:
    """What growing from one x to the next gave."""

    start: float
    end: float
    gain: float  # by which y fell
    gain_per_unit: float  # for each `unit` of x added


def marginals(x: Sequence[float], y: Sequence[float], unit: float) -> list[Marginal]:
    """A row for each step to the next larger x."""
    pairs = sorted(zip(x, y, strict=True))
    return [Marginal(a, b, y_a - y_b, (y_a - y_b) / ((b - a) / unit))
            for (a, y_a), (b, y_b) in zip(pairs, pairs[1:], strict=False) if b > a]


def knee(steps: Sequence[Marginal]) -> float | None:
    """The x behind which the gain per unit falls most, as a ratio; None below two steps that
    gain."""
    ratios = [(after.gain_per_unit / before.gain_per_unit, after.start)
              for before, after in zip(steps, steps[1:], strict=False) if before.gain_per_unit > 0]
    return min(ratios)[1] if ratios else None
