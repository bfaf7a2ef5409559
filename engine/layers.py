"""The layers of the GPT as forward/backward pairs.

Axes: B batch, T time, N = B·T rows, C channels, H heads, D head size, F hidden, V vocabulary.
Every function is handed a Workspace: `buf` for what backward needs, `tmp` for what may be
overwritten as soon as the call has returned. No backward changes its cache, so calling it twice
gives the same arrays. dtype is whatever comes in: float32 in training, float64 in tests.
"""

import functools
from typing import Any

import numpy as np

from engine.workspace import Array, Workspace

Cache = tuple[Any, ...]

QUERIES = 64  # in a block of attention: fewer waste less of the square, more feed BLAS better
SCORES = 1 << 17  # in a block of attention: 512 kB, half of a common level-2 cache
ELEMENTS = 1 << 15  # of each array in a block of the feed-forward


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
    gathered = np.take(dx, order, axis=0, out=tmp("gathered", *dx.shape), mode="clip")
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
    np.einsum("nc,nc->n", x, x, out=r)
    r *= 1.0 / c
    r += eps
    np.sqrt(r, out=r)
    np.divide(1.0, r, out=r)
    n = np.multiply(x, r[:, None], out=buf("n", n_rows, c))
    return np.multiply(n, gain, out=buf("y", n_rows, c)), (n, r, gain)


def rms_norm_backward(dy: Array, cache: Cache, tmp: Workspace) -> tuple[Array, Array]:
    """Gradients of rms_norm: dy (N, C) → dx (N, C), dgain (C,).

        dn = dy · gain          dgain = Σ_N dy · n
        dx = r · (dn − n · mean_C(dn · n))      r scales both terms: x also moves the norm
    """
    n, r, gain = cache
    n_rows, c = n.shape
    dn_n = np.multiply(dy, n, out=tmp("dn_n", n_rows, c))  # without the gain, both sums need it
    dgain = np.matmul(_ones(n_rows, n.dtype), dn_n, out=tmp("dgain", 1, c))[0]
    mean = np.matmul(dn_n, gain, out=tmp("mean", n_rows))
    mean *= 1.0 / c
    dx = np.multiply(dy, gain, out=tmp("dnorm", n_rows, c))
    dx -= np.multiply(n, mean[:, None], out=dn_n)
    dx *= r[:, None]
    return dx, dgain


# --- attention -------------------------------------------------------------------------------


def rope_tables(n_time: int, head_size: int, base: float, dtype: Any) -> tuple[Array, Array]:
    """Cosines and sines of rotary position embedding: two arrays (D/2, T).

    Angle of pair i at time t is t · base^(−2i/D). Source: Su et al. 2021, arXiv:2104.09864.
    """
    half = head_size // 2
    frequency = base ** (-np.arange(half) / half)
    angle = np.outer(frequency, np.arange(n_time))  # (D/2, T)
    return np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)


