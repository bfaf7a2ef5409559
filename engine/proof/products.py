"""The matrix products of a pass: shapes and layouts exactly as the engine hands them to BLAS.

Letters as in engine/model: B, T, N = B·T, C, H, D, F, V. A test records what the engine calls and
holds this list against it. All layers are alike, so one stands for them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.blocks import attention_blocks
from engine.config import EVAL_LOGITS, Config
from engine.model import Array, Workspace
from engine.proof.passes import Pass

# A product of more multiplications is cut, and so is an operand of more entries. What goes are
# whole multiples of UNIT: tiles of 2, 3, 4, 6, 8, 12, 16, 24, 32, … meet the same edges as before.
MULTIPLICATIONS, ENTRIES, UNIT = 150_000_000, 1 << 22, 384
STRIDE = 7_920  # between the first numbers of two operands: whole cache lines
BLOCKS = 6  # of attention that are tried, the largest, the smallest and some between
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
        self._memory = Workspace(np.float32)
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


def products(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """What one pass multiplies, larger products first."""
    yield from _of_weights(config, one, pool)
    yield from _of_attention(config, one, pool)


def _of_weights(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """Products by a weight or for its gradient, sums over an axis as products by ones."""
    n, c, f, v = one.n_batch * one.n_time, config.n_embd, config.hidden, config.vocab_size
    n_logits = n if one.learns else min(n, max(1, EVAL_LOGITS // v))
    forward = [(3 * c, c, n, "nt"), (n, c, c, "tn"), (2 * f, c, n, "nt"), (n, f, c, "tn")]
    if one.before is None:
        tails = {n_logits, n % n_logits or n_logits}
        forward += [(v, c, rows, "nt") for rows in tails] + [(1, v, rows, "1-") for rows in tails]
    else:
        forward += [(1, c, v, "nt-")]
    backward = [(v, n, c, "nn"), (n, v, c, "tn"), (1, n, c, "1"), (f, c, n, "nt"),
                (f, n, c, "nn"), (2 * f, n, c, "nn"), (n, 2 * f, c, "tn"), (c, n, c, "nn"),
                (c, c, n, "nt"), (3 * c, n, c, "nn"), (n, 3 * c, c, "tn")]
    for m, k, columns, how in forward + backward * one.learns:
        yield _flat(pool, *_cut(m, k, columns), how)
    if one.learns:  # the mean of rms_norm's backward: a matrix by a vector
        rows = _cut(n, c, 1)[0]
        yield Product(pool.operand(rows, c), pool.operand(c), pool.result(rows))


def _flat(pool: Pool, m: int, k: int, n: int, how: str) -> Product:
    """(m, k) by (k, n).

    how  t for a side that lies in memory as its transpose, 1 for a row of ones; - without out
    """
    out = None if how.endswith("-") else pool.result(m, n)
    if how.startswith("1"):
        return Product(np.ones((1, k), np.float32), pool.operand(k, n), out)
    a = pool.operand(k, m).T if how[0] == "t" else pool.operand(m, k)
    b = pool.operand(n, k).T if how[1] == "t" else pool.operand(k, n)
    return Product(a, b, out)


def _cut(m: int, k: int, n: int) -> tuple[int, int, int]:
    """The sizes of a product, the largest made smaller until it is cheap."""
    sizes = [m, k, n]
    while (m * k * n > MULTIPLICATIONS or max(m * k, k * n, m * n) > ENTRIES) and max(
            sizes) >= 2 * UNIT:
        i = sizes.index(max(sizes))
        sizes[i] = max(UNIT + sizes[i] % UNIT, sizes[i] // 2 // UNIT * UNIT + sizes[i] % UNIT)
        m, k, n = sizes
    return m, k, n


# --- attention -------------------------------------------------------------------------------


def _of_attention(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """Scores, sums and mixtures of some blocks of queries, and their backward."""
    c, h, d = config.n_embd, config.n_head, config.head_size
    n_batch, time, before = one.n_batch, one.n_time, one.before or 0
    blocks = attention_blocks(n_batch, h, time, before)
    sizes = sorted({(rows.stop - rows.start, times.stop - times.start, times.stop)
                    for rows, times in blocks}, reverse=True)
    most = max(1, ENTRIES // (c * time))  # sequences; more only move them further apart
    n_batch = min(n_batch, max(most, sizes[0][0]))
    q, k, v, grad = (_heads(pool.operand(c, n_batch * time), n_batch, h) for _ in range(4))
    if one.before is not None:  # earlier keys and values lie in a store of their own
        room = (n_batch, h, d, config.seq_len)
        k, v = pool.operand(*room), pool.operand(*room)
    k_rows = pool.operand(n_batch, h, time, d)
    every = max(1, len(sizes) // (BLOCKS - 1))
    for rows, n_queries, stop in {*sizes[::every], sizes[-1]}:
        keys = before + stop
        q_part, grad_part = (x[:rows, ..., stop - n_queries : stop] for x in (q, grad))
        k_part, v_part = k[:rows, ..., :keys], v[:rows, ..., :keys]
        e = pool.operand(rows, h, keys, n_queries)
        yield Product(k_part.swapaxes(2, 3), q_part, pool.result(*e.shape))
        yield Product(np.ones((1, keys), np.float32), e, None)
        yield Product(v_part, e, pool.result(rows, h, d, n_queries))
        if not one.learns:
            continue
        e = pool.operand(rows, h, n_queries, keys)
        yield Product(q_part.swapaxes(2, 3), k_part, pool.result(*e.shape))
        yield Product(grad_part.swapaxes(2, 3), v_part, pool.result(*e.shape))
        yield Product(e, k_rows[:rows, :, :keys], pool.result(rows, h, n_queries, d))
        if keys == time:  # the first block writes into the gradient itself, the others beside it
            whole = _heads(pool.result(c, n_batch * time), n_batch, h)
            yield Product(grad_part, e, whole[:rows, ..., :keys])
        else:
            yield Product(grad_part, e, pool.result(rows, h, d, keys))


def _heads(x: Array, n_batch: int, n_head: int) -> Array:
    """(C, N) channel-major → view (B, H, D, T)."""
    c, n = x.shape
    return x.reshape(n_head, c // n_head, n_batch, n // n_batch).transpose(2, 0, 1, 3)
