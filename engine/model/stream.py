"""The residual stream's ends: what enters it, and what each block takes up of it again.

Axes as in layers.py; M buckets. Two ideas of the modded-nanogpt speed runs, each off by default.
"""

import numpy as np

from engine.model.layers import Cache, embedding, embedding_backward, ones_row, put, unit_rms
from engine.model.workspace import Array, Workspace

GOLDEN = 0x9E3779B97F4A7C15  # 2⁶⁴ over the golden ratio, odd
MIXED = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
NONE = -1  # stands for the token before a window's first


def buckets(ids: Array, before: Array | None, n_buckets: int) -> Array:
    """The bucket of every token and the one before it: ids (B, T) → (B·T,) in 0 … n_buckets − 1.

    before (B,) are the tokens before the first ones; None: nothing is, and NONE stands for them.
    A pair is the number (previous + 1) · 2³² + token, mixed by splitmix64's last steps and taken
    modulo n_buckets: integers alone, hence the same anywhere. Source: Steele, Lea and Flood 2014,
    "Fast splittable pseudorandom number generators", figure 15, with the constants of Vigna's
    splitmix64.c.
    """
    previous = np.empty(ids.shape, np.int64)
    previous[:, 1:] = ids[:, :-1]
    previous[:, 0] = NONE if before is None else before
    x = ((previous + 1).astype(np.uint64) << np.uint64(32)) + ids.astype(np.uint64)
    x += np.uint64(GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(MIXED[0])
    x = (x ^ (x >> np.uint64(27))) * np.uint64(MIXED[1])
    x ^= x >> np.uint64(31)
    return np.asarray((x % np.uint64(n_buckets)).astype(np.int64).ravel())


def embedded(ids: Array, p: dict[str, Array], before: Array | None, ws: Workspace) -> Array:
    """What enters the first block: rows of the tokens, and of the pairs where there is a table.

    x = E[ids] + A[bucket(previous, ids)], (N, C). A starts at zero, so that training begins as
    without it. Source: KellerJordan/modded-nanogpt, pull request 201; there A is added in every
    layer by a scalar of its own.
    """
    x = embedding(ids.ravel(), p["embed"], ws)
    if "bigram" in p:
        rows = ws.at("tmp")("branch", *x.shape)
        x += np.take(p["bigram"], buckets(ids, before, len(p["bigram"])), axis=0, out=rows,
                     mode="clip")
    return x


def embedded_backward(dx: Array, ids: Array, g: dict[str, Array], tmp: Workspace,
                      is_written: bool) -> None:
    """Gradient of embedded, of windows without a past: dx (N, C) is added to g's two tables.

    is_written  whether g["embed"] holds something already, as a tied head's gradient; g["bigram"]
                is added to as it is.
    """
    if not is_written:
        g["embed"][...] = 0.0
    embedding_backward(dx, ids.ravel(), g["embed"], tmp)
    if "bigram" in g:
        embedding_backward(dx, buckets(ids, None, len(g["bigram"])), g["bigram"], tmp)


def first(x: Array, buf: Workspace) -> Cache:
    """x₀ (N, C), the embedded input at unit root-mean-square, with what rms_norm_backward needs."""
    n, r = unit_rms(x, buf)
    return n, r, ones_row(x.shape[1], x.dtype)[0]


def reweighed(x: Array, x0: Array, share: Array, buf: Workspace, tmp: Workspace) -> Cache:
    """x ← λ₀ x + λ₁ x₀ in place, both (N, C): share (2,) is λ₀, λ₁; the cache for its backward.

    They start at 1 and 0, where x stays as it is. Source: KellerJordan/modded-nanogpt, as told in
    pull requests 124 and 159; there the stream itself starts as x₀, here as the plain model's does.
    """
    kept = buf("stream", *x.shape)
    kept[...] = x
    x *= share[0]
    x += np.multiply(x0, share[1], out=tmp("branch", *x.shape))
    return kept, x0, share


def reweighed_backward(dx: Array, dx0: Array, cache: Cache, dshare: Array, tmp: Workspace,
                       accumulate: bool) -> None:
    """Gradient of reweighed: dx (N, C) in place; x₀'s is added to dx0 (N, C), dshare gets λ's.

        dλ₀ = Σ dx · x      dλ₁ = Σ dx · x₀      dx₀ = λ₁ dx      dx ← λ₀ dx
    """
    kept, x0, share = cache
    sums = tmp("mean", dx.shape[0])
    own = [np.sum(np.vecdot(dx, x, out=sums)) for x in (kept, x0)]
    put(dshare, np.array(own, dx.dtype), accumulate)
    dx0 += np.multiply(dx, share[1], out=tmp("rows", *dx.shape))
    dx *= share[0]
