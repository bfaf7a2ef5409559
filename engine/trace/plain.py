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
WORD = 2**64 - 1  # of a hash
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


def unit(x: Array) -> Array:
    """Rows at unit root mean square: (T, C) → (T, C)."""
    return norm(x, np.ones(x.shape[1], x.dtype))


def buckets(ids: Array, n: int) -> list[int]:
    """Of every token and the one before it, 0 … n − 1; the first has none before it.

    splitmix64's last steps on (previous + 1) · 2³² + token: Steele, Lea and Flood 2014, figure 15.
    """
    found, before = [], -1
    for token in ids.tolist():
        x = (before + 1 << 32) + token + 0x9E3779B97F4A7C15 & WORD
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ x >> shift) * factor & WORD
        found.append((x ^ x >> 31) % n)
        before = token
    return found


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), right to the last digits where it is nearly 0, too."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1 + e))


def swiglu(gate_up: Array) -> Array:
    """(2F, T) → (F, T). Shazeer 2020, arXiv:2002.05202."""
    gate, up = np.split(gate_up, 2)
    return np.asarray(gate * sigmoid(gate) * up)


def swiglu_backward(gate_up: Array, dh: Array) -> Array:
    """Its gradient (2F, T)."""
    gate, up = np.split(gate_up, 2)
    s = sigmoid(gate)
    return np.concatenate([dh * up * s * (1 + gate * (1 - s)), dh * gate * s])


def orthogonal(x: Array) -> Array:
    """Nearly U Vᵀ of x = U S Vᵀ: five steps of Newton and Schulz's iteration, of odd powers of x.

    Jordan et al. 2024, kellerjordan.github.io/posts/muon, with its coefficients.
    """
    x = x / max(float(np.sqrt(np.sum(x * x))), 1e-7)
    for _ in range(5):
        gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        powers = -4.7750 * gram + 2.0315 * gram @ gram
        x = 3.4445 * x + (powers @ x if x.shape[0] <= x.shape[1] else x @ powers)
    return np.asarray(x)


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


def normed_heads(qkv: Array, gains: tuple[Array, Array], config: Config) -> Array:
    """Queries and keys at unit root mean square by head, times a gain; values as they are.

    qkv (C + 2E, T), gains (D,) each, of queries and of keys. Yang et al. 2025, arXiv:2505.09388.
    """
    q, k, v = heads(qkv, config)
    sides = [unit(x.swapaxes(1, 2).reshape(-1, gain.size)).reshape(
        len(x), -1, gain.size).swapaxes(1, 2) * gain[:, None]
        for x, gain in zip((q, k), gains, strict=True)]
    return np.concatenate([x.reshape(-1, qkv.shape[1]) for x in (*sides, v)])


def normed_heads_backward(qkv: Array, gains: tuple[Array, Array], dy: Array,
                          config: Config) -> Array:
    """Its gradient by qkv, from that (C + 2E, T) of what it gives."""
    parts = []
    for x, dx, gain in zip(heads(qkv, config), heads(dy, config), gains, strict=False):
        rows, drows = (one.swapaxes(1, 2).reshape(-1, gain.size) for one in (x, dx))
        parts.append(norm_backward(rows, gain, drows).reshape(
            len(x), -1, gain.size).swapaxes(1, 2).reshape(-1, qkv.shape[1]))
    return np.concatenate([*parts, dy[sum(len(one) for one in parts):]])


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
