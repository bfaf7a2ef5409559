"""The matrix products of attention: projections, and some of its blocks of queries.

Letters as in engine/model/attention.py: K heads of keys, each for a group of G heads of queries.
"""

from collections.abc import Iterator

import numpy as np

from engine.blocks import attention_blocks
from engine.config import Config
from engine.model import Array
from engine.proof.operands import ENTRIES, Pool, Product, cut, flat
from engine.proof.passes import Pass

BLOCKS = 6  # that are tried: the largest, the smallest and some between


def of_attention(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """What one pass multiplies in attention, projections first."""
    n, c = one.n_batch * one.n_time, config.n_embd
    wide = c + 2 * config.kv_width
    forward = [(wide, c, n, "nt"), (n, c, c, "tn")]
    backward = [(c, n, c, "nn"), (c, c, n, "nt"), (wide, n, c, "nn"), (n, wide, c, "tn")]
    for m, k, columns, how in forward + backward * one.learns:
        yield flat(pool, *cut(m, k, columns), how)
    yield from _of_blocks(config, one, pool)


def _of_blocks(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """Scores, sums and mixtures of some blocks of queries, and their backward."""
    h, n_kv, d = config.n_head, config.kv_heads, config.head_size
    n_batch, time, before = one.n_batch, one.n_time, one.before or 0
    blocks = attention_blocks(n_batch, h, time, before)
    sizes = sorted({(rows.stop - rows.start, times.stop - times.start, times.stop)
                    for rows, times in blocks}, reverse=True)
    most = max(1, ENTRIES // (h * d * time))  # sequences; more only move them further apart
    n_batch = min(n_batch, max(most, sizes[0][0]))
    q, grad = (_heads(pool.operand(h * d, n_batch * time), n_batch, h) for _ in range(2))
    k, v = (_heads(pool.operand(n_kv * d, n_batch * time), n_batch, n_kv) for _ in range(2))
    if one.before is not None:  # earlier keys and values lie in a store of their own
        room = (n_batch, n_kv, d, config.seq_len)
        k, v = pool.operand(*room), pool.operand(*room)
    k_rows = pool.operand(n_batch, n_kv, time, d)
    every = max(1, len(sizes) // (BLOCKS - 1))
    for rows, n_queries, stop in {*sizes[::every], sizes[-1]}:
        keys = before + stop
        q_part, grad_part = (x[:rows, ..., stop - n_queries : stop] for x in (q, grad))
        k_part, v_part = (_groups(x[:rows, ..., :keys], n_kv) for x in (k, v))
        e = pool.operand(rows, h, keys, n_queries)
        yield Product(k_part.swapaxes(3, 4), _groups(q_part, n_kv),
                      _groups(pool.result(*e.shape), n_kv))
        yield Product(np.ones((1, keys), np.float32), e, None)
        yield Product(v_part, _groups(e, n_kv), _groups(pool.result(rows, h, d, n_queries), n_kv))
        if not one.learns:
            continue
        e = pool.operand(rows, h, n_queries, keys)
        for x, y in ((q_part, k_part), (grad_part, v_part)):
            yield Product(_groups(x, n_kv).swapaxes(3, 4), y,
                          _groups(pool.result(*e.shape), n_kv))
        yield Product(_groups(e, n_kv), _groups(k_rows[:rows, :, :keys], n_kv),
                      _groups(pool.result(rows, h, n_queries, d), n_kv))
        # The heads of a group one after the other; the first of the first block writes into the
        # gradient itself, the others beside it.
        n_groups = h // n_kv
        own = grad_part[:, ::n_groups], e[:, ::n_groups]
        if keys == time:
            whole = _heads(pool.result(n_kv * d, n_batch * time), n_batch, n_kv)
            yield Product(*own, whole[:rows, ..., :keys])
        if keys < time or n_groups > 1:
            yield Product(*own, pool.result(rows, n_kv, d, keys))


def _heads(x: Array, n_batch: int, n_head: int) -> Array:
    """(C, N) channel-major → view (B, H, D, T)."""
    c, n = x.shape
    return x.reshape(n_head, c // n_head, n_batch, n // n_batch).transpose(2, 0, 1, 3)


def _groups(x: Array, n_kv: int) -> Array:
    """(b, H, …) → view (b, K, G, …)."""
    return x.reshape(x.shape[0], n_kv, -1, *x.shape[2:])
