"""The layers of the GPT as forward/backward pairs.

Axes: B batch, T time, N = B·T rows, C channels, H heads, D head size, F hidden, V vocabulary.
Every function is handed a Workspace: `buf` for what backward needs, `tmp` for what may be
overwritten as soon as the call has returned. No backward changes its cache, so calling it twice
gives the same arrays. dtype is whatever comes in: float32 in training, float64 in tests.
"""

import functools
import math
from typing import Any

import numpy as np

from engine.workspace import Array, Workspace

Cache = tuple[Any, ...]

QUERIES = 64  # in a block of attention: fewer waste less of the square, more feed BLAS better
SCORES = 1 << 17  # in a block of attention: 512 kB, half of a common level-2 cache
ELEMENTS = 1 << 16  # of each array in a block of the feed-forward: 256 kB
SUMS = 1e20  # attention goes without s − max s while its sums of exp s lie within 1/this, this
LOWEST = -120.0  # scores further below the largest count as this: 2⁻¹²⁰ is nothing beside 1
LOGITS = 60.0  # and the loss, while its logits lie within −this, this


def _fast_base() -> tuple[np.ufunc, float]:
    """(exponential, nats in its unit): 2ˣ where numpy has a vector form of it, with AVX-512."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return (np.exp2, math.log(2.0)) if {"X86_V4", "AVX512_SKX"} & set(found) else (np.exp, 1.0)


POWER, NATS = _fast_base()  # 2ˣ takes half the time of eˣ there, and several times it elsewhere


def product_into(grad: Array, a: Array, b: Array, tmp: Workspace, accumulate: bool) -> None:
    """grad = a @ b, or grad += a @ b when gradients of several passes are summed."""
    if accumulate:
        grad += np.matmul(a, b, out=tmp("product", *grad.shape))
    else:
        np.matmul(a, b, out=grad)


# --- embedding -------------------------------------------------------------------------------


def embedding(ids: Array, table: Array, buf: Workspace) -> Array:
    """Rows of the table: ids (N,) integers, table (V, C) → x (N, C)."""
    x = buf("x", ids.size, table.shape[1])
    # mode="clip" lets numpy write straight into `out`; ids are checked where they are read.
    return np.take(table, ids, axis=0, out=x, mode="clip")


def embedding_backward(dx: Array, ids: Array, dtable: Array, tmp: Workspace) -> None:
    """Add dx (N, C) into the rows of dtable (V, C) that `ids` (N,) came from.

    Equal ids are brought together by a stable sort and summed with reduceat: the same order,
    hence the same bits, on every run, and several times faster than np.add.at.
    """
    order = np.argsort(ids, kind="stable")
    rows, starts = np.unique(ids[order], return_index=True)
    gathered = np.take(dx, order, axis=0, out=tmp("rows", *dx.shape), mode="clip")
    dtable[rows] += np.add.reduceat(gathered, starts, axis=0)


# --- normalisation ---------------------------------------------------------------------------


def rms_norm(x: Array, gain: Array, buf: Workspace, eps: float = 1e-6) -> tuple[Array, Cache]:
    """Scale every feature vector to unit root-mean-square, then by a learned gain.

    x     (N, C)  residual stream
    gain  (C,)    learned scale
    returns y (N, C) and the cache for rms_norm_backward

        r = 1 / sqrt(mean_C(x²) + eps)          y = x · r · gain

    Source: Zhang and Sennrich 2019, arXiv:1910.07467.
    """
    n_rows, c = x.shape
    r = buf("r", n_rows)
    np.vecdot(x, x, out=r)
    r += c * eps
    np.sqrt(r, out=r)
    np.divide(math.sqrt(c), r, out=r)
    n = np.multiply(x, r[:, None], out=buf("n", n_rows, c))
    return np.multiply(n, gain, out=buf("y", n_rows, c)), (n, r, gain)


def rms_norm_backward(dy: Array, cache: Cache, tmp: Workspace) -> tuple[Array, Array]:
    """Gradients of rms_norm: dy (N, C) → dx (N, C), dgain (C,).

        dn = dy · gain          dgain = Σ_N dy · n
        dx = r · (dn − n · mean_C(dn · n))      r scales both terms: x also moves the norm
    """
    n, r, gain = cache
    n_rows, c = n.shape
    dn_n = np.multiply(dy, n, out=tmp("rows", n_rows, c))  # without the gain, both sums need it
    dgain = np.matmul(_ones(n_rows, n.dtype), dn_n, out=tmp("dgain", 1, c))[0]
    mean = np.matmul(dn_n, gain, out=tmp("mean", n_rows))
    mean *= 1.0 / c
    dx = np.multiply(dy, gain, out=tmp("dnorm", n_rows, c))
    dx -= np.multiply(n, mean[:, None], out=dn_n)
    dx *= r[:, None]
    return dx, dgain


# --- attention -------------------------------------------------------------------------------


def rope_tables(n_time: int, head_size: int, base: float, dtype: Any) -> tuple[Array, Array]:
    """Cosines and sines of rotary position embedding, scaled for attention: two arrays (D/2, T).

    Angle of pair i at time t is t · base^(−2i/D). Source: Su et al. 2021, arXiv:2104.09864.
    Queries and keys are both turned with these and each takes the root of 1/√D and of the unit
    of POWER along, so that their products need no pass of scaling.
    """
    half = head_size // 2
    frequency = base ** (-np.arange(half) / half)
    angle = np.outer(frequency, np.arange(n_time))  # (D/2, T)
    scale = math.sqrt(head_size ** -0.5 / NATS)
    return (scale * np.cos(angle)).astype(dtype), (scale * np.sin(angle)).astype(dtype)


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


def _heads(x: Array, b: int, h: int) -> Array:
    """(C, N) channel-major → view (B, H, D, T)."""
    c, n = x.shape
    return x.reshape(h, c // h, b, n // b).transpose(2, 0, 1, 3)


def attention(qkv: Array, n_head: int, n_batch: int, tables: tuple[Array, Array],
              buf: Workspace, tmp: Workspace,
              past: tuple[Array, Array, int] | None = None) -> tuple[Array, Cache]:
    """Causal multi-head attention with rotary positions, in blocks of queries.

    qkv (3C, N)  queries, keys and values, channel-major: rows are channels, so that a head's
                 halves and a sequence's times are long contiguous runs and no transposed copy
                 is ever made; BLAS reads either order. Queries and keys are turned in place.
    tables       rope_tables of every row's position: (D/2, N)
    past         keys and values (B, H, D, room) of earlier times and how many times they hold;
                 the new ones are written behind them (sampling only)
    returns o (C, N), channel-major, and the cache for attention_backward

        e = exp(kᵀq / √D), 0 where key > query        w = 1 / Σ_keys e        o = v (e · w)

    A block of queries meets only the keys before its end, and no score outlives its block: work
    is about half of the square, memory linear in T. Scores lie (keys, queries), so that sums
    over keys run along memory. Sources: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; the
    recomputation of e in backward is that of Dao et al. 2022, arXiv:2205.14135, algorithm 1.

    The softmax of textbooks first subtracts the largest score of each query: two passes over all
    scores. Here that is done only for blocks whose sums would leave (1/SUMS, SUMS) without it.
    """
    c3, n = qkv.shape
    c, d = c3 // 3, c3 // 3 // n_head
    rotate(qkv[: 2 * c].reshape(2, n_head, 2, d // 2, n), *tables, tmp)
    q, k, v = (_heads(qkv[i * c : (i + 1) * c], n_batch, n_head) for i in range(3))
    if past:
        k, v = _append(past[0], k, past[2]), _append(past[1], v, past[2])
    o, weight = buf("o", c, n), buf("weight", n_batch, n_head, 1, n // n_batch)
    mixed, before, peaks = _heads(o, n_batch, n_head), past[2] if past else 0, []
    for rows, times in attention_blocks(n_batch, n_head, n // n_batch, before):
        keys, visible = slice(0, before + times.stop), _visible(times.stop - times.start, o.dtype)
        q_part, k_part, peak = q[rows][..., times], k[rows][..., keys], None
        e = _powers(_scores(k_part, q_part, tmp), visible)
        total = _sums(e)
        least, most = (ufunc.reduce(total, axis=None) for ufunc in (np.minimum, np.maximum))
        if not (1 / SUMS < least and most < SUMS):
            peak = _peaks(_scores(k_part, q_part, tmp), visible)
            e = _powers(_scores(k_part, q_part, tmp), visible, peak)
            total = _sums(e)
        peaks.append(peak)
        w = np.divide(1.0, total, out=total)
        part = np.matmul(v[rows][..., keys], e, out=tmp("mixed", *e.shape[:2], d, e.shape[3]))
        np.multiply(part, w, out=mixed[rows][..., times])
        weight[rows][..., times] = w
    return o, (q, k, v, weight, peaks, o, tables)


def attention_backward(do: Array, cache: Cache, tmp: Workspace) -> Array:
    """Gradient of attention: do (C, N) → dqkv (3C, N), channel-major.

    Blocks make e again from q and k. Multiplying every query's do by its w, once, saves making
    probabilities e · w of all scores; every score has the unit of POWER:

        dv = (do · w) e          ds = e · ((do · w)ᵀv − w · Σ_D do · o)
        dq = k dsᵀ · NATS        dk = q ds · NATS        both turned back, the factor on the way

    Here scores lie (queries, keys): four of the five products then read both sides along memory.
    """
    q, k, v, weight, peaks, o, (cos, sin) = cache
    n_batch, n_head, d, t = q.shape
    c, n = do.shape
    dqkv = tmp("wide", 3 * c, n)
    dq, dk, dv = (_heads(dqkv[i * c : (i + 1) * c], n_batch, n_head) for i in range(3))
    # BLAS is twice as fast with keys as rows. Turned from a compact copy: columns a power of two
    # apart fall into the same sets of the cache, and reading across them costs four times as much.
    compact, k_rows = tmp("rows", *k.shape), tmp("k_rows", n_batch, n_head, t, d)
    np.copyto(compact, k)
    np.copyto(k_rows, compact.swapaxes(2, 3))
    do_w = _heads(tmp("rows", c, n), n_batch, n_head)
    np.multiply(_heads(do, n_batch, n_head), weight, out=do_w)
    shift = np.einsum("bhdt,bhdt->bht", do_w, _heads(o, n_batch, n_head),
                      out=tmp("shift", n_batch, n_head, t))
    blocks = attention_blocks(n_batch, n_head, t, 0)
    # Last block first: it meets every key, so it writes what the others add to.
    for (rows, times), peak in reversed(list(zip(blocks, peaks, strict=True))):
        keys, is_first = slice(0, times.stop), times.stop == t
        q_part, do_part = q[rows][..., times], do_w[rows][..., times]
        visible = _visible(times.stop - times.start, do.dtype).T
        e = _powers(_scores(q_part, k[rows][..., keys], tmp), visible,
                    None if peak is None else peak.swapaxes(2, 3))
        ds = np.matmul(do_part.swapaxes(2, 3), v[rows][..., keys], out=tmp("ds", *e.shape))
        ds -= shift[rows][:, :, times, None]
        ds *= e
        dq_rows = tmp("mixed", *ds.shape[:3], d)
        np.matmul(ds, k_rows[rows][:, :, keys], out=dq_rows)
        dq[rows][..., times] = dq_rows.swapaxes(2, 3)
        _add_product(dv[rows][..., keys], do_part, e, is_first, tmp)
        _add_product(dk[rows][..., keys], q_part, ds, is_first, tmp)
    back = (np.multiply(cos, NATS, out=tmp("cos", *cos.shape)),
            np.multiply(sin, -NATS, out=tmp("sin", *sin.shape)))
    rotate(dqkv[: 2 * c].reshape(2, n_head, 2, d // 2, n), *back, tmp)
    return dqkv


def attention_blocks(n_batch: int, n_head: int, n_time: int,
                     before: int) -> list[tuple[slice, slice]]:
    """(sequences, query times) of each block: so many scores as stay in the level-2 cache."""
    n_queries = min(n_time, QUERIES)
    n_rows = max(1, SCORES // (n_head * n_queries * (before + n_time)))
    return [(slice(row, min(row + n_rows, n_batch)), slice(time, min(time + n_queries, n_time)))
            for row in range(0, n_batch, n_rows) for time in range(0, n_time, n_queries)]


def _scores(a: Array, b: Array, tmp: Workspace) -> Array:
    """aᵀb (b, H, rows, columns) of queries and keys (b, H, D, …), whichever comes first."""
    s = tmp("scores", *a.shape[:2], a.shape[3], b.shape[3])
    return np.matmul(a.swapaxes(2, 3), b, out=s)


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
        POWER(s, out=s)
        if n > 1:
            last *= visible
    return s


def _peaks(s: Array, visible: Array) -> Array:
    """The largest score of queries that need it subtracted, 0 for others: s → (b, H, 1, queries).

    Each query is judged by what it sees, or a later token would change how an earlier is rounded.
    """
    n = visible.shape[0]
    np.copyto(s[:, :, -n:], -np.inf, where=visible == 0)
    peak = np.max(s, axis=2, keepdims=True)
    with np.errstate(over="ignore"):
        total = _sums(POWER(s))
    return np.asarray(np.where((1 / SUMS < total) & (total < SUMS), s.dtype.type(0), peak))


def _sums(e: Array) -> Array:
    """Sums over keys: e (b, H, keys, queries) → (b, H, 1, queries)."""
    return np.asarray(np.matmul(_ones(e.shape[2], e.dtype), e))


def _add_product(grad: Array, a: Array, b: Array, is_first: bool, tmp: Workspace) -> None:
    """grad = a b for the first block of a sequence, grad += a b for the others."""
    if is_first:
        np.matmul(a, b, out=grad)
    else:
        grad += np.matmul(a, b, out=tmp("product", *grad.shape))


def _append(store: Array, new: Array, before: int) -> Array:
    """Write new (B, H, D, T) behind `before` times of store (B, H, D, room); all times so far."""
    after = before + new.shape[3]
    store[..., before:after] = new
    return store[..., :after]


@functools.lru_cache(maxsize=8)
def _visible(n: int, dtype: Any) -> Array:
    """(keys, queries): 1, or 0 where the key comes after the query."""
    visible = np.triu(np.ones((n, n), dtype))
    visible.flags.writeable = False
    return visible


@functools.lru_cache(maxsize=64)
def _ones(n: int, dtype: Any) -> Array:
    """(1, n) of ones: a matrix product sums faster than numpy's sum does."""
    return np.ones((1, n), dtype)


