"""A tensor beside what its own inputs make of it: whether it follows from them, and if not, how.

Nothing here knows faults by name but those any product of numbers can have: a constant factor, an
operation made twice or not at all, an entry that is no number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.model import Array

TOLERANCE = 0.01  # of the size: float32 sums stay below a thousandth of this
FITS = 0.03  # of the size: how near another explanation must come
FEW = 0.02  # of the rows, or less: a fault of some entries and not of the operation
N_SAMPLED = 8192
PART = 1 << 18  # entries in double at once
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Deviation:
    """How a tensor differs from what its inputs give."""

    kind: str  # scale, twice, left out, changed, not finite, overflow, some rows, wrong
    words: str
    factor: float | None = None  # of a scale


Others = Mapping[str, Callable[[], Array]]


def evenly(n: int) -> Array:
    """Indices of a sample spread over n entries, the same each time: up to N_SAMPLED, rising."""
    return np.linspace(0, n - 1, min(n, N_SAMPLED)).astype(np.int64)


def size(x: Array) -> float:
    """Root of the sum of squares, in double."""
    flat = np.asarray(x).reshape(-1)
    return float(np.sqrt(sum(float(np.sum(np.square(flat[i : i + PART], dtype=np.float64)))
                             for i in range(0, flat.size, PART))))


def compare(actual: Array, expected: Array, others: Others, known: Mapping[str, float],
            tolerance: float = TOLERANCE, noise: float = 0.0) -> Deviation | None:
    """What is wrong with `actual`; None where it is what was expected.

    others  other results by what would have led to them, such as "twice: its norm of its norm"
    known   factors that have a name
    noise   size of what rounding alone may leave
    """
    bad = ~np.isfinite(actual)
    if not np.all(np.isfinite(expected)):
        return None
    if np.any(bad):
        return _not_finite(bad, expected)
    # float32 has no smaller numbers; what rounds to 0 is no fault.
    least = max(noise, 1e-30 * np.sqrt(actual.size))
    if size(actual - expected) <= tolerance * size(expected) + least:
        return None
    for said, other in others.items():
        kind, _, words = said.partition(": ")
        result = other()
        if size(actual - result) <= FITS * size(result) + least:
            return Deviation(kind, words)
    return (_factor(actual, expected, known) or _factor_of_some(actual, expected, known)
            or _spread(actual, expected))


def _not_finite(bad: Array, expected: Array) -> Deviation:
    n = int(np.sum(bad))
    if np.max(np.abs(expected[bad])) >= LARGEST:
        return Deviation("overflow", f"{n:,} of its {bad.size:,} entries are over the largest "
                         "number of float32")
    return Deviation("not finite", f"{n:,} of its {bad.size:,} entries are not finite, and its "
                     "inputs, all finite, give finite numbers")


def _factor(actual: Array, expected: Array, known: Mapping[str, float]) -> Deviation | None:
    below = float(np.vdot(expected, expected))
    factor = float(np.vdot(expected, actual)) / below if below else 0.0
    if not factor:
        return None if np.any(actual) else Deviation("left out", "it is zero everywhere")
    if size(actual - factor * expected) > FITS * size(actual):
        return None
    return Deviation("scale", f"it is {named(factor, known)} times what its inputs give", factor)


def _factor_of_some(actual: Array, expected: Array,
                    known: Mapping[str, float]) -> Deviation | None:
    """One factor for a part of the rows, or of the columns, such as those of the queries."""
    if actual.ndim != 2:
        return None
    for axis, name in ((1, "rows"), (0, "columns")):
        below = np.sum(expected * expected, axis=axis, keepdims=True)
        factors = np.sum(expected * actual, axis=axis, keepdims=True) / np.where(below, below, 1.0)
        if size(actual - factors * expected) > FITS * size(actual):
            continue
        off = factors[(np.abs(factors - 1) > FITS) & (below > 0)]
        if off.size and np.all(np.abs(off / np.median(off) - 1) < FITS):
            factor = float(np.median(off))
            return Deviation("scale", f"{off.size} of its {factors.size} {name} are "
                             f"{named(factor, known)} times what its inputs give", factor)
    return None


def named(factor: float, known: Mapping[str, float]) -> str:
    """A factor with its names, where it is a known number or one over it."""
    names = [said for name, number in known.items()
             for said, value in ((name, number), (f"1/{name}", 1 / number))
             if abs(abs(factor) / value - 1) < 0.02 and abs(value - 1) > 0.05]
    return f"{factor:.4g}" + (f" ({' or '.join(names)})" if names else "")


def _spread(actual: Array, expected: Array) -> Deviation:
    """Where it differs: in some rows or columns, or all over."""
    if actual.ndim == 2:
        off = np.abs(actual - expected) > TOLERANCE * size(expected) / np.sqrt(expected.size)
        for axis, name in ((1, "rows"), (0, "columns")):
            lines = np.any(off, axis=axis)
            if 0 < np.mean(lines) <= FEW or np.sum(lines) == 1 < lines.size:
                return Deviation("some rows", f"{int(np.sum(lines))} of its {lines.size} {name} "
                                 "are not what its inputs give")
    ratio = size(actual) / (size(expected) or 1.0)
    return Deviation("wrong", "it does not follow from its inputs; its size is "
                     f"{ratio:.3g} times what they give")
