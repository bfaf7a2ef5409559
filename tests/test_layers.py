"""Every layer is the textbook formula, and its backward is the slope of its forward."""

import math

import numpy as np
import pytest

from engine import layers
from engine.workspace import Workspace

BASE = 10000.0
STDS = pytest.mark.parametrize("std", [0.02, 1.0, 30.0])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(std, *shape, seed=0):
    return std * np.random.default_rng([seed, *shape]).standard_normal(shape)


def spaces(dtype=np.float64):
    return Workspace(dtype), Workspace(dtype)


def step(std):
    """Small beside the inputs, and beside what the slope of a softmax of them feels."""
    return 1e-5 * min(1.0, std)


def error(got, want):
    """Largest difference, as a share of the largest entry wanted."""
    return np.max(np.abs(got - want)) / np.max(np.abs(want))


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


# --- attention -------------------------------------------------------------------------------

B, T, H, D = 2, 5, 2, 4  # sequences are shorter than the tables, which reach 8 tokens
C, N = H * D, B * T
TABLES = layers.rope_tables(8, D, BASE, np.float64)


def attend(qkv, n_batch=B, **past):
    buf, tmp = spaces(qkv.dtype)
    tables = tuple(table.astype(qkv.dtype) for table in TABLES)
    return layers.attention(qkv, H, n_batch, tables, buf, tmp, **past)


