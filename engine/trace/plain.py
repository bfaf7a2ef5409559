"""The layers as textbooks write them, of one sequence in float64: what a tensor should be.

Slow, without workspaces, and of nothing that engine/model computes with, so that what is wrong
there is not wrong here, too. Axes: T time, C channels, H heads, D head size, F hidden, V
vocabulary; channel-major where the engine is.
"""

import math
from collections.abc import Mapping

import numpy as np

from engine.config import Config
from engine.model import Array

EPS = 1e-6  # of RMSNorm
RWKV_EPS = 64e-5  # of the norm of a head
FASTEST = 8.0  # ln of the largest −ln w
Views = Mapping[str, Array]


def norm(x: Array, gain: Array) -> Array:
    """RMSNorm: (T, C) → (T, C). Zhang and Sennrich 2019, arXiv:1910.07467."""
    return np.asarray(x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + EPS) * gain)


def norm_backward(x: Array, gain: Array, dy: Array) -> Array:
    """Its gradient by x, (T, C)."""
    r = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + EPS)
    n, dn = x * r, dy * gain
    return np.asarray(r * (dn - n * np.mean(dn * n, axis=1, keepdims=True)))


def sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def swiglu(gate_up: Array) -> Array:
    """(2F, T) → (F, T). Shazeer 2020, arXiv:2002.05202."""
    gate, up = np.split(gate_up, 2)
    return np.asarray(gate * sigmoid(gate) * up)


def swiglu_backward(gate_up: Array, dh: Array) -> Array:
    """Its gradient (2F, T)."""
    gate, up = np.split(gate_up, 2)
    s = sigmoid(gate)
    return np.concatenate([dh * up * s * (1 + gate * (1 - s)), dh * gate * s])


def log_softmax(logits: Array) -> Array:
    """Over the vocabulary: (V, T) → (V, T), nats."""
    shifted = logits - np.max(logits, axis=0)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=0)))


# --- attention -------------------------------------------------------------------------------


def turned(x: Array, base: float, sign: float = 1.0) -> Array:
    """Heads (H, D, T) turned by their positions. Su et al. 2021, arXiv:2104.09864."""
    half = x.shape[1] // 2
    angle = np.outer(base ** (-np.arange(half) / half), np.arange(x.shape[2]))
    cos, sin = np.cos(angle).astype(x.dtype), (sign * np.sin(angle)).astype(x.dtype)
    a, b = x[:, :half], x[:, half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=1)


def heads(qkv: Array, config: Config) -> tuple[Array, Array, Array]:
    """Queries (H, D, T), keys and values (K, D, T) of their product, before they are turned."""
    c, e, d = config.n_embd, config.kv_width, config.head_size
    q, k, v = qkv[:c], qkv[c : c + e], qkv[c + e :]
    return q.reshape(-1, d, q.shape[1]), k.reshape(-1, d, q.shape[1]), v.reshape(
        -1, d, q.shape[1])


def scores(qkv: Array, config: Config) -> Array:
    """What each query (rows) says of each key: (H, T, T), hidden pairs too."""
    q, k, _ = heads(qkv, config)
    q, k = turned(q, config.rope_base), turned(k, config.rope_base)
    return np.asarray(products(q, k) / math.sqrt(config.head_size))