# --- feed-forward ----------------------------------------------------------------------------


def swiglu(gate_up: Array, buf: Workspace, tmp: Workspace) -> tuple[Array, Cache]:
    """Gated activation: gate_up (2F, N) → h (F, N), channel-major, and the backward's cache.

        σ = ½ (1 + tanh(gate / 2))        swish = gate · σ        h = swish · up

    h is `tmp`: one product makes it again. The gates are overwritten with their swish. tanh is
    faster than exp, on a phone several times; σ is then exact to one part in 10⁷ of 1, not of
    itself, which only gates below −10 could tell. Source: Shazeer 2020, arXiv:2002.05202.
    """
    f, n = gate_up.shape[0] // 2, gate_up.shape[1]
    sigma2, h = buf("sigma2", f, n), tmp("h", f, n)
    for part in _channels(f, n):
        gate, s = gate_up[:f][part], sigma2[part]
        gate *= 0.5
        np.tanh(gate, out=s)
        s += 1.0
        gate *= s
        np.multiply(gate, gate_up[f:][part], out=h[part])
    return h, (gate_up, sigma2)


def swiglu_backward(dh: Array, cache: Cache, dgate_up: Array, tmp: Workspace) -> Array:
    """Gradient of swiglu: dh (F, N) → dgate_up (2F, N), whose second half may be dh; returns h.

        dgate = dh · up · (swish + σ · (1 − swish))        dup = dh · swish
    """
    swish_up, sigma2 = cache
    f, n = dh.shape
    h = tmp("h", f, n)
    for part in _channels(f, n):
        swish, up, dgate = swish_up[:f][part], swish_up[f:][part], dgate_up[:f][part]
        np.multiply(swish, up, out=h[part])
        np.multiply(swish, -0.5, out=dgate)
        dgate += 0.5
        dgate *= sigma2[part]
        dgate += swish
        dgate *= up
        dgate *= dh[part]
        np.multiply(dh[part], swish, out=dgate_up[f:][part])
    return h


