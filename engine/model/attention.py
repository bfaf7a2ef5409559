"""Causal attention with rotary positions in blocks of queries, forward and backward.

Axes, workspaces and caches as in layers.py; K heads of keys and values, each shared by a group of
G = H / K heads of queries; E = K · D their channels. Arrays of one group each are (b, K, G, …).
"""

import functools
import math
from typing import Any

import numpy as np

from engine.blocks import attention_blocks
from engine.model.layers import Cache, ones_row, put
from engine.model.workspace import Array, Workspace
from engine.native import exponential, kernel

SUMS = 1e20  # softmax goes without s − max s while its sums of exp s lie within 1/this, this
LOWEST = -120.0  # scores further below the largest count as this: 2⁻¹²⁰ is nothing beside 1


def rope_tables(n_time: int, head_size: int, base: float, dtype: Any) -> tuple[Array, Array]:
    """Cosines and sines of rotary position embedding, scaled for attention: two arrays (D/2, T).

    Angle of pair i at time t is t · base^(−2i/D). Source: Su et al. 2021, arXiv:2104.09864.
    Queries and keys are both turned with these and each takes the root of 1/√D and of the unit
    of POWER along, so that their products need no pass of scaling.
    """
    half = head_size // 2
    frequency = base ** (-np.arange(half) / half)
    angle = np.outer(frequency, np.arange(n_time))  # (D/2, T)
    scale = math.sqrt(head_size ** -0.5 / exponential.NATS)
    return (scale * np.cos(angle)).astype(dtype), (scale * np.sin(angle)).astype(dtype)


@kernel
def rotate(x: Array, cos: Array, sin: Array, tmp: Workspace) -> None:
    """Turn the pairs (first half, second half) of every head by their angle, in place.

    x (..., 2, D/2, N); cos, sin (D/2, N). Half-split pairing, as in Llama. With −sin it turns
    back: the inverse of a rotation is its transpose, hence its backward.
    """
    a, b = x[..., 0, :, :], x[..., 1, :, :]
    a_sin = np.multiply(a, sin, out=tmp("rows", *a.shape))
    b_sin = np.multiply(b, sin, out=tmp("b_sin", *a.shape))
    a *= cos
    a -= b_sin
    b *= cos
    b += a_sin


def norm_heads(qk: Array, gains: tuple[Array, Array], n_head: int, buf: Workspace,
               eps: float = 1e-6) -> Cache:
    """Every head of queries and of keys at unit root-mean-square, by a learned gain, in place.

    qk     (C + E, N)  queries and keys before rotation, channel-major
    gains  (D,) each   of queries and of keys, shared by their heads; both start at 1
    returns            the cache for norm_heads_backward

    Scores stay divided by √D; without gains they could never leave −√D … √D, which for heads as
    small as these is no sharp softmax. Sources: Henry et al. 2020, arXiv:2010.04245, with one
    learned scale; Dehghani et al. 2023 (ViT-22B), arXiv:2302.05442, by head with a gain; the form
    here, a gain a channel before RoPE, is that of Yang et al. 2025 (Qwen3), arXiv:2505.09388.
    """
    n, d = qk.shape[1], gains[0].size
    x = qk.reshape(-1, d, n)
    normed, r = buf("normed", *x.shape), buf("head_r", len(x), n)
    np.add.reduce(np.multiply(x, x, out=normed), axis=1, out=r)
    r *= 1.0 / d
    r += eps
    np.sqrt(r, out=r)
    np.divide(1.0, r, out=r)
    np.multiply(x, r[:, None], out=normed)
    for part, gain in zip(_sides(n_head), gains, strict=True):
        np.multiply(normed[part], gain[:, None], out=x[part])
    return normed, r, gains, n_head


