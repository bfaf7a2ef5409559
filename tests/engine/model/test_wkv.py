"""The recurrence in chunks is the recurrence, for any decay, and its backward the slope of it."""

import numpy as np
import pytest

from engine.model.wkv import wkv, wkv_backward
from engine.model.workspace import Workspace
from tests.support.arrays import error, spaces

B, H, D = 2, 2, 3
C = H * D
# Sequences of one chunk, of several, and chunks from one time to 32.
SIZES = pytest.mark.parametrize(("n_time", "chunk"), [
    (1, 1), (3, 1), (2, 2), (4, 4), (16, 16), (48, 16), (24, 8), (64, 32)])
# ln w: every kind that can come up, mixed; slow; fast; nothing kept; all kept; mad.
DECAYS = {"mixed": None, "slow": -1e-3, "fast": -5.0, "nothing": -np.inf, "all": 0.0,
          "mad": -1e30}
DECAY = pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS.keys())


def inputs(n_time, decay=None, seed=0, dtype=np.float64):
    """r, k, v, ln w, u, the first state and the gradient of what comes out."""
    rng = np.random.default_rng(seed)
    r, k, v, dy = rng.standard_normal((4, B * n_time, C))
    log_w = -np.exp(3 * rng.standard_normal((B * n_time, C)))
    log_w[rng.random(log_w.shape) < 0.2] = -np.inf
    log_w[rng.random(log_w.shape) < 0.2] = 0.0
    if decay is not None:
        log_w[...] = decay
    found = (r, k, v, log_w, rng.standard_normal(C), rng.standard_normal((B, H, D, D)), dy)
    return tuple(x.astype(dtype) for x in found)


def chunked(r, k, v, log_w, u, state, chunk):
    """y, the state at the end, and the cache."""
    last, (buf, tmp) = state.copy(), spaces(r.dtype)
    y, cache = wkv((r, k, v), np.exp(log_w), u, last, chunk, buf, tmp)
    return y, last, cache


def recurrence(r, k, v, log_w, u, state):
    """The formula, one time and one head after the other, in float64."""
    y, state = np.empty(r.shape), state.astype(np.float64)
    w, n_time = np.exp(log_w), len(r) // B
    for b, t, h in np.ndindex(B, n_time, H):
        row, own = b * n_time + t, np.s_[h * D : (h + 1) * D]
        kv = np.outer(k[row, own], v[row, own])
        y[row, own] = r[row, own] @ (state[b, h] + u[own, None] * kv)
        state[b, h] = w[row, own, None] * state[b, h] + kv
    return y, state


# --- forward ---------------------------------------------------------------------------------


def golden():
    """WKV-6 of GOLDEN.md: one head of 2, three times, the published formula in float64."""
    t, c = np.arange(3)[:, None], np.arange(2)
    y = [[.0367396613, .0360073141], [.2747764729, .2905419843], [.3754584907, .4305586511]]
    end = [[.8216447859, 1.0013969767], [.9325096658, 1.115047026]]
    return (np.cos(.4 * t + .9 * c), np.sin(.7 * t + .3 * c), np.cos(.5 * t - .2 * c),
            -np.exp(-1 + .3 * t + .2 * c), .3 - .1 * c, np.array(y), np.array(end))


@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_the_golden_values_come_out(chunk):
    *rkv, log_w, u, y, end = golden()
    fill = ((0, -3 % chunk), (0, 0))  # rows that leave the state as it is
    rows = [np.pad(x, fill) for x in (*rkv, log_w)]
    state, (buf, tmp) = np.zeros((1, 1, 2, 2)), spaces()
    found, _ = wkv(rows[:3], np.exp(rows[3]), u, state, chunk, buf, tmp)
    assert found[:3] == pytest.approx(y, abs=1e-9)
    assert state[0, 0] == pytest.approx(end, abs=1e-9)


@SIZES
@DECAY
def test_chunks_are_the_recurrence_at_any_decay(n_time, chunk, decay):
    *own, state, _ = inputs(n_time, decay)
    y, last, _ = chunked(*own, state, chunk)
    wanted, end = recurrence(*own, state)
    assert error(y, wanted) < 1e-13
    assert error(last, end) < 1e-13


@DECAY
def test_float32_is_close_to_float64_at_any_decay(decay):
    *own, state, dy = inputs(48, decay, dtype=np.float32)
    y, last, cache = chunked(*own, state, 16)
    exact = [x.astype(np.float64) for x in (*own, state)]
    wanted, end = recurrence(*exact)
    assert y.dtype == np.float32
    assert error(y, wanted) < 1e-5
    assert error(last, end) < 1e-5
    for got, want in zip(slopes(dy, cache), slopes(dy.astype(np.float64),
                                                   chunked(*exact, 16)[2]), strict=True):
        assert np.max(np.abs(got - want)) <= 1e-5 * np.max(np.abs(want))


def test_a_later_time_changes_no_bit_of_an_earlier_one():
    *own, state, _ = inputs(32)
    before = chunked(*own, state, 16)[0].reshape(B, 32, C).copy()
    for x in own[:4]:
        x.reshape(B, 32, C)[:, 20] += 1.0
    after = chunked(*own, state, 16)[0].reshape(B, 32, C)
    assert np.array_equal(after[:, :20], before[:, :20])
    assert np.all(after[:, 20] != before[:, 20])


def test_sequences_of_a_batch_do_not_see_each_other():
    *own, state, _ = inputs(32)
    before = chunked(*own, state, 16)[0][32:].copy()
    for x in own[:4]:
        x[:32] -= 1.0
    assert np.array_equal(chunked(*own, state, 16)[0][32:], before)


# --- backward --------------------------------------------------------------------------------


def slopes(dy, cache):
    grads = list(np.full((3, *dy.shape), np.nan, dy.dtype))
    dlog, du = wkv_backward(dy, cache, grads, Workspace(dy.dtype))
    return [*grads, dlog.copy(), du]


@SIZES
@pytest.mark.parametrize("decay", [None, -1e-3, -5.0])
def test_backward_is_the_slope_of_the_recurrence(n_time, chunk, decay, central_differences):
    *own, state, dy = inputs(n_time, decay)
    own[3][...] = np.clip(own[3], -50.0, -1e-4)  # differences of infinities are none
    found = slopes(dy, chunked(*own, state, chunk)[2])
    rng = np.random.default_rng(1)
    for x, dx in zip(own, found, strict=True):
        way, at = rng.standard_normal(x.shape), np.zeros(1)

        def along(x=x, way=way, at=at):
            moved = [z + at * way if z is x else z for z in own]
            return np.sum(recurrence(*moved, state)[0] * dy)

        slope = central_differences(along, at, 1e-5)[0]
        assert np.sum(dx * way) == pytest.approx(slope, rel=1e-6, abs=1e-7 * np.max(np.abs(dx)))


@pytest.mark.parametrize("decay", [-np.inf, -1e30, -1000.0])
def test_what_keeps_nothing_has_no_slope_in_its_decay(decay):
    *own, state, dy = inputs(48, decay)
    *others, dlog, du = slopes(dy, chunked(*own, state, 16)[2])
    assert np.all(dlog == 0)
    assert all(np.all(np.isfinite(x)) for x in (*others, du))


def test_backward_twice_gives_the_same_and_leaves_its_input():
    *own, state, dy = inputs(48)
    _, _, cache = chunked(*own, state, 16)
    first, before = slopes(dy, cache), dy.copy()
    assert all(np.array_equal(a, b) for a, b in zip(slopes(dy, cache), first, strict=True))
    assert np.array_equal(dy, before)