def _channels(f: int, n: int) -> list[slice]:
    """Runs of channels whose arrays stay in the level-2 cache from the first pass to the last."""
    step = max(1, ELEMENTS // n)
    return [slice(start, min(start + step, f)) for start in range(0, f, step)]


# --- head and loss ---------------------------------------------------------------------------


def cross_entropy(logits: Array, targets: Array, scale: float | None,
                  power: np.ufunc = np.exp, nats: float = 1.0) -> Array:
    """Negative log-likelihood of each target: logits (V, N), targets (N,) → nats (N,).

    Logits have the unit of `power`, which is `nats` nats. They are overwritten. With a scale
    they become the gradient of scale · Σ nats, which is all that backward needs:

        dlogits = scale · (softmax(logits) − onehot(targets)) · nats
    """
    columns = np.arange(targets.size)
    # As in attention, the largest logit is subtracted only where the sums need it.
    if not (-LOGITS < np.min(logits) and np.max(logits) < LOGITS):
        logits -= np.max(logits, axis=0)
    picked = logits[targets, columns]
    power(logits, out=logits)
    total = np.matmul(_ones(logits.shape[0], logits.dtype), logits)[0]
    if scale is not None:
        logits *= scale * nats / total
        logits[targets, columns] -= scale * nats
    return np.asarray(np.log(total) - nats * picked)
