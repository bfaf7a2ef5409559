"""Every layer is the textbook formula, and its backward is the slope of its forward."""

import math

import numpy as np
import pytest

from engine.model import layers
from engine.model.workspace import Workspace
from tests.support.arrays import DTYPES, STDS, draw, error, spaces, step

# --- products and embedding ------------------------------------------------------------------


@pytest.mark.parametrize(("accumulate", "expected"), [(False, 0.0), (True, 5.0)])
def test_product_replaces_or_adds_to_the_gradient(accumulate, expected):
    a, b, grad = draw(1, 3, 4), draw(1, 4, 2), np.full((3, 2), 5.0)
    layers.product_into(grad, a, b, Workspace(np.float64), accumulate)
    assert grad == pytest.approx(expected + a @ b, rel=1e-14)


def test_embedding_gives_the_rows_of_the_table():
    table, ids = draw(1, 7, 3), np.array([6, 0, 2, 0])
    assert np.array_equal(layers.embedding(ids, table, Workspace(np.float64)), table[[6, 0, 2, 0]])


@STDS
def test_embedding_backward_is_the_slope_of_its_forward(std, central_differences):
    table, ids, dx = draw(std, 7, 3), np.array([6, 0, 2, 0, 0, 6]), draw(1, 6, 3)
    buf, tmp = spaces()
    dtable = np.zeros_like(table)
    layers.embedding_backward(dx, ids, dtable, tmp)
    slope = central_differences(lambda: np.sum(layers.embedding(ids, table, buf) * dx),
                                table, step(std))
    assert error(dtable, slope) < 1e-6


def test_embedding_backward_adds_to_what_is_there_and_twice_gives_the_same():
    ids, dx, tmp = np.array([1, 1, 2]), draw(1, 3, 4), Workspace(np.float64)
    first, second = np.full((4, 4), 2.0), np.full((4, 4), 2.0)
    layers.embedding_backward(dx, ids, first, tmp)
    layers.embedding_backward(dx, ids, second, tmp)
    assert np.array_equal(first, second)
    assert first[1] == pytest.approx(2.0 + dx[0] + dx[1], rel=1e-14)
    assert np.all(first[[0, 3]] == 2.0)


# --- normalisation ---------------------------------------------------------------------------


@STDS
def test_rms_norm_is_the_formula(std):
    x, gain = draw(std, 5, 6), 1.5 + draw(0.3, 6)
    y, _ = layers.rms_norm(x, gain, Workspace(np.float64))
    textbook = [[value / math.sqrt(sum(v * v for v in row) / 6 + 1e-6) * g
                 for value, g in zip(row, gain, strict=True)] for row in x]
    assert y == pytest.approx(np.array(textbook), rel=1e-13)


@STDS
def test_rms_norm_backward_is_the_slope_of_its_forward(std, central_differences):
    x, gain, dy = draw(std, 5, 6), 1.5 + draw(0.3, 6), draw(1, 5, 6, seed=1)
    buf, tmp = spaces()
    dx, dgain = layers.rms_norm_backward(dy, layers.rms_norm(x, gain, buf)[1], tmp)

    def weighted_sum():
        return np.sum(layers.rms_norm(x, gain, Workspace(np.float64))[0] * dy)

    assert error(dx, central_differences(weighted_sum, x, step(std))) < 1e-6
    assert error(dgain, central_differences(weighted_sum, gain, 1e-5)) < 1e-6


def test_rms_norm_backward_twice_gives_the_same_and_leaves_its_input():
    buf, tmp = spaces()
    _, cache = layers.rms_norm(draw(1, 5, 6), draw(1, 6), buf)
    dy = draw(1, 5, 6, seed=1)
    before = dy.copy()
    first = [part.copy() for part in layers.rms_norm_backward(dy, cache, tmp)]
    second = layers.rms_norm_backward(dy, cache, tmp)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(dy, before)


def test_rms_norm_of_nothing_is_nothing():
    buf, tmp = spaces(np.float32)
    y, cache = layers.rms_norm(np.zeros((2, 4), np.float32), np.ones(4, np.float32), buf)
    dx, _ = layers.rms_norm_backward(np.ones((2, 4), np.float32), cache, tmp)
    assert np.all(y == 0)
    assert np.all(np.isfinite(dx))


@DTYPES
def test_rms_norm_keeps_the_dtype(dtype):
    buf, tmp = spaces(dtype)
    y, cache = layers.rms_norm(draw(1, 5, 6).astype(dtype), draw(1, 6).astype(dtype), buf)
    dx, dgain = layers.rms_norm_backward(y.copy(), cache, tmp)
    assert (y.dtype, dx.dtype, dgain.dtype) == (dtype, dtype, dtype)


# --- feed-forward ----------------------------------------------------------------------------