def norm_heads_backward(dqk: Array, cache: Cache, dgains: tuple[Array, Array], tmp: Workspace,
                        accumulate: bool) -> None:
    """Gradient of norm_heads: dqk (C + E, N) in place, those of the gains to dgains.

    As in rms_norm_backward, the sums over a head's channels.
    """
    normed, r, gains, n_head = cache
    dx, dx_n = dqk.reshape(normed.shape), tmp("rows", *normed.shape)
    np.multiply(dx, normed, out=dx_n)
    by_head = np.add.reduce(dx_n, axis=2)
    for part, gain, dgain in zip(_sides(n_head), gains, dgains, strict=True):
        put(dgain, np.add.reduce(by_head[part], axis=0), accumulate)
        dx_n[part] *= gain[:, None]
        dx[part] *= gain[:, None]
    mean = np.add.reduce(dx_n, axis=1, out=tmp("head_mean", *r.shape))
    mean *= 1.0 / normed.shape[1]
    dx -= np.multiply(normed, mean[:, None], out=dx_n)
    dx *= r[:, None]


def _sides(n_head: int) -> tuple[slice, slice]:
    """Heads of queries, and behind them those of keys."""
    return slice(0, n_head), slice(n_head, None)


def _heads(x: Array, b: int, h: int) -> Array:
    """(C, N) channel-major → view (B, H, D, T)."""
    c, n = x.shape
    return x.reshape(h, c // h, b, n // b).transpose(2, 0, 1, 3)


def attention(qkv: Array, heads: tuple[int, int], n_batch: int, tables: tuple[Array, Array],
              buf: Workspace, tmp: Workspace,
              past: tuple[Array, Array, int] | None = None) -> tuple[Array, Cache]:
    """Causal multi-head attention with rotary positions, in blocks of queries.

    qkv (C + 2E, N)  queries, keys and values, channel-major: rows are channels, so that a head's
                 halves and a sequence's times are long contiguous runs and no transposed copy
                 is ever made; BLAS reads either order. Queries and keys are turned in place.
    heads        H of queries and K of keys and values; head h of queries reads h // G
    tables       rope_tables of every row's position: (D/2, N)
    past         keys and values (B, K, D, room) of earlier times and how many times they hold;
                 the new ones are written behind them (sampling only)
    returns o (C, N), channel-major, and the cache for attention_backward

        e = exp(kᵀq / √D), 0 where key > query        w = 1 / Σ_keys e        o = v (e · w)

    A block of queries meets only the keys before its end, and no score outlives its block: work
    is about half of the square, memory linear in T. Scores lie (keys, queries), so that sums
    over keys run along memory. Sources: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; groups:
    Ainslie et al. 2023, arXiv:2305.13245, section 2.2; the recomputation of e in backward is that
    of Dao et al. 2022, arXiv:2205.14135, algorithm 1.

    The softmax of textbooks first subtracts the largest score of each query: two passes over all
    scores. Here that is done only for blocks whose sums would leave (1/SUMS, SUMS) without it.
    """
    (n_head, n_kv), n = heads, qkv.shape[1]
    d = qkv.shape[0] // (n_head + 2 * n_kv)
    c, e_ = n_head * d, n_kv * d
    rotate(qkv[: c + e_].reshape(n_head + n_kv, 2, d // 2, n), *tables, tmp)
    q = _heads(qkv[:c], n_batch, n_head)
    k, v = (_heads(x, n_batch, n_kv) for x in (qkv[c : c + e_], qkv[c + e_ :]))
    if past:
        k, v = _append(past[0], k, past[2]), _append(past[1], v, past[2])
    o, weight = buf("o", c, n), buf("weight", n_batch, n_head, 1, n // n_batch)
    mixed, before, peaks = _heads(o, n_batch, n_head), past[2] if past else 0, []
    for rows, times in attention_blocks(n_batch, n_head, n // n_batch, before):
        keys, visible = slice(0, before + times.stop), _visible(times.stop - times.start, o.dtype)
        q_part, k_part, peak = q[rows][..., times], k[rows][..., keys], None
        e = _scores(k_part, q_part, tmp)
        total = _summed_powers(e, visible, None, tmp)
        least, most = (ufunc.reduce(total, axis=None) for ufunc in (np.minimum, np.maximum))
        if not (1 / SUMS < least and most < SUMS):
            peak = _peaks(_scores(k_part, q_part, tmp), visible)
            e = _scores(k_part, q_part, tmp)
            total = _summed_powers(e, visible, peak, tmp)
        peaks.append(peak)
        w = np.divide(1.0, total, out=total)
        part = tmp("mixed", *e.shape[:2], d, e.shape[3])
        np.matmul(v[rows][:, :, None, :, keys], _groups(e, n_kv), out=_groups(part, n_kv))
        np.multiply(part, w, out=mixed[rows][..., times])
        weight[rows][..., times] = w
    return o, (q, k, v, weight, peaks, o, tables)


def attention_backward(do: Array, cache: Cache, tmp: Workspace) -> Array:
    """Gradient of attention: do (C, N) → dqkv (C + 2E, N), channel-major.

    Blocks make e again from q and k. Multiplying every query's do by its w, once, saves making
    probabilities e · w of all scores; every score has the unit of POWER:

        dv = (do · w) e          ds = e · ((do · w)ᵀv − w · Σ_D do · o)
        dq = k dsᵀ · NATS        dk = q ds · NATS        both turned back, the factor on the way

    Here scores lie (queries, keys): four of the five products then read both sides along memory.
    What the heads of a group say of their key and value adds up.
    """
    q, k, v, weight, peaks, o, (cos, sin) = cache
    (n_batch, n_head, d, t), n_kv, (c, n) = q.shape, k.shape[1], do.shape
    e_ = n_kv * d
    dqkv = tmp("wide", c + 2 * e_, n)
    dq = _heads(dqkv[:c], n_batch, n_head)
    dk, dv = (_heads(x, n_batch, n_kv) for x in (dqkv[c : c + e_], dqkv[c + e_ :]))
    k_rows = _keys_as_rows(k, tmp)
    do_w, shift = _weighed(do, o, weight, tmp)
    do_w = _heads(do_w, n_batch, n_head)
    blocks = attention_blocks(n_batch, n_head, t, 0)
    # Last block first: it meets every key, so it writes what the others add to.
    for (rows, times), peak in reversed(list(zip(blocks, peaks, strict=True))):
        keys, is_first = slice(0, times.stop), times.stop == t
        q_part, do_part = q[rows][..., times], do_w[rows][..., times]
        visible = _visible(times.stop - times.start, do.dtype).T
        e = _scores(q_part, k[rows][..., keys], tmp)
        ds = tmp("ds", *e.shape)
        np.matmul(_groups(do_part, n_kv).swapaxes(3, 4), v[rows][:, :, None, :, keys],
                  out=_groups(ds, n_kv))
        _slopes(e, ds, shift[rows][:, :, times, None], visible,
                None if peak is None else peak.swapaxes(2, 3), tmp)
        dq_rows = tmp("mixed", *ds.shape[:3], d)
        np.matmul(_groups(ds, n_kv), k_rows[rows][:, :, None, keys], out=_groups(dq_rows, n_kv))
        _put_turned(dq[rows][..., times], dq_rows, tmp)
        _add_product(dv[rows][..., keys], do_part, e, is_first, tmp)
        _add_product(dk[rows][..., keys], q_part, ds, is_first, tmp)
    back = (np.multiply(cos, exponential.NATS, out=tmp("cos", *cos.shape)),
            np.multiply(sin, -exponential.NATS, out=tmp("sin", *sin.shape)))
    rotate(dqkv[: c + e_].reshape(n_head + n_kv, 2, d // 2, n), *back, tmp)
    return dqkv


def _scores(a: Array, b: Array, tmp: Workspace) -> Array:
    """aᵀb (b, H, rows, columns) of queries (b, H, D, …) and keys (b, K, D, …), in either order."""
    n_kv = min(a.shape[1], b.shape[1])
    s = tmp("scores", a.shape[0], max(a.shape[1], b.shape[1]), a.shape[3], b.shape[3])
    np.matmul(_groups(a, n_kv).swapaxes(3, 4), _groups(b, n_kv), out=_groups(s, n_kv))
    return s


def _groups(x: Array, n_kv: int) -> Array:
    """View of (b, H, …) by what the heads share: (b, K, G, …); keys and values have G = 1."""
    return x.reshape(x.shape[0], n_kv, -1, *x.shape[2:])


def _powers(s: Array, visible: Array, peak: Array | None = None) -> Array:
    """exp(s − peak) in place, and 0 where a query may not see a key.

    `visible` covers the last times of both axes: only as many keys as there are queries can come
    after one of them. What is hidden becomes 0 afterwards: vector exponentials of −∞ are slow.
    """
    n = visible.shape[0]
    last = s[:, :, -n:, -n:]
    with np.errstate(over="ignore", invalid="ignore"):  # the sums tell
        if peak is not None:
            np.copyto(last, -np.inf, where=visible == 0)
            s -= peak
            np.maximum(s, LOWEST, out=s)
        exponential.POWER(s, out=s)
        if n > 1:
            last *= visible
    return s


@kernel
def _summed_powers(s: Array, visible: Array, peak: Array | None, tmp: Workspace) -> Array:
    """_powers in place, and their sums over keys (b, H, 1, queries)."""
    return _sums(_powers(s, visible, peak))


@kernel
def _slopes(s: Array, ds: Array, shift: Array, visible: Array, peak: Array | None,
            tmp: Workspace) -> None:
    """s (b, H, queries, keys) becomes e, its powers, and ds (ds − shift) · e, both in place."""
    ds -= shift
    ds *= _powers(s, visible, peak)


@kernel
def _weighed(do: Array, o: Array, weight: Array, tmp: Workspace) -> tuple[Array, Array]:
    """do · w (C, N), and the sums over a head's channels of that times o, (B, H, T)."""
    (n_batch, n_head, _, t), do_w = weight.shape, tmp("rows", *do.shape)
    mine = np.multiply(_heads(do, n_batch, n_head), weight, out=_heads(do_w, n_batch, n_head))
    return do_w, np.einsum("bhdt,bhdt->bht", mine, _heads(o, n_batch, n_head),
                           out=tmp("shift", n_batch, n_head, t))


@kernel
def _put_turned(to: Array, x: Array, tmp: Workspace) -> None:
    """to (B, H, D, T) = x (B, H, T, D)."""
    to[...] = x.swapaxes(2, 3)


@kernel
def _keys_as_rows(k: Array, tmp: Workspace) -> Array:
    """k (B, K, D, T) → (B, K, T, D): BLAS is twice as fast with keys as rows.

    Turned from a compact copy: columns a power of two apart fall into the same sets of the cache,
    and reading across them costs four times as much.
    """
    compact, k_rows = tmp("rows", *k.shape), tmp("k_rows", *k.shape[:2], k.shape[3], k.shape[2])
    np.copyto(compact, k)
    np.copyto(k_rows, compact.swapaxes(2, 3))
    return k_rows


def _peaks(s: Array, visible: Array) -> Array:
    """The largest score of queries that need it subtracted, 0 for others: s → (b, H, 1, queries).

    Each query is judged by what it sees, or a later token would change how an earlier is rounded.
    """
    n = visible.shape[0]
    np.copyto(s[:, :, -n:], -np.inf, where=visible == 0)
    peak = np.max(s, axis=2, keepdims=True)
    with np.errstate(over="ignore"):
        total = _sums(exponential.POWER(s))
    return np.asarray(np.where((1 / SUMS < total) & (total < SUMS), s.dtype.type(0), peak))


def _sums(e: Array) -> Array:
    """Sums over keys: e (b, H, keys, queries) → (b, H, 1, queries)."""
    return np.asarray(np.matmul(ones_row(e.shape[2], e.dtype), e))


def _add_product(grad: Array, a: Array, b: Array, is_first: bool, tmp: Workspace) -> None:
    """grad = a b for the first block of a sequence, grad += a b for the others.

    a, b have H heads, grad K: head by head of all groups at once.
    """
    n_groups = a.shape[1] // grad.shape[1]
    for i in range(n_groups):
        own = a[:, i::n_groups], b[:, i::n_groups]
        if is_first and i == 0:
            np.matmul(*own, out=grad)
        else:
            grad += np.matmul(*own, out=tmp("product", *grad.shape))


def _append(store: Array, new: Array, before: int) -> Array:
    """Write new (B, K, D, T) behind `before` times of store (B, K, D, room); all times so far."""
    after = before + new.shape[3]
    store[..., before:after] = new
    return store[..., :after]


@functools.lru_cache(maxsize=8)
def _visible(n: int, dtype: Any) -> Array:
    """(keys, queries): 1, or 0 where the key comes after the query."""
    visible = np.triu(np.ones((n, n), dtype))
    visible.flags.writeable = False
    return visible
