"""The matrix products of RWKV's time mixing: by weights, within chunks, and of a single token.

Letters as in engine/model/rwkv.py and wkv.py: R and S the ranks of mixtures and decays, Z chunks
of K times, M of them a sequence. Each sequence is filled up to whole chunks.
"""

from collections.abc import Callable, Iterator

import numpy as np

from engine.blocks import padded, rwkv_ranks, time_chunk
from engine.config import Config
from engine.model import Array
from engine.proof.operands import Pool, Product, cut, flat
from engine.proof.passes import Pass

N_MIXED, N_WIDE = 5, 4  # ways a token is mixed with the one before; those that meet a C × C weight
ENTRIES = 1 << 18  # of the rows whose chunks are tried: chunks are alike, so a few stand for all


def of_rwkv(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """What one pass multiplies in time mixing, products by weights first."""
    if one.before is not None and one.n_time == 1:
        yield from _of_a_token(config, one.n_batch, pool)
        return
    yield from _of_weights(config, one, pool)
    yield from _of_chunks(config, one, pool)


def _of_weights(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    c, h, n_out = config.n_embd, config.n_head, one.n_batch * one.n_time
    (rank, decays), n = rwkv_ranks(c), one.n_batch * padded(one.n_time)
    forward = [(n, c, N_MIXED * rank, "nt"), (n, c, decays, "nt"), (n, decays, c, "nn"),
               (n_out, c, c, "nn")]
    stacks = [(N_WIDE, n, c, c, "ntn"), (N_MIXED, n, rank, c, "snn")]
    backward = [(c, n_out, c, "tn"), (n_out, c, c, "nt"), (1, n, c, "1-"), (decays, n, c, "tn"),
                (N_MIXED * rank, n, c, "tn"), (n, N_MIXED * rank, c, "nn")]
    stacks_backward = [(N_WIDE, n, c, c, "nnn"), (N_WIDE, c, n, c, "tnn"),
                       (N_MIXED, rank, n, c, "znn"), (N_MIXED, n, c, rank, "nts")]
    for times, m, k, columns, how in stacks + stacks_backward * one.learns:
        yield _stack(pool, times, *cut(m, k, columns, times), how)
    for m, k, columns, how in forward + backward * one.learns:
        yield flat(pool, *cut(m, k, columns), how)
    if one.learns:  # sums over rows of all five at once
        rows, columns = cut(1, n, c, N_MIXED)[1:]
        yield Product(np.ones((1, rows), np.float32), pool.operand(N_MIXED, rows, columns), None)
    by_head = cut(n * h, config.head_size, 1)[0]  # the mean of each head
    yield Product(pool.operand(by_head, config.head_size), pool.operand(config.head_size),
                  pool.result(by_head))


def _of_a_token(config: Config, n: int, pool: Pool) -> Iterator[Product]:
    """The next token of n texts, from their state alone."""
    c, h, d = config.n_embd, config.n_head, config.head_size
    rank, decays = rwkv_ranks(c)
    for times, k, how in ((N_WIDE, c, "nt-"), (N_MIXED, rank, "sn-")):
        yield _stack(pool, times, *cut(n, k, c, times), how)
    for k, columns, how in ((c, N_MIXED * rank, "nt-"), (c, decays, "nt-"), (decays, c, "nn-"),
                            (c, c, "nn-")):
        yield flat(pool, *cut(n, k, columns), how)
    yield Product(pool.operand(n, h, 1, d), pool.operand(n, h, d, d), None)
    yield Product(pool.operand(n, h, 1, d), pool.operand(n, h, d, 1), None)
    yield Product(pool.operand(n * h, d), pool.operand(d), None)


def _stack(pool: Pool, times: int, m: int, k: int, n: int, how: str) -> Product:
    """So many products (m, k) by (k, n) at once; how: a letter of _lying a side, - without out."""
    return Product(_lying(pool.operand, times, m, k, how[0]),
                   _lying(pool.operand, times, k, n, how[1]),
                   None if how[2] == "-" else _lying(pool.result, times, m, n, how[2]))


def _lying(make: Callable[..., Array], times: int, m: int, n: int, how: str) -> Array:
    """(times, m, n) that lies so in memory (n), by its transposes (t), rows side by side (s),

    or by the transpose of such (z).
    """
    match how:
        case "t":
            return make(times, n, m).swapaxes(1, 2)
        case "s":
            return make(m, times, n).swapaxes(0, 1)
        case "z":
            return make(n, times, m).transpose(1, 2, 0)
    return make(times, m, n)


# --- chunks ----------------------------------------------------------------------------------


def _of_chunks(config: Config, one: Pass, pool: Pool) -> Iterator[Product]:
    """What the times of a chunk have of each other and of the states, and their backward."""
    c, h, d = config.n_embd, config.n_head, config.head_size
    time, chunk = padded(one.n_time), time_chunk(one.n_time)
    n_batch = min(one.n_batch, max(1, ENTRIES // (c * time)))
    n, m = n_batch * time, time // chunk
    x, y = pool.operand(n, c), pool.operand(n, c)
    x_, y_ = _heads(x, chunk, d), _heads(y, chunk, d)
    a, states = pool.operand(n_batch * m, h, chunk, chunk), pool.operand(n_batch, m + 1, h, d, d)
    reads, rows = (n_batch, m, h, chunk, d), x_.reshape(n_batch, m, h, chunk, d)
    halves = [1 << i for i in range(chunk.bit_length() - 1)]
    for half in halves:
        yield Product(_halves(x, chunk, half, d)[1],
                      _halves(y, chunk, half, d)[0].swapaxes(3, 4),
                      _below(pool.result(*a.shape), half))
    yield Product(a, x_, _heads(pool.result(n, c), chunk, d))
    yield Product(x_.swapaxes(2, 3), y_, pool.result(n_batch * m, h, d, d))
    yield Product(rows, states[:, :m], _heads(pool.result(n, c), chunk, d).reshape(reads))
    if not one.learns:
        return
    yield Product(x_, y_.swapaxes(2, 3), pool.result(*a.shape))
    yield Product(a.swapaxes(2, 3), x_, _heads(pool.result(n, c), chunk, d))
    yield Product(rows, states[:, 1:].swapaxes(3, 4),
                  _heads(pool.result(n, c), chunk, d).reshape(reads))
    for half in halves[1:]:
        below, (early, late) = _below(a, half), _halves(x, chunk, half, d)
        yield Product(below, early, _halves(pool.result(n, c), chunk, half, d)[1])
        yield Product(below.swapaxes(3, 4), late, _halves(pool.result(n, c), chunk, half, d)[0])
    spans = (len(halves) + 1) * chunk + 1  # the two of whole chunks, the halves and the whole
    yield Product(pool.operand(chunk, spans), pool.operand(n_batch * m, spans, c),
                  pool.result(n_batch * m, chunk, c))


def _heads(x: Array, chunk: int, d: int) -> Array:
    """(N, C) → view (Z, H, K, D)."""
    return x.reshape(-1, chunk, x.shape[1] // d, d).swapaxes(1, 2)


def _halves(x: Array, chunk: int, half: int, d: int) -> tuple[Array, Array]:
    """Earlier and later halves of blocks of twice as many: (N, C) → views (Z, J, H, half, D)."""
    x = x.reshape(-1, chunk // half // 2, 2, half, x.shape[1] // d, d)
    return x[:, :, 0].swapaxes(2, 3), x[:, :, 1].swapaxes(2, 3)


def _below(a: Array, half: int) -> Array:
    """What later halves have of earlier: (Z, H, K, K) → view (Z, J, H, half, half)."""
    z, h, chunk, _ = a.shape
    j = chunk // half // 2
    blocks = np.einsum("zhjtjs->zjhts", a.reshape(z, h, j, 2 * half, j, 2 * half))
    return np.asarray(blocks[..., half:, :half])
