"""Attention in blocks is the textbook formula, and its backward is the slope of its forward."""

import math

import numpy as np
import pytest

from engine import blocks
from engine.model import attention
from engine.model.workspace import Workspace
from engine.native import exponential
from tests.support.arrays import DTYPES, STDS, draw, error, spaces, step

BASE = 10000.0
B, T, H, D = 2, 5, 2, 4
C, N = H * D, B * T
# Blocks of 64 queries: less than one, one, one and a bit, two and a bit of many sequences.
SIZES = pytest.mark.parametrize(("n_batch", "n_time"), [
    (B, T), (1, 1), (3, 64), (2, 65), (9, 130), (1, 300), (40, 20)])


def tables(n_batch, start, stop, dtype=np.float64):
    """Cosines and sines of the positions start, …, stop − 1 of every sequence."""
    found = attention.rope_tables(stop, D, BASE, dtype)
    return tuple(np.tile(table[:, start:], n_batch) for table in found)


def attend(qkv, n_batch=B, past=None):
    buf, tmp = spaces(qkv.dtype)
    before = past[2] if past else 0
    turns = tables(n_batch, before, before + qkv.shape[1] // n_batch, qkv.dtype)
    return attention.attention(qkv.copy(), (H, H), n_batch, turns, buf, tmp, past)


def turned(x, sign=1):
    """Rotary positions as multiplication of complex pairs (i, i + D/2) by e^(i·angle)."""
    angle = np.arange(len(x))[:, None] * BASE ** (-2.0 * np.arange(D // 2) / D)
    pairs = (x[:, : D // 2] + 1j * x[:, D // 2 :]) * np.exp(sign * 1j * angle)
    return np.concatenate([pairs.real, pairs.imag], axis=1)


def heads(x, n_batch):
    """(…·C, N) channel-major → every sequence's and head's rows: (B, …·H, T, D)."""
    return x.reshape(-1, D, n_batch, x.shape[1] // n_batch).transpose(2, 0, 3, 1)


def channels(x):
    """The way back: (B, …·H, T, D) → (…·C, N)."""
    return x.transpose(1, 3, 0, 2).reshape(x.shape[1] * D, -1)


def textbook_attention(qkv, n_batch=B):
    """softmax(q kᵀ / √D) v per sequence and head, one query at a time: (3C, N) → (C, N)."""
    o = np.empty((n_batch, H, qkv.shape[1] // n_batch, D))
    for b, parts in enumerate(heads(qkv, n_batch)):
        for h in range(H):
            q, k, v = turned(parts[h]), turned(parts[H + h]), parts[2 * H + h]
            for t in range(len(q)):
                scores = k[: t + 1] @ q[t] / math.sqrt(D)
                weights = np.exp(scores - scores.max())
                o[b, h, t] = weights / weights.sum() @ v[: t + 1]
    return channels(o)


def plain_slope(qkv, do, n_batch):
    """The gradient through the whole square of probabilities of every sequence and head."""
    out = np.empty_like(heads(qkv, n_batch))
    for b, parts in enumerate(heads(qkv, n_batch)):
        for h, d in enumerate(heads(do, n_batch)[b]):
            q, k, v = turned(parts[h]), turned(parts[H + h]), parts[2 * H + h]
            scores = np.where(np.tri(len(q)) == 1, q @ k.T / math.sqrt(D), -np.inf)
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            dp = d @ v.T
            ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True)) / math.sqrt(D)
            out[b, h], out[b, H + h] = turned(ds @ k, -1), turned(ds.T @ q, -1)
            out[b, 2 * H + h] = p.T @ d
    return channels(out)


@STDS
def test_attention_is_the_textbook_formula(std):
    qkv = draw(std, 3 * C, N)
    assert error(attend(qkv)[0], textbook_attention(qkv)) < 1e-12


@SIZES
def test_attention_in_blocks_is_the_textbook_formula(n_batch, n_time):
    qkv = draw(1, 3 * C, n_batch * n_time)
    assert error(attend(qkv, n_batch)[0], textbook_attention(qkv, n_batch)) < 1e-12


@SIZES
def test_attention_backward_in_blocks_is_that_of_the_whole_square(n_batch, n_time):
    qkv, do = draw(1, 3 * C, n_batch * n_time), draw(1, C, n_batch * n_time, seed=1)
    dqkv = attention.attention_backward(do, attend(qkv, n_batch)[1], Workspace(np.float64))
    wanted = plain_slope(qkv, do, n_batch)
    assert np.max(np.abs(dqkv - wanted)) < 1e-12 * max(1.0, np.max(np.abs(wanted)))


def test_attention_over_2048_tokens_is_the_plain_formula_forward_and_backward():
    qkv, do = draw(1, 3 * C, 2048), draw(1, C, 2048, seed=1)
    o, cache = attend(qkv, 1)
    assert error(o, textbook_attention(qkv, 1)) < 1e-12
    dqkv = attention.attention_backward(do, cache, Workspace(np.float64))
    assert error(dqkv, plain_slope(qkv, do, 1)) < 1e-12


def test_these_sizes_cross_the_borders_of_blocks():
    found = blocks.attention_blocks(9, H, 130, 0)
    assert {(times.start, times.stop) for _, times in found} == {(0, 64), (64, 128), (128, 130)}
    assert len({rows.start for rows, _ in found}) == 2  # not all sequences in one block


@pytest.mark.parametrize(("n_batch", "n_head", "n_time", "before"), [
    (1, 1, 1, 0), (5, 2, 64, 0), (9, 2, 130, 0), (1, 64, 2048, 0), (40, 3, 7, 100)])
def test_blocks_cover_every_query_of_every_sequence_once(n_batch, n_head, n_time, before):
    count = np.zeros((n_batch, n_time), int)
    for rows, times in blocks.attention_blocks(n_batch, n_head, n_time, before):
        count[rows, times] += 1
    assert np.all(count == 1)


@STDS
@pytest.mark.parametrize("queries", [2, 3, blocks.QUERIES])
def test_attention_backward_is_the_slope_of_its_forward(
        std, queries, central_differences, monkeypatch):
    monkeypatch.setattr(blocks, "QUERIES", queries)  # three blocks, two, one
    qkv, do = draw(std, 3 * C, N), draw(1, C, N, seed=1)
    dqkv = attention.attention_backward(do, attend(qkv)[1], Workspace(np.float64))
    slope = central_differences(lambda: np.sum(attend(qkv)[0] * do), qkv, step(std))
    assert error(dqkv, slope) < 1e-6


@pytest.mark.parametrize("rows", [slice(0, C), slice(C, 2 * C), slice(2 * C, 3 * C)],
                         ids=["queries", "keys", "values"])
def test_queries_keys_and_values_each_have_the_right_slope(rows, central_differences):
    qkv, do = draw(1, 3 * C, N), draw(1, C, N, seed=1)
    dqkv = attention.attention_backward(do, attend(qkv)[1], Workspace(np.float64))
    slope = central_differences(lambda: np.sum(attend(qkv)[0] * do), qkv, 1e-5)
    assert error(dqkv[rows], slope[rows]) < 1e-6


@pytest.mark.parametrize(("n_batch", "n_time"), [(B, T), (3, 130)])
def test_attention_backward_twice_gives_the_same_and_leaves_its_input(n_batch, n_time):
    _, cache = attend(draw(1, 3 * C, n_batch * n_time), n_batch)
    do, tmp = draw(1, C, n_batch * n_time, seed=1), Workspace(np.float64)
    before = do.copy()
    first = attention.attention_backward(do, cache, tmp).copy()
    assert np.array_equal(attention.attention_backward(do, cache, tmp), first)
    assert np.array_equal(do, before)


def far_out(scale, offset, n_time=70, dtype=np.float32):
    """qkv whose scores are scale² times as large as usual, below or above 0 as `offset` is."""
    qkv = draw(1, 3 * C, N // T * n_time).astype(dtype)
    qkv[:C] *= scale
    qkv[:C] += scale * offset
    qkv[C : 2 * C] *= scale
    qkv[C : 2 * C] += scale * abs(offset)
    return qkv


@pytest.mark.parametrize("scale", [6.0, 10.0, 100.0])
@pytest.mark.parametrize("offset", [-1.0, 0.0, 1.0])
def test_scores_whose_exponentials_float32_cannot_hold_give_what_float64_gives(scale, offset):
    qkv = far_out(scale, offset)
    o, cache = attend(qkv)
    assert any(peak is not None for peak in cache[4])  # the plain sums did leave the range
    wanted = textbook_attention(qkv.astype(np.float64))
    # Scores of 10⁵ are rounded to 10⁻²: what float32 knows of them bounds what it can say.
    rounding = 1.6e-5 * scale**2
    assert np.max(np.abs(o - wanted)) < 5 * min(1.0, rounding)
    do = draw(1, *o.shape, seed=1).astype(np.float32)
    dqkv = attention.attention_backward(do, cache, Workspace(np.float32))
    assert np.all(np.isfinite(dqkv))


@pytest.mark.parametrize("scale", [3.0, 10.0])
def test_the_slope_at_such_scores_is_that_of_the_whole_square(scale):
    qkv, do = far_out(scale, 1.0, dtype=np.float64), draw(1, C, N // T * 70, seed=1)
    o, cache = attend(qkv)
    assert any(peak is not None for peak in cache[4])
    wanted = plain_slope(qkv, do, B)
    dqkv = attention.attention_backward(do, cache, Workspace(np.float64))
    assert error(o, textbook_attention(qkv)) < 1e-10
    assert error(dqkv, wanted) < 1e-10


def test_one_query_with_such_scores_changes_no_bit_of_the_others():
    qkv = draw(1, 3 * C, N)
    before = attend(qkv)[0].reshape(C, B, T).copy()
    qkv[:C].reshape(C, B, T)[:, 0, 2] *= 1e4
    o, cache = attend(qkv)
    assert any(peak is not None for peak in cache[4])
    others = [(b, t) for b in range(B) for t in range(T) if (b, t) != (0, 2)]
    assert all(np.array_equal(o.reshape(C, B, T)[:, b, t], before[:, b, t]) for b, t in others)


@DTYPES
def test_attention_keeps_the_dtype(dtype):
    o, cache = attend(draw(1, 3 * C, N).astype(dtype))
    assert o.dtype == dtype
    assert attention.attention_backward(o.copy(), cache, Workspace(dtype)).dtype == dtype


def test_a_later_token_changes_nothing_earlier():
    qkv = draw(1, 3 * C, N)
    before = attend(qkv)[0].reshape(C, B, T).copy()
    qkv.reshape(3 * C, B, T)[:, :, 3] += 7.0
    after = attend(qkv)[0].reshape(C, B, T)
    assert np.array_equal(after[:, :, :3], before[:, :, :3])
    assert np.all(after[:, :, 3:] != before[:, :, 3:])


def test_nothing_beyond_the_diagonal_block_is_computed():
    n_time = 2 * blocks.QUERIES + 10
    qkv, do = draw(1, 3 * C, 2 * n_time), draw(1, C, 2 * n_time, seed=1)
    o, cache = attend(qkv)
    dqkv = attention.attention_backward(do, cache, Workspace(np.float64))
    poisoned = qkv.copy()  # a masked NaN is still NaN: only what is not computed stays clean
    poisoned.reshape(3 * C, B, n_time)[:, :, blocks.QUERIES :] = np.nan
    o_, cache = attend(poisoned)
    dqkv_ = attention.attention_backward(do, cache, Workspace(np.float64))
    own = np.s_[:, :, : blocks.QUERIES]
    assert np.array_equal(o_.reshape(C, B, n_time)[own], o.reshape(C, B, n_time)[own])
    dq, dq_ = (x[:C].reshape(C, B, n_time)[own] for x in (dqkv, dqkv_))
    assert np.array_equal(dq_, dq)
    assert np.all(np.isnan(o_.reshape(C, B, n_time)[:, :, blocks.QUERIES :]))


def memory_of_attention(n_batch, n_time):
    """Bytes of every buffer of a forward and a backward pass, with 8 heads of 4."""
    buf, tmp = spaces()
    c = 8 * D
    o, cache = attention.attention(draw(1, 3 * c, n_batch * n_time), (8, 8), n_batch,
                                tables(n_batch, 0, n_time), buf, tmp)
    attention.attention_backward(o.copy(), cache, tmp)
    return buf.nbytes + tmp.nbytes


def test_memory_of_attention_is_linear_in_the_length_of_a_sequence():
    n = 2048
    taken = {n_time: memory_of_attention(n // n_time, n_time) for n_time in (256, 512, 1024, 2048)}
    assert taken[512] <= 2 * taken[256]
    assert taken[1024] <= 2 * taken[512]
    assert taken[2048] <= 2 * taken[1024]
    assert taken[2048] < 8 * 8 * n * n / 4  # a quarter of one square of scores of 8 heads


def test_sequences_of_a_batch_do_not_see_each_other():
    qkv = draw(1, 3 * C, N)
    before = attend(qkv)[0].reshape(C, B, T).copy()
    qkv.reshape(3 * C, B, T)[:, 0] += 7.0
    assert np.array_equal(attend(qkv)[0].reshape(C, B, T)[:, 1], before[:, 1])


@pytest.mark.parametrize("cuts", [(0, 5), (0, 3, 5), (0, 1, 2, 3, 4, 5), (0, 70, 135), (0, 1, 66),
                                  (0, 64, 65, 130), (0, 20, 150)], ids=str)
def test_attention_in_pieces_equals_attention_at_once(cuts):
    n_time = cuts[-1]
    qkv = draw(1, 3 * C, B * n_time)
    keys, values = np.full((2, B, H, D, n_time + 3), np.nan)
    pieces = [attend(qkv.reshape(3 * C, B, n_time)[:, :, a:b].reshape(3 * C, -1),
                     past=(keys, values, a))[0].reshape(C, B, b - a)
              for a, b in zip(cuts, cuts[1:], strict=False)]
    at_once = attend(qkv)[0].reshape(C, B, n_time)
    assert error(np.concatenate(pieces, axis=2), at_once) < 1e-13


# --- groups: several heads of queries share one of keys and values ---------------------------


def attend_groups(qkv, n_kv, n_batch=B, past=None):
    buf, tmp = spaces(qkv.dtype)
    before = past[2] if past else 0
    turns = tables(n_batch, before, before + qkv.shape[1] // n_batch, qkv.dtype)
    return attention.attention(qkv.copy(), (GROUPED_H, n_kv), n_batch, turns, buf, tmp, past)


GROUPED_H = 4
KV = pytest.mark.parametrize("n_kv", [1, 2, 4])


def repeated(qkv, n_kv):
    """qkv of plain attention whose key and value heads stand once for each of their group."""
    q, kv = qkv[: GROUPED_H * D], qkv[GROUPED_H * D :].reshape(2, n_kv, D, -1)
    return np.concatenate([q, kv.repeat(GROUPED_H // n_kv, axis=1).reshape(-1, qkv.shape[1])])


def summed(dqkv, n_kv):
    """The gradient of `repeated`: what is said of every copy adds up."""
    dq, dkv = dqkv[: GROUPED_H * D], dqkv[GROUPED_H * D :]
    dkv = dkv.reshape(2, n_kv, GROUPED_H // n_kv, D, -1).sum(axis=2)
    return np.concatenate([dq, dkv.reshape(-1, dqkv.shape[1])])


@KV
@SIZES
def test_grouped_attention_is_plain_attention_on_repeated_keys_and_values(n_kv, n_batch, n_time):
    n = n_batch * n_time
    qkv, do = draw(1, (GROUPED_H + 2 * n_kv) * D, n), draw(1, GROUPED_H * D, n, seed=1)
    o, cache = attend_groups(qkv, n_kv, n_batch)
    plain_o, plain_cache = attend_groups(repeated(qkv, n_kv), GROUPED_H, n_batch)
    assert error(o, plain_o) < 1e-13
    dqkv = attention.attention_backward(do, cache, Workspace(np.float64))
    plain = attention.attention_backward(do, plain_cache, Workspace(np.float64))
    assert error(dqkv, summed(plain, n_kv)) < 1e-12


@KV
@STDS
def test_grouped_backward_is_the_slope_of_its_forward(n_kv, std, central_differences):
    qkv, do = draw(std, (GROUPED_H + 2 * n_kv) * D, N), draw(1, GROUPED_H * D, N, seed=1)
    dqkv = attention.attention_backward(do, attend_groups(qkv, n_kv)[1], Workspace(np.float64))
    slope = central_differences(lambda: np.sum(attend_groups(qkv, n_kv)[0] * do), qkv, step(std))
    assert error(dqkv, slope) < 1e-6


def test_grouped_scores_that_need_their_peak_subtracted_give_what_float64_gives():
    qkv = 10 * draw(1, (GROUPED_H + 2) * D, N).astype(np.float32)
    o, cache = attend_groups(qkv, 1)
    assert any(peak is not None for peak in cache[4])
    wide = attend_groups(repeated(qkv, 1).astype(np.float64), GROUPED_H)[0]
    assert np.max(np.abs(o - wide)) < 5e-2
    assert np.all(np.isfinite(attention.attention_backward(o.copy(), cache, Workspace(np.float32))))


@KV
def test_grouped_attention_in_pieces_equals_attention_at_once(n_kv):
    n_time = 70
    qkv = draw(1, (GROUPED_H + 2 * n_kv) * D, B * n_time).reshape(-1, B, n_time)
    keys, values = np.full((2, B, n_kv, D, n_time), np.nan)
    pieces = [attend_groups(qkv[..., a:b].reshape(len(qkv), -1), n_kv,
                            past=(keys, values, a))[0].reshape(-1, B, b - a)
              for a, b in ((0, 1), (1, 65), (65, 70))]
    at_once = attend_groups(qkv.reshape(len(qkv), -1), n_kv)[0].reshape(-1, B, n_time)
    assert error(np.concatenate(pieces, axis=2), at_once) < 1e-13


def test_rotation_back_undoes_rotation():
    x, tmp = draw(1, 2, H, 2, D // 2, N), Workspace(np.float64)
    cos, sin = tables(B, 0, T)
    there = x.copy()
    attention.rotate(there, cos, sin, tmp)
    attention.rotate(there, cos, -sin, tmp)
    scale = D ** -0.5 / exponential.NATS  # each way brings its root
    assert there == pytest.approx(scale * x, abs=1e-14)


# --- norm of queries and keys ----------------------------------------------------------------


def normed(qk, gains, space):
    y = qk.copy()
    return y, attention.norm_heads(y, gains, H, space)


@STDS
def test_the_norm_of_heads_is_the_formula_and_its_backward_the_slope(std, central_differences):
    """Of two heads of queries and one of keys."""
    qk, gains = draw(std, C + D, N), (1.5 + draw(0.3, D), 0.7 + draw(0.3, D, seed=1))
    dy, (buf, tmp) = draw(1, C + D, N, seed=2), spaces()
    y, cache = normed(qk, gains, buf)
    for i, gain in enumerate((gains[0], gains[0], gains[1])):
        own = slice(i * D, (i + 1) * D)
        rms = np.sqrt(np.mean(qk[own] ** 2, axis=0) + 1e-6)
        assert y[own] == pytest.approx(qk[own] / rms * gain[:, None], rel=1e-12)
    slopes = [central_differences(lambda: np.sum(normed(qk, gains, Workspace(float))[0] * dy),
                                  x, step(std) if x is qk else 1e-5) for x in (qk, *gains)]
    dgains = np.zeros((2, D))
    for _ in range(2):  # twice the same
        dx = dy.copy()
        attention.norm_heads_backward(dx, cache, tuple(dgains), tmp, accumulate=False)
        assert max(map(error, (dx, *dgains), slopes)) < 1e-6


@DTYPES
def test_the_norm_of_heads_keeps_the_dtype_and_of_nothing_is_nothing(dtype):
    gains = np.ones((2, D), dtype)
    y, cache = normed(np.zeros((2 * C, N), dtype), tuple(gains), Workspace(dtype))
    dx, dgains = np.ones((2 * C, N), dtype), np.zeros((2, D), dtype)
    attention.norm_heads_backward(dx, cache, tuple(dgains), Workspace(dtype), accumulate=True)
    assert np.all(y == 0)
    assert np.all(np.isfinite(dx))
    assert (y.dtype, cache[0].dtype, cache[1].dtype) == (dtype, dtype, dtype)