F = 4  # hidden width
SWIGLU_SIZES = pytest.mark.parametrize("n", [5, layers.ELEMENTS // 3, layers.ELEMENTS + 1])


def textbook_swiglu(gate_up):
    """(2F, N) channel-major, one number at a time."""
    half = len(gate_up) // 2
    return np.array([[g / (1 + math.exp(-g)) * u for g, u in zip(gates, ups, strict=True)]
                     for gates, ups in zip(gate_up[:half], gate_up[half:], strict=True)])


def activate(gate_up, buf):
    """swiglu, which overwrites what it is given, of a copy."""
    return layers.swiglu(gate_up.copy(), buf, Workspace(gate_up.dtype))


def slope_of_swiglu(dh, cache, tmp):
    dgate_up = np.empty((2 * len(dh), dh.shape[1]), dh.dtype)
    layers.swiglu_backward(dh, cache, dgate_up, tmp)
    return dgate_up


@STDS
def test_swiglu_is_the_formula(std):
    gate_up = draw(std, 2 * F, 5)
    h, _ = activate(gate_up, Workspace(np.float64))
    assert h == pytest.approx(textbook_swiglu(gate_up), rel=1e-13)


@SWIGLU_SIZES
def test_swiglu_in_blocks_of_channels_is_the_formula_forward_and_backward(n):
    """Four channels in a block, then three and one, then one by one."""
    gate_up, dh = draw(1, 2 * F, n), draw(1, F, n, seed=1)
    buf, tmp = spaces()
    h, cache = activate(gate_up, buf)
    assert np.max(np.abs(h - textbook_swiglu(gate_up))) < 1e-13
    gate, up = gate_up[:F], gate_up[F:]
    sigma = 1 / (1 + np.exp(-gate))
    wanted = np.concatenate([dh * up * sigma * (1 + gate * (1 - sigma)), dh * gate * sigma])
    assert np.max(np.abs(slope_of_swiglu(dh, cache, tmp) - wanted)) < 1e-13


@STDS
def test_swiglu_backward_is_the_slope_of_its_forward(std, central_differences):
    gate_up, dh = draw(std, 2 * F, 5), draw(1, F, 5, seed=1)
    buf, tmp = spaces()
    dgate_up = slope_of_swiglu(dh, activate(gate_up, buf)[1], tmp)
    slope = central_differences(
        lambda: np.sum(activate(gate_up, Workspace(np.float64))[0] * dh), gate_up, step(std))
    assert error(dgate_up, slope) < 1e-6


def test_swiglu_backward_twice_gives_the_same_and_leaves_its_input():
    buf, tmp = spaces()
    _, cache = activate(draw(1, 2 * F, 5), buf)
    dh = draw(1, F, 5, seed=1)
    before = dh.copy()
    first = slope_of_swiglu(dh, cache, tmp).copy()
    assert np.array_equal(slope_of_swiglu(dh, cache, tmp), first)
    assert np.array_equal(dh, before)


@DTYPES
def test_swiglu_keeps_the_dtype(dtype):
    buf, tmp = spaces(dtype)
    h, cache = activate(draw(1, 2 * F, 5).astype(dtype), buf)
    assert h.dtype == dtype
    assert slope_of_swiglu(h.copy(), cache, tmp).dtype == dtype


def test_swiglu_of_a_very_negative_gate_is_closed_and_passes_no_gradient():
    buf, tmp = spaces(np.float32)
    gate_up = np.array([[-500.0], [500.0], [1.0], [1.0]], np.float32)  # exp(500) is inf there
    h, cache = activate(gate_up, buf)
    dgate_up = slope_of_swiglu(np.ones((2, 1), np.float32), cache, tmp)
    assert h.ravel().tolist() == [0.0, 500.0]
    assert dgate_up.ravel().tolist() == [0.0, 1.0, 0.0, 500.0]


# --- head and loss ---------------------------------------------------------------------------

TARGETS = np.array([2, 0, 6, 6])


@STDS
def test_cross_entropy_is_the_formula(std):
    logits = draw(std, 7, 4)
    nats = layers.cross_entropy(logits.copy(), TARGETS, 0.25)
    textbook = [math.log(math.fsum(math.exp(v - column[t]) for v in column))
                for column, t in zip(logits.T, TARGETS, strict=True)]
    assert nats == pytest.approx(np.array(textbook), rel=1e-12, abs=1e-13)


@STDS
def test_cross_entropy_leaves_the_slope_of_the_scaled_sum(std, central_differences):
    logits = draw(std, 7, 4)
    gradient = logits.copy()
    layers.cross_entropy(gradient, TARGETS, 0.37)
    slope = central_differences(
        lambda: 0.37 * np.sum(layers.cross_entropy(logits.copy(), TARGETS, None)),
        logits, step(std))
    assert error(gradient, slope) < 1e-6


def test_cross_entropy_without_a_scale_is_the_same_loss():
    logits = draw(1, 7, 4)
    with_gradient = layers.cross_entropy(logits.copy(), TARGETS, 0.25)
    assert np.array_equal(layers.cross_entropy(logits, TARGETS, None), with_gradient)


def test_cross_entropy_of_huge_logits_is_finite():
    logits = np.array([[1e30, 1e30], [-1e30, -1e30]], np.float32)
    nats = layers.cross_entropy(logits, np.array([0, 1]), 0.5)
    assert nats.tolist() == [0.0, pytest.approx(2e30)]
    assert logits.tolist() == [[0.0, 0.5], [0.0, -0.5]]


@pytest.mark.parametrize("std", [1.0, 100.0])  # without and with the largest logit subtracted
def test_cross_entropy_in_powers_of_two_is_that_of_the_same_logits_in_nats(std):
    logits = draw(std, 7, 4)
    nats, gradient = logits.copy(), logits / math.log(2.0)
    wanted = layers.cross_entropy(nats, TARGETS, 0.37)
    found = layers.cross_entropy(gradient, TARGETS, 0.37, np.exp2, math.log(2.0))
    assert found == pytest.approx(wanted, rel=1e-12)
    # By the chain rule a unit of ln 2 nats takes ln 2 times the slope.
    assert gradient / math.log(2.0) == pytest.approx(nats, rel=1e-12, abs=1e-15)


@DTYPES
def test_cross_entropy_keeps_the_dtype(dtype):
    logits = draw(1, 7, 4).astype(dtype)
    assert layers.cross_entropy(logits, TARGETS, 0.5).dtype == dtype