def rotate(x: Array, cos: Array, sin: Array, out: Array, tmp: Workspace) -> Array:
    """Turn the pairs (first half, second half) of every head by their angle.

    x, out (..., 2, D/2, N); cos, sin (D/2, N). Half-split pairing, as in Llama.
    With −sin it turns back: the inverse of a rotation is its transpose, hence its backward.
    """
    a, b = x[..., 0, :, :], x[..., 1, :, :]
    product = tmp("rotate", *a.shape)
    first, second = out[..., 0, :, :], out[..., 1, :, :]
    np.multiply(a, cos, out=first)
    first -= np.multiply(b, sin, out=product)
    np.multiply(a, sin, out=second)
    second += np.multiply(b, cos, out=product)
    return out


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
                 is ever made; BLAS reads either order
    tables       cosines and sines (D/2, N) of every row's position
    past         keys and values (B, H, D, room) of earlier times and how many times they hold;
                 the new ones are written behind them (sampling only)
    returns o (C, N), channel-major, and the cache for attention_backward

        s = kᵀq / √D, −∞ where key > query      l = log Σ_keys exp s      o = v exp(s − l)

    A block of queries meets only the keys before its end, and no score outlives its block: work
    is about half of the square, memory linear in T. Scores lie (keys, queries), so that sums
    over keys run along memory. Sources: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; the
    recomputation from l is that of Dao et al. 2022, arXiv:2205.14135, algorithm 1.
    """
    c3, n = qkv.shape
    c, d = c3 // 3, c3 // 3 // n_head
    turned = buf("turned", 2 * c, n)
    pairs = (2, n_head, 2, d // 2, n)
    rotate(qkv[: 2 * c].reshape(pairs), *tables, turned.reshape(pairs), tmp)
    turned[:c] *= d ** -0.5  # scaling the queries is cheaper than scaling the scores
    q, k, v = (_heads(x, n_batch, n_head) for x in (turned[:c], turned[c:], qkv[2 * c :]))
    if past:
        k, v = _append(past[0], k, past[2]), _append(past[1], v, past[2])
    o = buf("o", c, n)
    mixed, lse = _heads(o, n_batch, n_head), buf("lse", n_batch, n_head, n // n_batch)
    before = past[2] if past else 0
    for rows, times in attention_blocks(n_batch, n_head, n // n_batch, before):
        q_part, mask = q[rows][..., times], _causal_mask(times.stop - times.start, o.dtype)
        s = _scores(k[rows][..., : before + times.stop], q_part, mask, tmp)  # (keys, queries)
        peak = np.max(s, axis=2, keepdims=True)
        s -= peak
        np.exp(s, out=s)
        total = np.matmul(_ones(s.shape[2], s.dtype), s)  # (b, H, 1, Q)
        part = np.matmul(v[rows][..., : s.shape[2]], s,
                         out=tmp("mixed", *s.shape[:2], d, s.shape[3]))
        np.divide(part, total, out=mixed[rows][..., times])
        np.log(total, out=total)
        total += peak
        lse[rows][..., times] = total[:, :, 0]
    return o, (q, k, v, lse, o, tables)


def attention_backward(do: Array, cache: Cache, tmp: Workspace) -> Array:
    """Gradient of attention: do (C, N) → dqkv (3C, N), channel-major.

    With p = exp(s − l), the probabilities of a block, made again from q, k and l:

        dv = do p        dp = doᵀv        ds = p · (dp − Σ_D do · o)
        dq = k dsᵀ / √D, turned back      dk = q ds, turned back (1/√D is already in q)

    Here scores lie (queries, keys): four of the five products then read both sides along memory.
    """
    q, k, v, lse, o, tables = cache
    n_batch, n_head, d, t = q.shape
    c, n = do.shape
    dqkv, dturned = tmp("dqkv", 3 * c, n), tmp("dturned", 2 * c, n)
    dq, dk, dv = (_heads(x, n_batch, n_head) for x in (dturned[:c], dturned[c:], dqkv[2 * c :]))
    do_heads = _heads(do, n_batch, n_head)
    shift = np.einsum("bhdt,bhdt->bht", do_heads, _heads(o, n_batch, n_head),
                      out=tmp("shift", n_batch, n_head, t))
    k_rows = tmp("k_rows", n_batch, n_head, t, d)  # BLAS is twice as fast with keys as rows
    np.copyto(k_rows, k.swapaxes(2, 3))
    # Last block first: it meets every key, so it writes what the others add to.
    for rows, times in reversed(attention_blocks(n_batch, n_head, t, 0)):
        keys, is_first = slice(0, times.stop), times.stop == t
        q_part, do_part = q[rows][..., times], do_heads[rows][..., times]
        mask = _causal_mask(times.stop - times.start, do.dtype).T
        p = _scores(q_part, k[rows][..., keys], mask, tmp)  # (queries, keys)
        p -= lse[rows][:, :, times, None]
        np.exp(p, out=p)
        ds = np.matmul(do_part.swapaxes(2, 3), v[rows][..., keys], out=tmp("ds", *p.shape))
        ds -= shift[rows][:, :, times, None]
        ds *= p
        dq_rows = tmp("mixed", *ds.shape[:3], d)
        np.matmul(ds, k_rows[rows][:, :, keys], out=dq_rows)
        dq[rows][..., times] = dq_rows.swapaxes(2, 3)
        _add_product(dv[rows][..., keys], do_part, p, is_first, tmp)
        _add_product(dk[rows][..., keys], q_part, ds, is_first, tmp)
    dturned[:c] *= d ** -0.5
    pairs = (2, n_head, 2, d // 2, n)
    rotate(dturned.reshape(pairs), tables[0], -tables[1], dqkv[: 2 * c].reshape(pairs), tmp)
    return dqkv


def attention_blocks(n_batch: int, n_head: int, n_time: int,
                     before: int) -> list[tuple[slice, slice]]:
    """(sequences, query times) of each block: so many scores as stay in the level-2 cache."""
    n_queries = min(n_time, QUERIES)
    n_rows = max(1, SCORES // (n_head * n_queries * (before + n_time)))
    return [(slice(row, min(row + n_rows, n_batch)), slice(time, min(time + n_queries, n_time)))
            for row in range(0, n_batch, n_rows) for time in range(0, n_time, n_queries)]


def _scores(a: Array, b: Array, mask: Array, tmp: Workspace) -> Array:
    """aᵀb (b, H, rows, columns) of queries and keys (b, H, D, …), and −∞ where the mask says.

    The mask covers the last times of both: only as many keys as there are queries can come
    after one of them.
    """
    s = tmp("scores", *a.shape[:2], a.shape[3], b.shape[3])
    np.matmul(a.swapaxes(2, 3), b, out=s)
    n = mask.shape[0]
    if n > 1:
        s[:, :, -n:, -n:] += mask
    return s


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
def _causal_mask(n: int, dtype: Any) -> Array:
    """(keys, queries): −∞ where the key comes after the query."""
    mask = np.tril(np.full((n, n), -np.inf, dtype), -1)
    mask.flags.writeable = False
    return mask


@functools.lru_cache(maxsize=64)
def _ones(n: int, dtype: Any) -> Array:
    """(1, n) of ones: a matrix product sums faster than numpy's sum does."""
    return np.ones((1, n), dtype)


