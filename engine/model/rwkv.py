"""Time mixing of RWKV-6: token shift, decay by what is read, the recurrence, group norm, gate.

Axes as in layers.py. Every token is mixed with the one before it in five ways: for receptances,
keys, values, gates and decays. R is the rank of what chooses the mixtures, S of the decays.
Source: Peng et al. 2024, arXiv:2404.05892, section 4.

    x̂_t = y_{t−1} − y_t      m_i = μ_i + tanh((y + x̂ μ) A_i) B_i      x_i = y + x̂ m_i
    r, k, v, g = W_i x_i      ln w = −exp(λ + tanh(x_w D) E)           w in (0, 1)
    o = norm_head(wkv(r, k, v, w, u)) · gain · silu(g)

Departures: the norm of a head has no bias, as nothing here has; channels are mixed by the SwiGLU
that is beside attention too, without a shift of its own.
"""

import functools
from typing import Any

import numpy as np

from engine.blocks import padded, time_chunk
from engine.model.layers import Cache, ones_row, product_into, put
from engine.model.wkv import wkv, wkv_backward
from engine.model.workspace import Array, Workspace

NAMES = ("rkvg", "proj", "mix_in", "mix_out", "decay_in", "decay_out", "mix", "decay", "bonus",
         "gain")
N_MIXED = 5
EPS = 64e-5  # of the norm of a head: the authors' 1e-5 · 8²
FASTEST = 8.0  # ln of the largest −ln w: e^−2981 is 0 in any float, and so is its slope
Views = dict[str, Array]


