"""What makes a matrix orthogonal, or nearly: the heart of Muon."""

import math

import numpy as np

from engine.blocks import SCHULZ_STEPS
from engine.model import Array, Workspace

MOMENTUM = 0.95
# Of aX + b(XXᵀ)X + c(XXᵀ)²X: the steepest at zero that keeps singular values within 0.7 to 1.2.
A, B, C = 3.4445, -4.7750, 2.0315
LEAST = 1e-7  # norm below which a matrix counts as zero


def orthogonal(x: Array, y: Array, space: Workspace) -> tuple[Array, Array]:
    """U Vᵀ of x = U S Vᵀ, nearly: its singular values brought near 1 (0.7 to 1.2).

    x  (R, C), which is spent
    y  (R, C), whatever it holds
    space  gives two squares of the shorter side
    returns what is asked for, in one of x and y, and the other

        X ← x / ‖x‖        five times: S = X Xᵀ,  X ← (aI + bS + cS²) X

    Where x is tall, S is Xᵀ X and stands on the right: the same without turning x around. numpy
    computes a product of a matrix and its own transpose by half of it, so S is handed as both.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon, after Bernstein and Newhouse
    2024, arXiv:2409.20325.
    """
    flat = x.reshape(-1)
    x *= 1 / max(math.sqrt(float(np.dot(flat, flat))), LEAST)
    is_wide, n = x.shape[0] <= x.shape[1], min(x.shape)
    gram, power = space("gram", n, n), space("power", n, n)
    for _ in range(SCHULZ_STEPS):
        np.matmul(*((x, x.T) if is_wide else (x.T, x)), out=gram)
        np.matmul(gram, gram.T, out=power)
        power *= C
        gram *= B
        power += gram
        power.reshape(-1)[:: n + 1] += A
        np.matmul(*((power, x) if is_wide else (x, power)), out=y)
        x, y = y, x
    return x, y
