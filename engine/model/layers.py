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

from engine.model.workspace import Array, Workspace
from engine.native import kernel

Cache = tuple[Any, ...]

ELEMENTS = 1 << 16  # of each array in a block of the feed-forward: 256 kB
LOGITS = 60.0  # the loss does not subtract the largest logit while all lie within −this, this


def product_into(grad: Array, a: Array, b: Array, tmp: Workspace, accumulate: bool) -> None:
    """grad = a @ b, or grad += a @ b when gradients of several passes are summed."""
    if accumulate:
        grad += np.matmul(a, b, out=tmp("product", *grad.shape))
    else:
        np.matmul(a, b, out=grad)


def put(grad: Array, value: Array, accumulate: bool) -> None:
    """grad = value, or grad += value when gradients of several passes are summed."""
    if accumulate:
        grad += value
    else:
        grad[...] = value


@functools.lru_cache(maxsize=64)
def ones_row(n: int, dtype: Any) -> Array:
    """(1, n) of ones: a matrix product sums faster than numpy's sum does."""
    return np.ones((1, n), dtype)


# --- embedding -------------------------------------------------------------------------------


def embedding(ids: Array, table: Array, buf: Workspace) -> Array:
    """Rows of the table: ids (N,) integers, table (V, C) → x (N, C)."""
    x = buf("x", ids.size, table.shape[1])
    # mode="clip" lets numpy write straight into `out`; ids are checked where they are read.
    return np.take(table, ids, axis=0, out=x, mode="clip")


@kernel
def embedding_backward(dx: Array, ids: Array, dtable: Array, tmp: Workspace) -> None:
    """Add dx (N, C) into the rows of dtable (V, C) that `ids` (N,) came from.

    Equal ids are brought together by a stable sort and summed with reduceat: the same order,
    hence the same bits, on every run, and several times faster than np.add.at. Ids that occur
    once, most of a text's kinds of token in a batch, are spared it: it is slow per sum.
    """
    order = np.argsort(ids, kind="stable")
    rows, starts, counts = np.unique(ids[order], return_index=True, return_counts=True)
    once, often = counts == 1, counts > 1
    dtable[rows[once]] += dx[order[starts[once]]]
    if np.any(often):
        together = order[np.repeat(often, counts)]
        gathered = np.take(dx, together, axis=0, out=tmp("rows", *dx.shape)[: together.size],
                           mode="clip")
        firsts = np.cumsum(counts[often]) - counts[often]
        dtable[rows[often]] += np.add.reduceat(gathered, firsts, axis=0)


# --- normalisation ---------------------------------------------------------------------------


@kernel
def rms_norm(x: Array, gain: Array, buf: Workspace, eps: float = 1e-6) -> tuple[Array, Cache]:
    """Scale every feature vector to unit root-mean-square, then by a learned gain.

    x     (N, C)  residual stream
    gain  (C,)    learned scale
    returns y (N, C) and the cache for rms_norm_backward

        r = 1 / sqrt(mean_C(x²) + eps)          y = x · r · gain

    Source: Zhang and Sennrich 2019, arXiv:1910.07467.
    """
    n, r = unit_rms(x, buf, eps)
    return np.multiply(n, gain, out=buf("y", *x.shape)), (n, r, gain)


@kernel
def unit_rms(x: Array, buf: Workspace, eps: float = 1e-6) -> tuple[Array, Array]:
    """rms_norm without a gain: n (N, C), and the factors r (N,) that made it."""
    n_rows, c = x.shape
    r = buf("r", n_rows)
    np.vecdot(x, x, out=r)
    r += c * eps
    np.sqrt(r, out=r)
    np.divide(math.sqrt(c), r, out=r)
    return np.multiply(x, r[:, None], out=buf("n", n_rows, c)), r


@kernel
def rms_norm_backward(dy: Array, cache: Cache, tmp: Workspace) -> tuple[Array, Array]:
    """Gradients of rms_norm: dy (N, C) → dx (N, C), dgain (C,).

        dn = dy · gain          dgain = Σ_N dy · n
        dx = r · (dn − n · mean_C(dn · n))      r scales both terms: x also moves the norm
    """
    n, r, gain = cache
    n_rows, c = n.shape
    dn_n = np.multiply(dy, n, out=tmp("rows", n_rows, c))  # without the gain, both sums need it
    dgain = np.matmul(ones_row(n_rows, n.dtype), dn_n, out=tmp("dgain", 1, c))[0]
    mean = np.matmul(dn_n, gain, out=tmp("mean", n_rows))
    mean *= 1.0 / c
    dx = np.multiply(dy, gain, out=tmp("dnorm", n_rows, c))
    dx -= np.multiply(n, mean[:, None], out=dn_n)
    dx *= r[:, None]
    return dx, dgain


# --- feed-forward ----------------------------------------------------------------------------


@kernel
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


@kernel
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


@kernel
def cross_entropy(logits: Array, targets: Array, scale: float | None, power: np.ufunc = np.exp,
                  nats: float = 1.0, tmp: Workspace | None = None) -> Array:
    """Negative log-likelihood of each target: logits (V, N), targets (N,) → nats (N,).

    Logits have the unit of `power`, which is `nats` nats. They are overwritten. With a scale
    they become the gradient of scale · Σ nats, which is all that backward needs:

        dlogits = scale · (softmax(logits) − onehot(targets)) · nats
    """
    columns = np.arange(targets.size)
    if not (-LOGITS < np.min(logits) and np.max(logits) < LOGITS):
        logits -= np.max(logits, axis=0)
    picked = logits[targets, columns]
    power(logits, out=logits)
    total = np.matmul(ones_row(logits.shape[0], logits.dtype), logits)[0]
    if scale is not None:
        logits *= scale * nats / total
        logits[targets, columns] -= scale * nats
    return np.asarray(np.log(total) - nats * picked)