def time_mix(y: Array, p: Views, n_batch: int, n_head: int, buf: Workspace, tmp: Workspace,
             past: tuple[Array, Array] | None = None) -> tuple[Array, Cache]:
    """What every token takes from itself and all before: y (N, C) → (N, C), and the cache.

    p     the parameters of one block by their last names
    past  the state (B, H, D, D) and the last y (B, C) so far, which become those after this text

    Each sequence is filled up to whole chunks with rows of zeros, which come last.
    """
    n_time = y.shape[0] // n_batch
    chunk, (y, xx) = time_chunk(n_time), _shifted(y, n_batch, past, buf)
    n, c = y.shape
    x, mixture = _mix(y, xx, p, buf, tmp)
    rkvg = np.matmul(x[:4], p["rkvg"].reshape(4, c, c).swapaxes(1, 2), out=buf("rkvg", 4, n, c))
    low, log_w, w = _decays(x[4], p, buf)
    if past:
        rkvg[1].reshape(n_batch, -1, c)[:, n_time:] = 0.0  # what fills up leaves the state as it is
        w.reshape(n_batch, -1, c)[:, n_time:] = 1.0
        state = past[0]
    else:
        state = tmp("state", n_batch, n_head, c // n_head, c // n_head)
        state[...] = 0.0
    mixed, inner = wkv(list(rkvg[:3]), w, p["bonus"], state, chunk, buf.at("wkv"), tmp)
    o, outer = _gated_norm(mixed, rkvg[3], p["gain"], n_head, buf, tmp)
    o = _cut(o, n_batch, n_time, buf)
    out = np.matmul(o, p["proj"], out=tmp("branch", *o.shape))
    return out, (y, xx, x, mixture, low, log_w, inner, outer, o, p, n_batch)


def named(cache: Cache) -> list[tuple[str, Array]]:
    """What time_mix computed on its way, by name and in its order."""
    _, _, x, _, _, _, ((r, k, v), w, *_, states, _, _), (y, silu, *_), o, _, _ = cache
    return [("rwkv.mix", x), ("rwkv.r", r), ("rwkv.k", k), ("rwkv.v", v), ("rwkv.decay", w),
            ("rwkv.state", states), ("rwkv.norm", y), ("rwkv.gate", silu), ("rwkv.out", o)]


def time_step(y: Array, p: Views, n_head: int, past: tuple[Array, Array]) -> Array:
    """The same of one token a text, y (B, C), without what only longer texts need.

    Sampling asks nothing else, and there every call of numpy counts.
    """
    (state, last), (n, c) = past, y.shape
    d, rank = c // n_head, p["mix_in"].shape[0] // N_MIXED
    xx = last - y
    last[...] = y
    base = xx * p["mix"][:c]
    base += y
    hidden = np.tanh(np.matmul(base, p["mix_in"].T)).reshape(n, N_MIXED, rank).swapaxes(0, 1)
    x = np.matmul(hidden, p["mix_out"].reshape(N_MIXED, rank, c))
    x += p["mix"][c:].reshape(N_MIXED, 1, c)
    x *= xx
    x += y
    rkvg = np.matmul(x[:4], p["rkvg"].reshape(4, c, c).swapaxes(1, 2))
    r, k, v = rkvg[:3].reshape(3, n, n_head, 1, d)
    kt = k.reshape(n, n_head, d, 1)
    w = np.matmul(np.tanh(np.matmul(x[4], p["decay_in"].T)), p["decay_out"])
    w += p["decay"]
    np.minimum(w, FASTEST, out=w)
    np.exp(w, out=w)
    np.negative(w, out=w)
    np.exp(w, out=w)
    mixed = np.matmul(r, state)
    own = np.matmul(r * p["bonus"].reshape(n_head, 1, d), kt)
    mixed += own * v
    state *= w.reshape(kt.shape)
    state += kt * v
    by_head = mixed.reshape(n * n_head, d)
    by_head -= np.matmul(by_head, _mean(d, y.dtype))[:, None]
    spread = np.vecdot(by_head, by_head)
    spread *= 1 / d
    spread += EPS
    by_head /= np.sqrt(spread, out=spread)[:, None]
    o, gate = mixed.reshape(n, c), rkvg[3]
    o *= p["gain"]
    gate *= 0.5
    o *= gate
    np.tanh(gate, out=gate)
    gate += 1.0
    o *= gate
    return np.asarray(np.matmul(o, p["proj"]))


def time_mix_backward(dout: Array, cache: Cache, g: Views, tmp: Workspace,
                      accumulate: bool) -> Array:
    """Gradient of time_mix: dout (N, C) → dy (N, C); those of the parameters go to g."""
    y, xx, x, mixture, low, log_w, inner, outer, o, p, n_batch = cache
    n, c = y.shape
    product_into(g["proj"], o.T, dout, tmp, accumulate)
    do = np.matmul(dout, p["proj"].T, out=tmp("branch", *o.shape))
    do = _filled(do, n_batch, n, tmp)
    drkvg = tmp("wide", 4, n, c)
    dmixed = _gated_norm_backward(do, outer, drkvg[3], g["gain"], tmp, accumulate)
    dlog, dbonus = wkv_backward(dmixed, inner, list(drkvg[:3]), tmp)
    put(g["bonus"], dbonus, accumulate)
    dx = tmp("dx", N_MIXED, n, c)
    np.matmul(drkvg, p["rkvg"].reshape(4, c, c), out=dx[:4])
    product_into(g["rkvg"].reshape(4, c, c), drkvg.swapaxes(1, 2), x[:4], tmp, accumulate)
    # −exp is its own slope.
    dlog *= log_w
    put(g["decay"], np.matmul(ones_row(n, y.dtype), dlog)[0], accumulate)
    product_into(g["decay_out"], low.T, dlog, tmp, accumulate)
    dlow = np.matmul(dlog, p["decay_out"].T, out=tmp("dlow", *low.shape))
    _tanh_backward(dlow, low, tmp)
    product_into(g["decay_in"], dlow.T, x[4], tmp, accumulate)
    np.matmul(dlow, p["decay_in"], out=dx[4])
    return _cut(_mix_backward(dx, xx, mixture, p, g, n_batch, tmp, accumulate),
                n_batch, dout.shape[0] // n_batch, tmp)


# --- the token before ------------------------------------------------------------------------


def _shifted(y: Array, n_batch: int, past: tuple[Array, Array] | None,
             buf: Workspace) -> tuple[Array, Array]:
    """y (N, C) filled up to whole chunks, and how far the token before is from each of its."""
    n_time, c = y.shape[0] // n_batch, y.shape[1]
    rows = y.reshape(n_batch, n_time, c)
    if padded(n_time) > n_time:
        rows = buf("filled", n_batch, padded(n_time), c)
        rows[:, :n_time] = y.reshape(n_batch, n_time, c)
        rows[:, n_time:] = 0.0
    xx = buf("xx", *rows.shape)
    np.subtract(rows[:, :-1], rows[:, 1:], out=xx[:, 1:])
    np.subtract(past[1] if past else 0.0, rows[:, 0], out=xx[:, 0])
    if past:
        past[1][...] = rows[:, n_time - 1]
    return rows.reshape(-1, c), xx.reshape(-1, c)


def _filled(x: Array, n_batch: int, n: int, tmp: Workspace) -> Array:
    if x.shape[0] == n:
        return x
    rows = tmp("filled", n_batch, n // n_batch, x.shape[1])
    n_time = x.shape[0] // n_batch
    rows[:, :n_time] = x.reshape(n_batch, n_time, -1)
    rows[:, n_time:] = 0.0
    return rows.reshape(n, -1)


def _cut(x: Array, n_batch: int, n_time: int, space: Workspace) -> Array:
    n, c = n_batch * n_time, x.shape[1]
    if x.shape[0] == n:
        return x
    rows = space("cut", n_batch, n_time, c)
    rows[...] = x.reshape(n_batch, -1, c)[:, :n_time]
    return rows.reshape(n, c)


def _mix(y: Array, xx: Array, p: Views, buf: Workspace, tmp: Workspace) -> tuple[Array, Cache]:
    """The five mixtures of each token with the one before: x (5, N, C)."""
    (n, c), rank = y.shape, p["mix_in"].shape[0] // N_MIXED
    base = np.multiply(xx, p["mix"][:c], out=buf("base", n, c))
    base += y
    hidden = np.matmul(base, p["mix_in"].T, out=buf("hidden", n, N_MIXED * rank))
    np.tanh(hidden, out=hidden)
    share = np.matmul(hidden.reshape(n, N_MIXED, rank).swapaxes(0, 1),
                      p["mix_out"].reshape(N_MIXED, rank, c), out=buf("share", N_MIXED, n, c))
    share += p["mix"][c:].reshape(N_MIXED, 1, c)
    x = np.multiply(share, xx, out=buf("mixed", N_MIXED, n, c))
    x += y
    return x, (base, hidden, share)


def _mix_backward(dx: Array, xx: Array, mixture: Cache, p: Views, g: Views, n_batch: int,
                  tmp: Workspace, accumulate: bool) -> Array:
    """Gradient of _mix and of the shift: dx (5, N, C), spent → dy (N, C)."""
    base, hidden, share = mixture
    (n, c), rank = xx.shape, p["mix_in"].shape[0] // N_MIXED
    dy = np.add.reduce(dx, axis=0, out=tmp("dy", n, c))
    dshare = np.multiply(dx, xx, out=tmp("dshare", N_MIXED, n, c))
    dx *= share
    dxx = np.add.reduce(dx, axis=0, out=tmp("dxx", n, c))
    ones, (d_base, d_shares) = ones_row(n, xx.dtype), (g["mix"][:c], g["mix"][c:])
    put(d_shares, np.matmul(ones, dshare).ravel(), accumulate)
    by_input = hidden.reshape(n, N_MIXED, rank).swapaxes(0, 1)
    product_into(g["mix_out"].reshape(N_MIXED, rank, c), by_input.swapaxes(1, 2), dshare, tmp,
                 accumulate)
    dhidden = tmp("dhidden", n, N_MIXED * rank)
    np.matmul(dshare, p["mix_out"].reshape(N_MIXED, rank, c).swapaxes(1, 2),
              out=dhidden.reshape(n, N_MIXED, rank).swapaxes(0, 1))
    _tanh_backward(dhidden, hidden, tmp)
    product_into(g["mix_in"], dhidden.T, base, tmp, accumulate)
    dbase = np.matmul(dhidden, p["mix_in"], out=tmp("dbase", n, c))
    dy += dbase
    put(d_base, np.matmul(ones, np.multiply(dbase, xx, out=tmp("rows", n, c)))[0], accumulate)
    dbase *= p["mix"][:c]
    dxx += dbase
    dy -= dxx
    dy.reshape(n_batch, -1, c)[:, :-1] += dxx.reshape(n_batch, -1, c)[:, 1:]
    return dy


def _tanh_backward(dt: Array, t: Array, tmp: Workspace) -> None:
    """dt · (1 − t²), in place."""
    slope = np.multiply(t, t, out=tmp("slope", *t.shape))
    np.subtract(1.0, slope, out=slope)
    dt *= slope


# --- decay, norm and gate --------------------------------------------------------------------


def _decays(x: Array, p: Views, buf: Workspace) -> tuple[Array, Array, Array]:
    """tanh(x D) (N, S), and of every channel's decay the logarithm and itself, (N, C)."""
    low = np.matmul(x, p["decay_in"].T, out=buf("low", x.shape[0], p["decay_in"].shape[0]))
    np.tanh(low, out=low)
    log_w = np.matmul(low, p["decay_out"], out=buf("log_w", *x.shape))
    log_w += p["decay"]
    np.minimum(log_w, FASTEST, out=log_w)
    np.exp(log_w, out=log_w)
    np.negative(log_w, out=log_w)
    return low, log_w, np.exp(log_w, out=buf("w", *x.shape))


def _gated_norm(y: Array, gate: Array, gain: Array, n_head: int, buf: Workspace,
                tmp: Workspace) -> tuple[Array, Cache]:
    """Every head of y (N, C) with mean 0 and variance 1, by a gain and silu(gate); both are spent.

    Source: Wu and He 2018, arXiv:1803.08494, with heads as groups; silu as in layers.swiglu.
    """
    n, c = y.shape
    by_head = y.reshape(n * n_head, c // n_head)
    mean, r = tmp("head_mean", n * n_head), buf("r", n * n_head)
    by_head -= np.matmul(by_head, _mean(c // n_head, y.dtype), out=mean)[:, None]
    np.vecdot(by_head, by_head, out=r)
    r *= n_head / c
    r += EPS
    np.sqrt(r, out=r)
    np.divide(1.0, r, out=r)
    by_head *= r[:, None]
    gate *= 0.5
    sigma2 = np.tanh(gate, out=buf("sigma2", n, c))
    sigma2 += 1.0
    gate *= sigma2
    o = np.multiply(y, gain, out=buf("o", n, c))
    o *= gate
    return o, (y, gate, sigma2, gain, r)


def _gated_norm_backward(do: Array, cache: Cache, dgate: Array, g_gain: Array, tmp: Workspace,
                         accumulate: bool) -> Array:
    """Gradient of _gated_norm: do (N, C), spent → dy (N, C) in its place, and dgate (N, C)."""
    y, silu, sigma2, gain, r = cache
    (n, c), n_head = y.shape, r.size // y.shape[0]
    do_y = np.multiply(do, y, out=tmp("rows", n, c))
    np.multiply(silu, -0.5, out=dgate)
    dgate += 0.5
    dgate *= sigma2
    dgate += silu
    dgate *= gain
    dgate *= do_y
    do_y *= silu
    put(g_gain, np.matmul(ones_row(n, y.dtype), do_y)[0], accumulate)
    do_y *= gain
    do *= silu
    do *= gain
    dy, mean = do.reshape(n * n_head, -1), _mean(c // n_head, y.dtype)
    pulled = np.matmul(do_y.reshape(dy.shape), mean, out=tmp("head_mean", n * n_head))
    np.multiply(y.reshape(dy.shape), pulled[:, None], out=do_y.reshape(dy.shape))
    dy -= np.matmul(dy, mean, out=pulled)[:, None]
    do -= do_y
    dy *= r[:, None]
    return do


@functools.lru_cache(maxsize=16)
def _mean(n: int, dtype: Any) -> Array:
    return np.asarray(ones_row(n, dtype)[0] / n)


# --- where it starts -------------------------------------------------------------------------


def initial(name: str, c: int, layer: int, n_layer: int) -> Array:
    """The authors' first values of a vector by its last name: slow to fast decays, early to late.

    Source: the published RWKV-6 training code, src/model.py, RWKV_Tmix_x060.
    """
    i, depth = np.arange(c), layer / max(1, n_layer - 1)
    left, part = 1 - layer / n_layer, np.arange(c) / max(1, c - 1)
    if name == "mix":
        late, early = 1 - (i / c) ** left, 1 - (i / c) ** (left / 2)
        return np.concatenate([late, early, late, late - 0.3 * depth, early, late])
    if name == "decay":
        return np.asarray(-6 + 5 * part ** (0.7 + 1.3 * depth))
    if name == "bonus":
        return np.asarray(depth * (1 - part) + 0.1 * ((i + 1) % 3 - 1))
    return np.ones(c)
