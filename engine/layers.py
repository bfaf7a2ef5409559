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
    dgain = np.einsum("nc,nc->c", dy, n, out=tmp("dgain", n.shape[1]))
    dx = np.multiply(dy, gain, out=tmp("dnorm", *n.shape))
    mean = np.einsum("nc,nc->n", dx, n, out=tmp("mean", n.shape[0]))
    mean *= 1.0 / n.shape[1]
    dx -= np.multiply(n, mean[:, None], out=tmp("shift", *n.shape))
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

    x, out (..., 2, D/2, B, T); cos, sin (D/2, 1, T). Half-split pairing, as in Llama.
    With −sin it turns back: the inverse of a rotation is its transpose, hence its backward.
    """
    a, b = x[..., 0, :, :, :], x[..., 1, :, :, :]
    product = tmp("rotate", *a.shape)
    first, second = out[..., 0, :, :, :], out[..., 1, :, :, :]
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
    """Causal multi-head attention with rotary positions.

    qkv (3C, N)  queries, keys and values, channel-major: rows are channels, so that a head's
                 halves and a sequence's times are long contiguous runs and no transposed copy
                 is ever made; BLAS reads either order
    past         keys and values (B, H, D, room) of earlier times and how many times they hold;
                 the new ones are written behind them (sampling only)
    returns o (C, N), channel-major, and the cache for attention_backward

        e = exp(qᵀk / √D − max)  for key ≤ query        o = (v eᵀ) / Σ_keys e

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
    """
    c3, n = qkv.shape
    c, t = c3 // 3, n // n_batch
    half = c // n_head // 2
    before = past[2] if past else 0
    cos, sin = (table[:, None, before : before + t] for table in tables)
    turned = buf("turned", 2 * c, n)
    pairs = (2, n_head, 2, half, n_batch, t)
    rotate(qkv[: 2 * c].reshape(pairs), cos, sin, turned.reshape(pairs), tmp)
    turned[:c] *= (2 * half) ** -0.5  # scaling the queries is cheaper than scaling the scores
    q, k, v = (_heads(x, n_batch, n_head) for x in (turned[:c], turned[c:], qkv[2 * c :]))
    if past:
        k, v = _append(past[0], k, before), _append(past[1], v, before)
    n_keys, room = before + t, past[0].shape[3] if past else t
    e = buf("e", n_batch, n_head, t, room)[..., :n_keys]
    np.matmul(q.swapaxes(2, 3), k, out=e)
    if t > 1:
        e += _causal_mask(t, n_keys, e.dtype)
    e -= np.max(e, axis=3, keepdims=True, out=tmp("peak", n_batch, n_head, t, 1))
    np.exp(e, out=e)
    total = np.sum(e, axis=3, out=buf("total", n_batch, n_head, t))
    o = buf("o", c, n)
    mixed = _heads(o, n_batch, n_head)  # (B, H, D, T)
    np.matmul(v, e.swapaxes(2, 3), out=mixed)
    mixed /= total[:, :, None, :]
    return o, (q, k, v, e, total, o, tables)


def _append(store: Array, new: Array, before: int) -> Array:
    """Write new (B, H, D, T) behind `before` times of store (B, H, D, room); all times so far."""
    after = before + new.shape[3]
    store[..., before:after] = new
    return store[..., :after]


def attention_backward(do: Array, cache: Cache, tmp: Workspace) -> Array:
    """Gradient of attention: do (C, N) → dqkv (3C, N), channel-major.

    With ē = e / total, the probabilities:

        dv = do ē        dē = doᵀ v        ds = ē · (dē − Σ_D do · o)
        dq = k dsᵀ / √D, turned back       dk = q ds / √D, turned back

    `total` divides do once instead of the T × T array e. The scale of q is already in q, so dk
    needs none.
    """
    q, k, v, e, total, o, tables = cache
    n_batch, n_head, d, t = q.shape
    c, n = do.shape
    dqkv = tmp("dqkv", 3 * c, n)
    dturned = tmp("dturned", 2 * c, n)
    dq, dk, dv = (_heads(x, n_batch, n_head) for x in (dturned[:c], dturned[c:], dqkv[2 * c :]))
    do_heads = np.divide(_heads(do, n_batch, n_head), total[:, :, None, :],
                         out=_heads(tmp("do", c, n), n_batch, n_head))
    np.matmul(do_heads, e, out=dv)
    shift = np.einsum("bhdt,bhdt->bht", do_heads, _heads(o, n_batch, n_head),
                      out=tmp("shift", n_batch, n_head, t))
    ds = np.matmul(do_heads.swapaxes(2, 3), v, out=tmp("ds", n_batch, n_head, t, t))
    ds -= shift[..., None]
    ds *= e
    np.matmul(k, ds.swapaxes(2, 3), out=dq)
    np.matmul(q, ds, out=dk)
    dturned[:c] *= d ** -0.5
    cos, sin = (table[:, None, :t] for table in tables)
    paired = (2, n_head, 2, d // 2, n_batch, t)
    rotate(dturned.reshape(paired), cos, -sin, dqkv[: 2 * c].reshape(paired), tmp)
    return dqkv


@functools.lru_cache(maxsize=2)  # training and evaluation; 17 MB each at T = 2,048
def _causal_mask(n_queries: int, n_keys: int, dtype: Any) -> Array:
    """(T, keys): −inf where the key comes after the query; the last query sees every key."""
    mask = np.triu(np.full((n_queries, n_keys), -np.inf, dtype), n_keys - n_queries + 1)
    mask.flags.writeable = False
    return mask


# --- feed-forward ----------------------------------------------------------------------------


def swiglu(gate_up: Array, buf: Workspace) -> tuple[Array, Cache]:
    """Gated activation: gate_up (N, 2F) → h (N, F) and the cache for swiglu_backward.

        σ = 1 / (1 + exp(−gate))        h = gate · σ · up

    Source: Shazeer 2020, arXiv:2002.05202.
    """
    n, f = gate_up.shape[0], gate_up.shape[1] // 2
    gate, up = gate_up[:, :f], gate_up[:, f:]
    sigma = np.negative(gate, out=buf("sigma", n, f))
    with np.errstate(over="ignore"):  # exp(−gate) = inf is right: σ is then exactly 0
        np.exp(sigma, out=sigma)
    sigma += 1.0
    np.divide(1.0, sigma, out=sigma)
    h = np.multiply(gate, sigma, out=buf("h", n, f))
    h *= up
    return h, (gate, up, sigma)


def swiglu_backward(dh: Array, cache: Cache, tmp: Workspace) -> Array:
    """Gradient of swiglu: dh (N, F) → dgate_up (N, 2F).

        dup = dh · gate · σ        dgate = dh · up · (σ + gate · σ · (1 − σ))
    """
    gate, up, sigma = cache
    n, f = dh.shape
    dgate_up = tmp("dgate_up", n, 2 * f)
    dgate, dup = dgate_up[:, :f], dgate_up[:, f:]
    swish = np.multiply(gate, sigma, out=tmp("swish", n, f))
    np.multiply(dh, swish, out=dup)
    np.subtract(1.0, sigma, out=dgate)
    dgate *= swish
    dgate += sigma
    dgate *= up
    dgate *= dh
    return dgate_up


# --- head and loss ---------------------------------------------------------------------------


def cross_entropy(logits: Array, targets: Array, tmp: Workspace, scale: float | None) -> Array:
    """Negative log-likelihood of each target: logits (N, V), targets (N,) → nats (N,).

    The logits are overwritten. With a scale they become the gradient of scale · Σ nats, which
    is all that backward needs:

        dlogits = scale · (softmax(logits) − onehot(targets))
    """
    rows = np.arange(targets.size)
    peak = np.max(logits, axis=1, keepdims=True, out=tmp("peak", targets.size, 1))
    logits -= peak
    picked = logits[rows, targets]
    np.exp(logits, out=logits)
    total = np.sum(logits, axis=1)
    if scale is not None:
        logits *= (scale / total)[:, None]
        logits[rows, targets] -= scale
    return np.asarray(np.log(total) - picked)
