"""What engine/training computes of every parameter, by kernels: the same names and arguments."""

from collections.abc import Sequence

from engine.native.layers import Array, Space


def sum_gradients(own: Array, others: Sequence[Array], tmp: Space) -> float:
    add_squares = tmp.kernels[own.dtype.char].add_squares
    for other in others[:-1]:
        add_squares(own, other, own.size, 1)
    return float(add_squares(own, others[-1] if others else own, own.size, bool(others)))


def adamw(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
          tmp: Space) -> None:
    p = arrays[0]
    tmp.kernels[p.dtype.char].adamw(*arrays, p.size, *numbers, is_cautious)


def lion(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool, tmp: Space) -> None:
    p = arrays[0]
    tmp.kernels[p.dtype.char].lion(*arrays, p.size, *numbers, is_cautious)


def schedule_free(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
                  tmp: Space) -> None:
    y = arrays[0]
    tmp.kernels[y.dtype.char].schedule_free(*arrays, y.size, *numbers, is_cautious)


def gather(arrays: Sequence[Array], numbers: Sequence[float], tmp: Space) -> None:
    x, g, m, _ = arrays
    tmp.kernels[x.dtype.char].momentum(x, g, m, x.size, *numbers)


def descend(arrays: Sequence[Array], numbers: Sequence[float], is_cautious: bool,
            tmp: Space) -> None:
    p, u, _ = arrays
    tmp.kernels[p.dtype.char].descend(p, u, p.size, *numbers, is_cautious)