def turned(x):
    """Rotary positions as multiplication of complex pairs (i, i + D/2) by e^(i·angle)."""
    angle = np.arange(len(x))[:, None] * BASE ** (-2.0 * np.arange(D // 2) / D)
    pairs = (x[:, : D // 2] + 1j * x[:, D // 2 :]) * np.exp(1j * angle)
    return np.concatenate([pairs.real, pairs.imag], axis=1)


def textbook_attention(qkv):
    """softmax(q kᵀ / √D) v per sequence and head, one query at a time: (3C, N) → (C, N)."""
    rows = qkv.T.reshape(B, T, 3, H, D)
    o = np.empty((B, T, H, D))
    for b in range(B):
        for h in range(H):
            q, k, v = turned(rows[b, :, 0, h]), turned(rows[b, :, 1, h]), rows[b, :, 2, h]
            for t in range(T):
                scores = k[: t + 1] @ q[t] / math.sqrt(D)
                weights = np.exp(scores - scores.max())
                o[b, t, h] = weights / weights.sum() @ v[: t + 1]
    return o.reshape(N, C).T


@STDS
def test_attention_is_the_textbook_formula(std):
    qkv = draw(std, 3 * C, N)
    assert error(attend(qkv)[0], textbook_attention(qkv)) < 1e-12


@STDS
def test_attention_backward_is_the_slope_of_its_forward(std, central_differences):
    qkv, do = draw(std, 3 * C, N), draw(1, C, N, seed=1)
    dqkv = layers.attention_backward(do, attend(qkv)[1], Workspace(np.float64))
    slope = central_differences(lambda: np.sum(attend(qkv)[0] * do), qkv, step(std))
    assert error(dqkv, slope) < 1e-6


@pytest.mark.parametrize("rows", [slice(0, C), slice(C, 2 * C), slice(2 * C, 3 * C)],
                         ids=["queries", "keys", "values"])
def test_queries_keys_and_values_each_have_the_right_slope(rows, central_differences):
    qkv, do = draw(1, 3 * C, N), draw(1, C, N, seed=1)
    dqkv = layers.attention_backward(do, attend(qkv)[1], Workspace(np.float64))
    slope = central_differences(lambda: np.sum(attend(qkv)[0] * do), qkv, 1e-5)
    assert error(dqkv[rows], slope[rows]) < 1e-6


def test_attention_backward_twice_gives_the_same_and_leaves_its_input():
    _, cache = attend(draw(1, 3 * C, N))
    do, tmp = draw(1, C, N, seed=1), Workspace(np.float64)
    before = do.copy()
    first = layers.attention_backward(do, cache, tmp).copy()
    assert np.array_equal(layers.attention_backward(do, cache, tmp), first)
    assert np.array_equal(do, before)


@DTYPES
def test_attention_keeps_the_dtype(dtype):
    o, cache = attend(draw(1, 3 * C, N).astype(dtype))
    assert o.dtype == dtype
    assert layers.attention_backward(o.copy(), cache, Workspace(dtype)).dtype == dtype


def test_a_later_token_changes_nothing_earlier():
    qkv = draw(1, 3 * C, N)
    before = attend(qkv)[0].reshape(C, B, T).copy()
    qkv.reshape(3 * C, B, T)[:, :, 3] += 7.0
    after = attend(qkv)[0].reshape(C, B, T)
    assert np.array_equal(after[:, :, :3], before[:, :, :3])
    assert np.all(after[:, :, 3:] != before[:, :, 3:])


def test_sequences_of_a_batch_do_not_see_each_other():
    qkv = draw(1, 3 * C, N)
    before = attend(qkv)[0].reshape(C, B, T).copy()
    qkv.reshape(3 * C, B, T)[:, 0] += 7.0
    assert np.array_equal(attend(qkv)[0].reshape(C, B, T)[:, 1], before[:, 1])


@pytest.mark.parametrize("cuts", [(0, 5), (0, 3, 5), (0, 1, 2, 3, 4, 5)])
def test_attention_in_pieces_equals_attention_at_once(cuts):
    qkv = draw(1, 3 * C, N)
    keys, values = np.full((2, B, H, D, 8), np.nan)
    pieces = [attend(qkv.reshape(3 * C, B, T)[:, :, a:b].reshape(3 * C, -1),
                     past=(keys, values, a))[0].reshape(C, B, b - a)
              for a, b in zip(cuts, cuts[1:], strict=False)]
    at_once = attend(qkv)[0].reshape(C, B, T)
    assert error(np.concatenate(pieces, axis=2), at_once) < 1e-13


def test_rotation_back_undoes_rotation():
    x, tmp = draw(1, 2, H, 2, D // 2, B, T), Workspace(np.float64)
    cos, sin = (table[:, None, :T] for table in TABLES)
    there = layers.rotate(x, cos, sin, np.empty_like(x), tmp)
    assert layers.rotate(there, cos, -sin, np.empty_like(x), tmp) == pytest.approx(x, abs=1e-14)


# --- feed-forward ----------------------------------------------------------------------------


@STDS
def test_swiglu_is_the_formula(std):
    gate_up = draw(std, 5, 8)
    h, _ = layers.swiglu(gate_up, Workspace(np.float64))
    textbook = [[g / (1 + math.exp(-g)) * u for g, u in zip(row[:4], row[4:], strict=True)]
                for row in gate_up]
    assert h == pytest.approx(np.array(textbook), rel=1e-13)


@STDS
def test_swiglu_backward_is_the_slope_of_its_forward(std, central_differences):
    gate_up, dh = draw(std, 5, 8), draw(1, 5, 4, seed=1)
    buf, tmp = spaces()
    dgate_up = layers.swiglu_backward(dh, layers.swiglu(gate_up, buf)[1], tmp)
    slope = central_differences(
        lambda: np.sum(layers.swiglu(gate_up, Workspace(np.float64))[0] * dh), gate_up, step(std))
    assert error(dgate_up, slope) < 1e-6


def test_swiglu_backward_twice_gives_the_same_and_leaves_its_input():
    buf, tmp = spaces()
    _, cache = layers.swiglu(draw(1, 5, 8), buf)
    dh = draw(1, 5, 4, seed=1)
    before = dh.copy()
    first = layers.swiglu_backward(dh, cache, tmp).copy()
    assert np.array_equal(layers.swiglu_backward(dh, cache, tmp), first)
    assert np.array_equal(dh, before)


@DTYPES
def test_swiglu_keeps_the_dtype(dtype):
    buf, tmp = spaces(dtype)
    h, cache = layers.swiglu(draw(1, 5, 8).astype(dtype), buf)
    assert h.dtype == dtype
    assert layers.swiglu_backward(h.copy(), cache, tmp).dtype == dtype


def test_swiglu_of_a_very_negative_gate_is_closed_and_passes_no_gradient():
    buf, tmp = spaces(np.float32)
    gate_up = np.array([[-500.0, 500.0, 1.0, 1.0]], np.float32)  # exp(500) is inf in float32
    h, cache = layers.swiglu(gate_up, buf)
    dgate_up = layers.swiglu_backward(np.ones((1, 2), np.float32), cache, tmp)
    assert h.tolist() == [[0.0, 500.0]]
    assert dgate_up.tolist() == [[0.0, 1.0, 0.0, 500.0]]


# --- head and loss ---------------------------------------------------------------------------

TARGETS = np.array([2, 0, 6, 6])


@STDS
def test_cross_entropy_is_the_formula(std):
    logits = draw(std, 4, 7)
    nats = layers.cross_entropy(logits.copy(), TARGETS, Workspace(np.float64), 0.25)
    textbook = [math.log(math.fsum(math.exp(v - row[t]) for v in row))
                for row, t in zip(logits, TARGETS, strict=True)]
    assert nats == pytest.approx(np.array(textbook), rel=1e-12, abs=1e-13)


@STDS
def test_cross_entropy_leaves_the_slope_of_the_scaled_sum(std, central_differences):
    logits, tmp = draw(std, 4, 7), Workspace(np.float64)
    gradient = logits.copy()
    layers.cross_entropy(gradient, TARGETS, tmp, 0.37)
    slope = central_differences(
        lambda: 0.37 * np.sum(layers.cross_entropy(logits.copy(), TARGETS, tmp, None)),
        logits, step(std))
    assert error(gradient, slope) < 1e-6


def test_cross_entropy_without_a_scale_is_the_same_loss():
    logits, tmp = draw(1, 4, 7), Workspace(np.float64)
    with_gradient = layers.cross_entropy(logits.copy(), TARGETS, tmp, 0.25)
    assert np.array_equal(layers.cross_entropy(logits, TARGETS, tmp, None), with_gradient)


def test_cross_entropy_of_huge_logits_is_finite():
    logits = np.array([[1e30, -1e30], [1e30, -1e30]], np.float32)
    nats = layers.cross_entropy(logits, np.array([0, 1]), Workspace(np.float32), 0.5)
    assert nats.tolist() == [0.0, pytest.approx(2e30)]
    assert logits.tolist() == [[0.0, 0.0], [0.5, -0.5]]


@DTYPES
def test_cross_entropy_keeps_the_dtype(dtype):
    logits = draw(1, 4, 7).astype(dtype)
    assert layers.cross_entropy(logits, TARGETS, Workspace(dtype), 0.5).dtype == dtype
