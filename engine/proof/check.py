"""Each operation of a run beside slow arithmetic in double precision, in a fraction of a second."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from engine.config import Config
from engine.model import Array
from engine.proof.functions import faults_of_functions, faults_of_sums
from engine.proof.operands import Pool, Product
from engine.proof.operations import NUMPY, Operations
from engine.proof.passes import Pass
from engine.proof.products import products
from engine.proof.steps import faults_of_steps, losses_for

# What rounding of float32 may do to a sum of k products, as a part of the sum's size √k: 6e-8 a
# step that grows as √(k/2), five times that for the worst of many, and four times to be sure.
ROUNDING, LEAST = 1e-6, 4e-6


def faults(config: Config, passes: Iterable[Pass], operations: Operations = NUMPY,
           losses: dict[str, list[float]] | None = None) -> list[str]:
    """What this machine computes wrongly of all that a run needs, a clause each."""
    return [*faults_of_products(config, passes, operations),
            *faults_of_functions(operations), *faults_of_sums(operations),
            *faults_of_steps(losses_for(config) if losses is None else losses)]


def faults_of_products(config: Config, passes: Iterable[Pass],
                       operations: Operations = NUMPY) -> list[str]:
    """The products of these passes that are wrong, each shape and layout tried once."""
    return [f"the product of {one.told()} is {told}" for one in different(config, passes)
            if (told := wrong(one, operations))]


def different(config: Config, passes: Iterable[Pass]) -> Iterator[Product]:
    """The products of all passes, none of them twice."""
    pool, seen = Pool(), set()
    for one in passes:
        for product in products(config, one, pool):
            if product.key not in seen:
                seen.add(product.key)
                yield product


def wrong(product: Product, operations: Operations = NUMPY) -> str | None:
    """How far a product is off, in words; None where it is right.

    Freivalds 1979: with a vector s of random signs (a b) s must be a (b s), which costs a k-th of
    the product and in which every entry takes part. The sums are float64, by einsum, not by BLAS.
    """
    a, b, k = product.a, product.b, product.a.shape[-1]
    column = b[:, None] if b.ndim == 1 else b
    signs = np.random.default_rng(k).choice((-1.0, 1.0), column.shape[-1])
    right = _times(a, _times(column, signs))
    try:
        with np.errstate(all="ignore"):  # whatever comes is compared
            found = np.asarray(operations.matmul(a, b) if product.out is None
                               else operations.matmul(a, b, out=product.out))
    except (ValueError, TypeError, FloatingPointError) as error:
        return f"refused: {error}"
    shape = a.shape[:-1] if b.ndim == 1 else (
        *np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if found.shape != shape or found.dtype != a.dtype:
        return f"of shape {found.shape} and {found.dtype}, not {shape} and {a.dtype}"
    found = found[:, None] if b.ndim == 1 else found
    with np.errstate(all="ignore"):
        off = np.max(np.abs(_times(found, signs) - right)) / math.sqrt(k * signs.size)
    if off <= ROUNDING * math.sqrt(k) + LEAST:
        return None
    return f"off by {off:.1g} of its size" if math.isfinite(off) else "not finite"


def _times(matrix: Array, vector: Array) -> Array:
    """(…, m, k) by (k,) or (…, k) in float64."""
    left = "...mk,k->...m" if vector.ndim == 1 else "...mk,...k->...m"
    return np.asarray(np.einsum(left, matrix, vector, dtype=np.float64, casting="same_kind"))
