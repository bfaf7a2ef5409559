"""What an optimizer does to every parameter: numpy's passes, or one pass of a kernel.

`arrays` are runs of flat buffers, changed in place: parameters first, then their gradients, then
what the optimizer keeps. `numbers` are those that engine/training/optim.py makes of a step, in the
order of kernels.c; the first scales gradients. p and y lose what decay takes, with is_cautious only
where the update, too, goes towards zero.
"""

from collections.abc import Sequence

import numpy as np

from engine.native.layers import Array, Space
from engine.native.library import Kernels


def sum_gradients(own: Array, others: Sequence[Array], kernels: Kernels) -> float:
    """Add others to own (n,), in place; the sum of squares of what own is then."""
    add_squares = kernels[own.dtype.char].add_squares
    for other in others[:-1]:
        add_squares(own, other, own.size, 1)
    return float(add_squares(own, others[-1] if others else own, own.size, bool(others)))


def _kernel(name: str, arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
            kernels: Kernels) -> None:
    p = arrays[0]
    getattr(kernels[p.dtype.char], name)(*arrays, p.size, *numbers, is_cautious)


def adamw(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
          tmp: Space) -> None:
    """m ← β₁m + g, v ← β₂v + g², then descend by m / (√v + ε)."""
    if tmp.kernels:
        _kernel("adamw", arrays, numbers, is_cautious, tmp.kernels)
        return
    (p, g, m, v), (scale, beta1, beta2, eps, rate, decay) = arrays, numbers
    u = np.multiply(g, scale, out=tmp("u", p.size))
    m *= beta1
    m += u
    u *= u
    v *= beta2
    v += u
    np.sqrt(v, out=u)
    u += eps
    np.divide(m, u, out=u)
    descend((p, u, tmp("shrunk", p.size)), (rate, decay), is_cautious, tmp)


def lion(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
         tmp: Space) -> None:
    """Descend by sign(β₁m + (1−β₁)g), then m ← β₂m + (1−β₂)g."""
    if tmp.kernels:
        _kernel("lion", arrays, numbers, is_cautious, tmp.kernels)
        return
    (p, g, m), (scale, mix, beta, lr, decay) = arrays, numbers
    g_, u = np.multiply(g, scale, out=tmp("g", p.size)), np.multiply(m, mix, out=tmp("u", p.size))
    u += g_  # a positive multiple of β₁m + (1−β₁)g: the sign is the same
    descend((p, np.sign(u, out=u), tmp("shrunk", p.size)), (lr, decay), is_cautious, tmp)
    m *= beta
    m += np.multiply(g_, 1 - beta, out=u)


def schedule_free(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
                  tmp: Space) -> None:
    """v ← β₂v + (1−β₂)g², u = g / (√v̂ + ε) + λy, then y and z by u."""
    if tmp.kernels:
        _kernel("schedule_free", arrays, numbers, is_cautious, tmp.kernels)
        return
    (y, g, z, v), (scale, beta2, correct, eps, decay, c, ahead, lr) = arrays, numbers
    g_, u = np.multiply(g, scale, out=tmp("g", y.size)), tmp("u", y.size)
    np.multiply(g_, g_, out=u)
    u *= 1 - beta2
    v *= beta2
    v += u
    np.sqrt(v, out=u)
    u *= correct
    u += eps
    g_ /= u
    if decay:
        g_ += _decayed(y, g_, decay, is_cautious, u)
    # y ← (1−β₁)z' + β₁x' in terms of y, z and u alone, as in the authors' own code
    np.subtract(z, y, out=u)
    u *= c
    y += u
    y += np.multiply(g_, ahead, out=u)
    g_ *= lr
    z -= g_


def gather(arrays: Sequence[Array], numbers: Sequence[float], tmp: Space) -> None:
    """Muon's momentum m ← μm + g, and x = g + μm; y is spent."""
    (x, g, m, y), (scale, momentum) = arrays, numbers
    if tmp.kernels:
        tmp.kernels[x.dtype.char].momentum(x, g, m, x.size, scale, momentum)
        return
    np.multiply(g, scale, out=x)
    m *= momentum
    m += x
    x += np.multiply(m, momentum, out=y)


def descend(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
            tmp: Space) -> None:
    """p ← p less what decay takes − rate · u: u and y are spent."""
    (p, u, y), (rate, decay) = arrays, numbers
    if tmp.kernels:
        _kernel("descend", (p, u), numbers, is_cautious, tmp.kernels)
        return
    u *= rate
    _shrink(p, u, decay, is_cautious, y)
    p -= u


def _shrink(p: Array, u: Array, decay: float, is_cautious: bool, tmp: Array) -> None:
    """Take `decay` of p, in place; with is_cautious only where p − u is nearer to zero, too."""
    if is_cautious and decay:
        p -= _decayed(p, u, decay, is_cautious, tmp)
    elif decay:
        p *= 1 - decay


def _decayed(p: Array, u: Array, decay: float, is_cautious: bool, out: Array) -> Array:
    """decay · p, or decay · 1(u p ≥ 0) · p: Chen et al. 2025, arXiv:2510.12402, algorithm 1."""
    if is_cautious:
        np.multiply(u, p, out=out)
        np.greater_equal(out, 0.0, out=out)
        out *= p
        out *= decay
        return out
    return np.multiply(p, decay, out=out)