def products(q: Array, k: Array) -> Array:
    """qᵀk (H, T, T) of heads (H, D, T) and (K, D, T), of which groups share one."""
    shared = np.repeat(k, q.shape[0] // k.shape[0], axis=0)
    return np.asarray(np.matmul(q.swapaxes(1, 2), shared))


def shares(s: Array) -> Array:
    """Causal softmax of scores (…, T, T) over keys."""
    s = np.where(np.tri(s.shape[-1], dtype=bool), s, -np.inf)
    e = np.exp(s - np.max(s, axis=-1, keepdims=True))
    return np.asarray(e / np.sum(e, axis=-1, keepdims=True))


def attention(s: Array, v: Array) -> Array:
    """What queries with these scores take of values (K, D, T): (C, T)."""
    values = np.repeat(v, s.shape[0] // v.shape[0], axis=0)
    mixed = np.matmul(values, shares(s).swapaxes(1, 2))
    return np.asarray(mixed.reshape(-1, s.shape[1]))


def attention_backward(qkv: Array, dmixed: Array, config: Config) -> Array:
    """The gradient of attention by qkv (C + 2E, T), from that of what it mixed (C, T)."""
    q, k, v = heads(qkv, config)
    q, k = turned(q, config.rope_base), turned(k, config.rope_base)
    n_groups, do = q.shape[0] // k.shape[0], dmixed.reshape(q.shape)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for h in range(q.shape[0]):  # one by one: T² numbers each
        own = h // n_groups
        p = shares(q[h].T @ k[own] / math.sqrt(config.head_size))
        dp = do[h].T @ v[own]
        ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True)) / math.sqrt(config.head_size)
        dv[own] += do[h] @ p
        dq[h] += k[own] @ ds.T
        dk[own] += q[h] @ ds
    dq, dk = turned(dq, config.rope_base, -1.0), turned(dk, config.rope_base, -1.0)
    return np.concatenate([x.reshape(-1, qkv.shape[1]) for x in (dq, dk, dv)])


# --- RWKV-6: Peng et al. 2024, arXiv:2404.05892, section 4 -------------------------------------


def rwkv_mix(y: Array, p: Views) -> Array:
    """Each token mixed with the one before in five ways: (T, C) → (5, T, C)."""
    t, c = y.shape
    rank = p["mix_in"].shape[0] // 5
    before = np.concatenate([np.zeros_like(y[:1]), y[:-1]]) - y
    low = np.tanh((y + before * p["mix"][:c]) @ p["mix_in"].T).reshape(t, 5, rank)
    share = np.einsum("tir,irc->itc", low, p["mix_out"].reshape(5, rank, c))
    return np.asarray(y + before * (share + p["mix"][c:].reshape(5, 1, c)))


def rwkv_product(x: Array, p: Views, which: int) -> Array:
    """Receptance, key, value or gate of its mixture (T, C)."""
    c = x.shape[1]
    return np.asarray(x @ p["rkvg"].reshape(4, c, c)[which].T)


def rwkv_decay(x: Array, p: Views) -> Array:
    """w in [0, 1] of its mixture (T, C)."""
    log_w = p["decay"] + np.tanh(x @ p["decay_in"].T) @ p["decay_out"]
    return np.asarray(np.exp(-np.exp(np.minimum(log_w, FASTEST))))


def wkv(r: Array, k: Array, v: Array, w: Array, bonus: Array, n_head: int) -> Array:
    """The recurrence, a time after the other, each head normed: (T, C) → (T, C)."""
    t, c = r.shape
    r, k, v, w = (x.reshape(t, n_head, -1) for x in (r, k, v, w))
    u, y = bonus.reshape(n_head, -1), []
    state = np.zeros((n_head, c // n_head, c // n_head), r.dtype)
    for i in range(t):
        new = k[i][:, :, None] * v[i][:, None, :]
        y.append(np.einsum("hk,hkv->hv", r[i], state + u[:, :, None] * new))
        state = w[i][:, :, None] * state + new
    by_head = np.array(y)
    by_head -= np.mean(by_head, axis=2, keepdims=True)
    by_head /= np.sqrt(np.mean(by_head**2, axis=2, keepdims=True) + RWKV_EPS)
    return by_head.reshape(t, c)


def rwkv(y: Array, p: Views, n_head: int) -> Array:
    """The whole branch: (T, C) → (T, C)."""
    x = rwkv_mix(y, p)
    r, k, v, gate = (rwkv_product(x[i], p, i) for i in range(4))
    o = wkv(r, k, v, rwkv_decay(x[4], p), p["bonus"], n_head)
    return np.asarray(o * p["gain"] * gate * sigmoid(gate) @ p["proj"])