# --- feed-forward ----------------------------------------------------------------------------


def swiglu(gate_up: Array, buf: Workspace) -> tuple[Array, Cache]:
    """Gated activation: gate_up (2F, N) → h (F, N), channel-major, and the backward's cache.

        σ = 1 / (1 + exp(−gate))        h = gate · σ · up

    Source: Shazeer 2020, arXiv:2002.05202.
    """
    f, n = gate_up.shape[0] // 2, gate_up.shape[1]
    sigma, h = buf("sigma", f, n), buf("h", f, n)
    for part in _channels(f, n):
        gate, up, s = gate_up[:f][part], gate_up[f:][part], sigma[part]
        np.negative(gate, out=s)
        with np.errstate(over="ignore"):  # exp(−gate) = inf is right: σ is then exactly 0
            np.exp(s, out=s)
        s += 1.0
        np.divide(1.0, s, out=s)
        np.multiply(gate, s, out=h[part])
        h[part] *= up
    return h, (gate_up, sigma)


def swiglu_backward(dh: Array, cache: Cache, tmp: Workspace) -> Array:
    """Gradient of swiglu: dh (F, N) → dgate_up (2F, N).

        dup = dh · gate · σ        dgate = dh · up · (σ + gate · σ · (1 − σ))
    """
    gate_up, sigma = cache
    f, n = dh.shape
    dgate_up = tmp("dgate_up", 2 * f, n)
    for part in _channels(f, n):
        s, dgate, d = sigma[part], dgate_up[:f][part], dh[part]
        swish = np.multiply(gate_up[:f][part], s, out=tmp("swish", *d.shape))
        np.multiply(d, swish, out=dgate_up[f:][part])
        np.subtract(1.0, s, out=dgate)
        dgate *= swish
        dgate += s
        dgate *= gate_up[f:][part]
        dgate *= d
    return dgate_up


def _channels(f: int, n: int) -> list[slice]:
    """Runs of channels whose arrays stay in the level-2 cache from the first pass to the last."""
    step = max(1, ELEMENTS // n)
    return [slice(start, min(start + step, f)) for start in range(0, f, step)]


# --- head and loss ---------------------------------------------------------------------------


def cross_entropy(logits: Array, targets: Array, scale: float | None) -> Array:
    """Negative log-likelihood of each target: logits (V, N), targets (N,) → nats (N,).

    The logits are overwritten. With a scale they become the gradient of scale · Σ nats, which
    is all that backward needs:

        dlogits = scale · (softmax(logits) − onehot(targets))
    """
    columns = np.arange(targets.size)
    logits -= np.max(logits, axis=0)
    picked = logits[targets, columns]
    np.exp(logits, out=logits)
    total = np.matmul(_ones(logits.shape[0], logits.dtype), logits)[0]
    if scale is not None:
        logits *= scale / total
        logits[targets, columns] -= scale
    return np.asarray(np.log(total) - picked)
