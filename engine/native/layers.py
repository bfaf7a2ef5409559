"""What engine/model computes in passes over memory, by kernels: the same names and arguments.

`kernel` (engine/native/dispatch.py) hands a call over. Shapes and formulas are told there; what
comes out and what lies in a cache is the same but for rounding.
"""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.native import exponential
from engine.native.library import Kernels, doublings

Array = NDArray[Any]
LOGITS = 60.0  # as in engine/model/layers.py: a column gives up its largest logit beyond ±this
LOWEST = -120.0  # as in engine/model/attention.py: scores further below the largest count as this


class Space(Protocol):
    """What kernels need of a Workspace."""

    kernels: Kernels | None  # None: numpy's path, which no function here is called by
    dtype: np.dtype[Any]

    def __call__(self, name: str, *shape: int) -> Array: ...


def _own(space: Space, kind: str) -> Any:
    assert space.kernels is not None  # else numpy's path was taken
    return space.kernels[kind]


def embedding_backward(dx: Array, ids: Array, dtable: Array, tmp: Space) -> None:
    _own(tmp, dx.dtype.char).embedding_backward(
        dx, np.ascontiguousarray(ids, np.int64), dtable, ids.size, dx.shape[1], len(dtable))


def rms_norm(x: Array, gain: Array, buf: Space, eps: float = 1e-6) -> tuple[Array, Any]:
    rows, c = x.shape
    n, r, y = buf("n", rows, c), buf("r", rows), buf("y", rows, c)
    _own(buf, x.dtype.char).rms_norm(x, gain, n, r, y, rows, c, eps, 1)
    return y, (n, r, gain)


def unit_rms(x: Array, buf: Space, eps: float = 1e-6) -> tuple[Array, Array]:
    rows, c = x.shape
    n, r = buf("n", rows, c), buf("r", rows)
    _own(buf, x.dtype.char).rms_norm(x, x, n, r, n, rows, c, eps, 0)
    return n, r


def rms_norm_backward(dy: Array, cache: Any, tmp: Space) -> tuple[Array, Array]:
    n, r, gain = cache
    rows, c = n.shape
    dx, dgain = tmp("dnorm", rows, c), tmp("dgain", 1, c)[0]
    _own(tmp, n.dtype.char).rms_norm_backward(dy, n, r, gain, dx, dgain, tmp("rows", c), rows, c)
    return dx, dgain


def swiglu(gate_up: Array, buf: Space, tmp: Space) -> tuple[Array, Any]:
    f, n, kind = gate_up.shape[0] // 2, gate_up.shape[1], gate_up.dtype.char
    sigma2, h = buf("sigma2", f, n), tmp("h", f, n)
    _own(tmp, kind).swiglu(gate_up, gate_up[f:], sigma2, h, f * n, *doublings(1.0, kind))
    return h, (gate_up, sigma2)


def swiglu_backward(dh: Array, cache: Any, dgate_up: Array, tmp: Space) -> Array:
    (swish_up, sigma2), (f, n) = cache, dh.shape
    h = tmp("h", f, n)
    _own(tmp, dh.dtype.char).swiglu_backward(dh, swish_up, swish_up[f:], sigma2, dgate_up,
                                               dgate_up[f:], h, f * n)
    return h


def cross_entropy(logits: Array, targets: Array, scale: float | None, power: Any, nats: float,
                  tmp: Space) -> Array:
    (v, n), kind = logits.shape, logits.dtype.char
    total, picked = np.empty((2, n), logits.dtype)
    _own(tmp, kind).cross_entropy(
        logits, np.ascontiguousarray(targets, np.int64), total, picked, v, n, LOGITS,
        (scale or 0.0) * nats, scale is not None, *doublings(nats, kind))
    return np.asarray(np.log(total) - nats * picked)


def rotate(x: Array, cos: Array, sin: Array, tmp: Space, by: float = 1.0,
           side: float = 1.0) -> None:
    half, n = x.shape[-2:]
    _own(tmp, x.dtype.char).rotate(x, cos, sin, math.prod(x.shape[:-3]), half, n, by, side)


def summed_powers(s: Array, visible: Array, peak: Array | None, tmp: Space) -> Array:
    (b, h, keys, queries), kind = s.shape, s.dtype.char
    sums = np.empty((b, h, 1, queries), s.dtype)
    _own(tmp, kind).powers(s, sums if peak is None else peak, sums, b * h, keys, queries,
                             len(visible), peak is not None, LOWEST,
                             *doublings(exponential.NATS, kind))
    return sums


def slopes(s: Array, ds: Array, shift: Array, visible: Array, peak: Array | None,
           tmp: Space) -> None:
    (b, h, queries, keys), kind = s.shape, s.dtype.char
    shift = np.ascontiguousarray(shift)
    _own(tmp, kind).slopes(
        s, ds, shift, shift if peak is None else np.ascontiguousarray(peak), b * h, queries, keys,
        len(visible), peak is not None, LOWEST, *doublings(exponential.NATS, kind))


def weighed(do: Array, o: Array, weight: Array, tmp: Space) -> tuple[Array, Array]:
    (n_batch, n_head, _, t), (c, n) = weight.shape, do.shape
    do_w, shift = tmp("rows", c, n), tmp("shift", n_batch, n_head, t)
    _own(tmp, do.dtype.char).weigh(do, o, weight, do_w, shift, n_head, c // n_head, n_batch, t)
    return do_w, shift


def put_turned(to: Array, x: Array, tmp: Space) -> None:
    """to (B, H, D, T) = x (B, H, T, D): entries of a row lie side by side in both."""
    (n_b, n_h, rows, columns), size = x.shape, x.itemsize
    _own(tmp, x.dtype.char).turn(x, to, n_b, n_h, rows, columns, *(
        stride // size for stride in (*x.strides[:3], *to.strides[:3])))


def keys_as_rows(k: Array, tmp: Space) -> Array:
    k_rows = tmp("k_rows", *k.shape[:2], k.shape[3], k.shape[2])
    put_turned(k_rows, k, tmp)
    return k_rows
