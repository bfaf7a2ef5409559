"""The recurrence of RWKV-6 over time in chunks: matrix products within, a short loop between.

Axes as in layers.py; Z chunks of all sequences, of K times each, K a power of two. A head's state S
is (D of keys, D of values).

    y_t = r_t (S + diag(u) k_tᵀ v_t)        S ← diag(w_t) S + k_tᵀ v_t        0 ≤ w ≤ 1

What time t has of time s < t in its chunk is A_ts = Σ_D r_t k_s Π_{s<j<t} w_j. The usual split
Π w = (Π_{j<t} w) / (Π_{j≤s} w) divides by what may be 0. Here a chunk is halved again and again:
every pair (t, s) is parted by the middle of exactly one block, of 2h times, and there its product
is one of the times from the middle to t and one of those from s to the middle. Both are at most 1,
nothing is ever divided and no logarithm summed, so that any decay is exact, 0 and 1 among them.
Sources: Peng et al. 2024, arXiv:2404.05892, section 4; chunks: Yang et al. 2023, arXiv:2312.06635,
section 4, whose second level of chunks is what is halved here.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engine.model.layers import Cache, ones_row
from engine.model.workspace import Array, Workspace


def wkv(rkv: Sequence[Array], w: Array, u: Array, state: Array, chunk: int, buf: Workspace,
        tmp: Workspace) -> tuple[Array, Cache]:
    """Outputs y (N, C) of every time, and the cache for wkv_backward.

    rkv    (N, C) receptances, keys and values, every sequence in whole chunks
    w      (N, C) decays of the keys' channels, 0 to 1
    u      (C,) what a time's own key counts for
    state  (B, H, D, D) before the first time; becomes that behind the last
    chunk  K
    """
    (r, k, v), (n_batch, n_head, d) = rkv, state.shape[:3]
    (n, c), z = r.shape, len(r) // chunk
    m = z // n_batch  # chunks of a sequence
    a = buf("a", z, n_head, chunk, chunk)
    a[...] = 0.0
    own = np.multiply(k, u, out=tmp("rows", n, c))
    np.vecdot(_rows(r, chunk, d), _rows(own, chunk, d), out=_diagonal(a).swapaxes(1, 2))
    pairs, before, after = _pairs(rkv, w, a, chunk, buf, tmp)
    r_in = np.multiply(r, before, out=buf("r_in", n, c))
    k_out = np.multiply(k, after, out=buf("k_out", n, c))
    whole = np.multiply(before[chunk - 1 :: chunk], w[chunk - 1 :: chunk], out=buf("whole", z, c))
    y, part, v_ = buf("y", n, c), tmp("rows", n, c), _heads(v, chunk, d)
    np.matmul(a, v_, out=_heads(y, chunk, d))
    states = buf("states", n_batch, m + 1, n_head, d, d)
    states[:, 0] = state
    kv = tmp("kv", z, n_head, d, d)
    np.matmul(_heads(k_out, chunk, d).swapaxes(2, 3), v_, out=kv)
    kv, decay = kv.reshape(n_batch, m, n_head, d, d), whole.reshape(n_batch, m, n_head, d, 1)
    for i in range(m):
        np.multiply(decay[:, i], states[:, i], out=states[:, i + 1])
        states[:, i + 1] += kv[:, i]
    state[...] = states[:, m]
    np.matmul(_heads(r_in, chunk, d).reshape(n_batch, m, n_head, chunk, d), states[:, :m],
              out=_heads(part, chunk, d).reshape(n_batch, m, n_head, chunk, d))
    y += part
    return y, (rkv, w, u, a, r_in, k_out, whole, states, pairs, chunk)


def _pairs(rkv: Sequence[Array], w: Array, a: Array, chunk: int, buf: Workspace,
           tmp: Workspace) -> tuple[list[Array], Array, Array]:
    """Fill a below its diagonal; receptances and keys with their decays to each middle (N, C).

    Also the decays before every time in its chunk and after it, which are `tmp`.
    """
    (r, k, _), (n, c), d, found = rkv, w.shape, w.shape[1] // a.shape[1], []
    before = after = w
    for h, before, after in _reaches(w, chunk, tmp):
        if h == chunk:
            break
        early, late = _halves(k, chunk, h, d)[0], _halves(r, chunk, h, d)[1]
        if h > 1:  # nothing lies between neighbours
            pair = buf(f"pair{h}", n, c)
            for i, x, reach in ((0, k, after), (1, r, before)):
                np.multiply(_sides(x, h)[:, i], _sides(reach, h)[:, i], out=_sides(pair, h)[:, i])
            early, late = _halves(pair, chunk, h, d)
            found.append(pair)
        np.matmul(late, early.swapaxes(3, 4), out=_below(a, h))
    return found, before, after


def wkv_backward(dy: Array, cache: Cache, grads: Sequence[Array],
                 tmp: Workspace) -> tuple[Array, Array]:
    """Gradients of wkv: dy (N, C) → dr, dk, dv (N, C), written to grads; d ln w (N, C), du (C,).

    A product of decays P weighs r̃ = r P: d ln P = r̃ dr̃, which is that of every ln w in it. Sums of
    such terms alone: none is the small difference of large ones, and what decays to 0 adds 0.
    """
    (r, k, v), w, u, a, _, _, _, states, pairs, chunk = cache
    (n, c), d = r.shape, states.shape[-1]
    da = np.matmul(_heads(dy, chunk, d), _heads(v, chunk, d).swapaxes(2, 3),
                   out=tmp("da", *a.shape))
    logs = tmp("logs", n // chunk, (len(pairs) + 2) * chunk + 1, c)
    by_product = logs[:, :-1].reshape(-1, len(pairs) + 2, chunk, c)
    du = _own_backward(r, k, u, da, grads, tmp)
    dr_in, dk_out = _states_backward(dy, cache, grads[2], logs[:, -1], by_product, tmp)
    for i, (h, before, after) in enumerate(_reaches(w, chunk, tmp)):
        if h == chunk:
            for grad, part, reach in ((grads[0], dr_in, before), (grads[1], dk_out, after)):
                part *= reach
                grad += part
            break
        dpair, below = tmp("part", n, c), _below(da, h)
        dearly, dlate = _halves(dpair, chunk, h, d)
        early, late = _halves(k, chunk, h, d)[0], _halves(r, chunk, h, d)[1]
        if h > 1:
            early, late = _halves(pairs[i - 1], chunk, h, d)
        multiply = np.matmul if h > 1 else np.multiply
        multiply(below, early, out=dlate)
        multiply(below.swapaxes(3, 4), late, out=dearly)
        if h > 1:
            np.multiply(_chunks(pairs[i - 1], chunk), _chunks(dpair, chunk),
                        out=by_product[:, i + 1])
        for side, grad, reach in ((0, grads[1], after), (1, grads[0], before)):
            half, to = _sides(dpair, h)[:, side], _sides(grad, h)[:, side]
            if h > 1:
                half *= _sides(reach, h)[:, side]
            to += half
    dlog = np.matmul(_spans(chunk, w.dtype), logs, out=tmp("dlog", n // chunk, chunk, c))
    return dlog.reshape(n, c), du


def _own_backward(r: Array, k: Array, u: Array, da: Array, grads: Sequence[Array],
                  tmp: Workspace) -> Array:
    """Of what a time has of itself: dr and dk are written, du is returned."""
    (n, c), n_head, chunk = r.shape, da.shape[1], da.shape[2]
    share = _diagonal(da).swapaxes(1, 2)[..., None]
    own, part = tmp("rows", n, c), tmp("part", n, c)
    for grad, x in ((grads[0], k), (grads[1], r)):
        np.multiply(_rows(x, chunk, c // n_head), share, out=_rows(own, chunk, c // n_head))
        np.multiply(own, u, out=grad)
    return np.asarray(np.matmul(ones_row(n, r.dtype), np.multiply(own, k, out=part))[0])


def _states_backward(dy: Array, cache: Cache, dv: Array, dlog_whole: Array, dlogs: Array,
                     tmp: Workspace) -> tuple[Array, Array]:
    """Of what passed the states, last chunk first: dr_in and dk_out (N, C); dv is whole then.

    dlog_whole (Z, C) and the first two of dlogs (Z, L, K, C) become those of the decays.
    """
    (_, _, v), _, _, a, r_in, k_out, whole, states, _, chunk = cache
    n_batch, m, n_head, d = states[:, 1:].shape[:4]
    by_chunk, dy_ = (n_batch, m, n_head), _heads(dy, chunk, d)
    dstates, kv = tmp("dstates", *states.shape), tmp("kv", n_batch * m, n_head, d, d)
    dstates[:, m] = 0.0
    np.matmul(_heads(r_in, chunk, d).swapaxes(2, 3), dy_, out=kv)
    kv, decay = kv.reshape(*by_chunk, d, d), whole.reshape(*by_chunk, d, 1)
    for i in reversed(range(m)):
        np.multiply(decay[:, i], dstates[:, i + 1], out=dstates[:, i])
        dstates[:, i] += kv[:, i]
    dlog = dlog_whole.reshape(*by_chunk, d)
    np.vecdot(states[:, :m], dstates[:, 1:], out=dlog)
    dlog *= decay[..., 0]
    part, dr_in, dk_out = (tmp(name, *dy.shape) for name in ("part", "dr_in", "rows"))
    np.matmul(a.swapaxes(2, 3), dy_, out=_heads(dv, chunk, d))
    for x, state, out in ((dy, states[:, :m].swapaxes(3, 4), dr_in),
                          (k_out, dstates[:, 1:], part),
                          (v, dstates[:, 1:].swapaxes(3, 4), dk_out)):
        np.matmul(_heads(x, chunk, d).reshape(*by_chunk, chunk, d), state,
                  out=_heads(out, chunk, d).reshape(*by_chunk, chunk, d))
    dv += part
    np.multiply(_chunks(r_in, chunk), _chunks(dr_in, chunk), out=dlogs[:, 0])
    np.multiply(_chunks(k_out, chunk), _chunks(dk_out, chunk), out=dlogs[:, 1])
    return dr_in, dk_out


def _rows(x: Array, chunk: int, d: int) -> Array:
    """(N, C) → (Z, K, H, D)."""
    return x.reshape(-1, chunk, x.shape[1] // d, d)


def _heads(x: Array, chunk: int, d: int) -> Array:
    """(N, C) → (Z, H, K, D)."""
    return x.reshape(-1, chunk, x.shape[1] // d, d).swapaxes(1, 2)


def _chunks(x: Array, chunk: int) -> Array:
    """(N, C) → (Z, K, C)."""
    return x.reshape(-1, chunk, x.shape[1])


def _diagonal(a: Array) -> Array:
    """View (…, K) of the diagonals of (…, K, K)."""
    return np.asarray(np.einsum("...tt->...t", a))


def _sides(x: Array, h: int) -> Array:
    """(N, C) → (N/2h, 2, h, C): earlier and later halves of blocks of 2h."""
    return x.reshape(-1, 2, h, x.shape[1])


def _halves(x: Array, chunk: int, h: int, d: int) -> tuple[Array, Array]:
    """The same two by heads: (N, C) → views (Z, J, H, h, D)."""
    x = x.reshape(-1, chunk // h // 2, 2, h, x.shape[1] // d, d)
    return x[:, :, 0].swapaxes(2, 3), x[:, :, 1].swapaxes(2, 3)


def _below(a: Array, h: int) -> Array:
    """What later halves of blocks of 2h have of earlier: (Z, H, K, K) → view (Z, J, H, h, h)."""
    z, n_head, chunk, _ = a.shape
    j = chunk // h // 2
    blocks = np.einsum("zhjtjs->zjhts", a.reshape(z, n_head, j, 2 * h, j, 2 * h))
    return np.asarray(blocks[..., h:, :h])


def _reaches(w: Array, chunk: int, tmp: Workspace) -> Iterator[tuple[int, Array, Array]]:
    """For blocks of h = 1, 2, … K times: h, and two (N, C) that the next turn overwrites:

    the product of the decays before each time in its block, and of those after it.
    """
    n, c = w.shape
    before, after = tmp("before", n, c), tmp("after", n, c)
    if chunk == 1:
        before[...] = after[...] = 1.0
        yield 1, before, after
        return
    yield 1, before, after  # both 1: nobody looks
    b, a, x = (_sides(array, 1) for array in (before, after, w))
    b[:, 0], b[:, 1], a[:, 0], a[:, 1] = 1.0, x[:, 0], x[:, 1], 1.0
    block, h = w, 2  # the product of every block of h / 2, then of h
    while h < chunk:
        yield h, before, after
        halves = _sides(block, 1)
        block = np.multiply(halves[:, 0, 0], halves[:, 1, 0], out=tmp(f"block{h}", n // h, c))
        halves = _sides(block, 1)
        _sides(before, h)[:, 1] *= halves[:, 0]
        _sides(after, h)[:, 0] *= halves[:, 1]
        h *= 2
    yield h, before, after


@functools.lru_cache(maxsize=16)
def _spans(chunk: int, dtype: Any) -> Array:
    """(K, L·K + 1) of 0 and 1: which time's ln w is in which product of wkv_backward's logs."""
    t = np.arange(chunk)
    rows = [t[:, None] < t, t[:, None] > t]  # from the start, to the end of the chunk
    h = 2
    while h < chunk:
        same, is_late = t[:, None] // h == t // h, t // h % 2 == 1
        rows.append(same & np.where(is_late, t[:, None] < t, t[:, None] > t))
        h *= 2
    spans = np.concatenate([*rows, np.ones((chunk, 1), bool)], axis=1).astype(dtype)
    spans.flags.writeable = False
    return spans
