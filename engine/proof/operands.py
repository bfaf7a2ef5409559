"""Operands of products to try: any shape and layout, of a few numbers, cut where they are large."""

import math
from dataclasses import dataclass

import numpy as np

from engine.model import Array, Workspace
from engine.native import NUMPY

# A product of more multiplications is cut, and so is an operand of more entries. What goes are
# whole multiples of UNIT: tiles of 2, 3, 4, 6, 8, 12, 16, 24, 32, … meet the same edges as before.
MULTIPLICATIONS, ENTRIES, UNIT = 150_000_000, 1 << 22, 384
STRIDE = 7_920  # between the first numbers of two operands: whole cache lines
POOL = 65_537  # numbers, repeated: a prime, so that no two rows of an operand are alike


@dataclass(frozen=True, slots=True)
class Product:
    """a @ b, into out where the engine gives one."""

    a: Array
    b: Array
    out: Array | None

    def told(self) -> str:
        """384×128 by 128×1,024 (columns first)."""
        sides = [f"{'×'.join(f'{n:,}' for n in side.shape)}"
                 f"{'' if side.flags.c_contiguous else ' (not row by row)'}"
                 for side in (self.a, self.b)]
        return f"{sides[0]} by {sides[1]}"

    @property
    def key(self) -> tuple[object, ...]:
        """Two products with one key are the same to BLAS."""
        return tuple(layout(one) for one in (self.a, self.b, self.out))


def layout(array: Array | None) -> tuple[tuple[int, int], ...] | None:
    """(length, stride) of every axis; a stride that is never taken counts as 0."""
    if array is None:
        return None
    return tuple((n, stride if n > 1 else 0)
                 for n, stride in zip(array.shape, array.strides, strict=True))


class Pool:
    """Operands of the same few numbers in whatever shape; results that nothing has filled yet.

    In memory that goes back to the system whole: a run that follows shall not be the larger for it.
    """

    def __init__(self) -> None:
        self._few = np.random.default_rng(0).standard_normal(POOL, dtype=np.float32)
        self._memory = Workspace(np.float32, NUMPY)  # memory alone
        self._numbers = self._memory("numbers", ENTRIES + POOL)
        self._n_filled = self._start = 0

    def operand(self, *shape: int) -> Array:
        size = math.prod(shape)
        self._start = (self._start + STRIDE) % (POOL - 1)  # no two operands begin alike
        stop = self._start + size
        if stop > self._numbers.size:  # under another name: what was given out stays as it is
            self._numbers, self._n_filled = self._memory(f"numbers{size}", size + POOL), 0
        while self._n_filled < stop:
            part = self._numbers[self._n_filled : self._n_filled + POOL]
            part[...] = self._few[: part.size]
            self._n_filled += POOL
        return self._numbers[self._start : stop].reshape(shape)

    def result(self, *shape: int) -> Array:
        """What a product must fill: NaN until then."""
        result = self._memory("result", *shape)
        result.fill(np.nan)
        return result


def flat(pool: Pool, m: int, k: int, n: int, how: str) -> Product:
    """(m, k) by (k, n).

    how  t for a side that lies in memory as its transpose, 1 for a row of ones; - without out
    """
    out = None if how.endswith("-") else pool.result(m, n)
    if how.startswith("1"):
        return Product(np.ones((1, k), np.float32), pool.operand(k, n), out)
    a = pool.operand(k, m).T if how[0] == "t" else pool.operand(m, k)
    b = pool.operand(n, k).T if how[1] == "t" else pool.operand(k, n)
    return Product(a, b, out)


def cut(m: int, k: int, n: int, times: int = 1) -> tuple[int, int, int]:
    """The sizes of a product, the largest made smaller until so many of it are cheap."""
    sizes = [m, k, n]
    while (times * m * k * n > MULTIPLICATIONS or times * max(m * k, k * n, m * n) > ENTRIES
           ) and max(sizes) >= 2 * UNIT:
        i = sizes.index(max(sizes))
        sizes[i] = max(UNIT + sizes[i] % UNIT, sizes[i] // 2 // UNIT * UNIT + sizes[i] % UNIT)
        m, k, n = sizes
    return m, k, n
