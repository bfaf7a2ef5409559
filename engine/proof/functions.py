"""Exponentials, tanh, logarithm, roots and sums of numpy beside those of the C library.

numpy has a vector form of each for every processor; it treats the last few numbers of an array,
and arrays that do not begin on a boundary, by other code than the rest.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.model import Array
from engine.proof.operations import Operations

SIZES, OFFSETS = range(1, 71), (0, 1, 3)
N_LONG = 1_003
CLOSE = {np.float32: 2e-6, np.float64: 1e-13}  # as a part of the value; numpy promises 4 ulp
SUMS = 1e-5  # of what is added, as a part of the sum of sizes


def faults_of_functions(operations: Operations) -> list[str]:
    """Which functions are wrong, and at which length first."""
    unit = operations.nats
    cases: list[tuple[str, Callable[..., Any], Any, Array, Callable[[float], float]]] = [
        ("exponential", operations.power, np.float32, np.linspace(-80, 80, N_LONG) / unit,
         lambda x: math.exp(x * unit)),
        ("exponential of float64", operations.exp, np.float64, np.linspace(-700, 0, N_LONG),
         math.exp),
        ("tanh", operations.tanh, np.float32, np.linspace(-11, 11, N_LONG), math.tanh),
        ("logarithm", operations.log, np.float32, np.geomspace(1e-20, 1e20, N_LONG), math.log),
        ("square root", operations.sqrt, np.float32, np.geomspace(1e-12, 1e12, N_LONG),
         math.sqrt)]
    return [told for name, function, dtype, values, right in cases
            if (told := _wrong(name, function, values.astype(dtype), right))]


def _wrong(name: str, function: Callable[..., Any], x: Array,
           right: Callable[[float], float]) -> str | None:
    """Where a function strays: whole arrays, then every short length from every offset."""
    # Mixed up, so that short arrays meet large and small values, too.
    x = x[np.arange(x.size) * 397 % x.size]
    wanted = np.array([right(one) for one in x.tolist()])
    near = CLOSE[x.dtype.type]
    for start, stop in [(0, x.size), *((start, start + n) for start in OFFSETS for n in SIZES)]:
        out = x.copy()[start:stop]  # overwritten, as the engine does
        with np.errstate(all="ignore"):
            function(out, out=out)
            off = np.abs(out - wanted[start:stop])
        if out.dtype != x.dtype or not np.all(off <= near * np.abs(wanted[start:stop])):
            i = int(np.argmax(~(off <= near * np.abs(wanted[start:stop]))))
            return (f"the {name} of {float(x[start + i]):.6g}, among {stop - start}, is "
                    f"{float(out[i]):.6g} and not {float(wanted[start + i]):.6g}")
    return None


def faults_of_sums(operations: Operations) -> list[str]:
    """Which sums and extremes are wrong, over lengths that leave every rest."""
    rng = np.random.default_rng(0)
    long = rng.standard_normal(4_099, dtype=np.float32)
    right = np.array(long, np.float64)
    found = []
    for n in (*SIZES, 1_000, 4_099):
        x, y = long[:n], right[:n]
        rows, sums = np.stack([x, x[::-1]]), np.array([math.fsum(y * y), math.fsum(y * y[::-1])])
        cases = {
            "sum": (operations.sum(x, dtype=np.float64), math.fsum(y)),
            "dot product": (operations.dot(x, x), sums[0]),
            "dot product of rows": (operations.vecdot(rows, rows[0]), sums),
            "running sum": (operations.cumsum(y)[-1], math.fsum(y)),
            "sum of parts": (operations.reduceat(np.outer(x, x[:5]), [0, n // 2], axis=0).sum(),
                             math.fsum(y) * math.fsum(y[:5]) if n > 1 else None),
            "largest": (operations.largest(x), max(y)),
            "smallest": (operations.smallest(x), min(y))}
        size = float(np.sum(y * y)) + float(np.sum(np.abs(y))) * max(1.0, float(np.sum(np.abs(
            y[:5]))))
        found += [f"the {name} of {n} numbers is {np.ravel(got)} and not {np.ravel(wanted)}"
                  for name, (got, wanted) in cases.items()
                  if wanted is not None and not np.all(np.abs(got - wanted) <= SUMS * size)]
        if found:
            return found
    return []
