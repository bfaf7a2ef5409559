"""The plain layers by what is known of them, and their gradients by slopes."""

import math

import numpy as np

from engine.config import Config
from engine.trace import plain

CONFIG = Config(n_embd=8, n_layer=1, n_head=2, vocab_size=300, seq_len=6)
RNG = np.random.default_rng(0)


def test_a_norm_has_size_1_and_its_gradient_is_its_slope(central_differences) -> None:
    x, gain, dy = RNG.standard_normal((3, 4, 6))
    y = plain.norm(x, np.ones(6))
    assert np.allclose(np.mean(y * y, axis=1), 1.0, atol=1e-5)
    slope = central_differences(lambda: np.sum(dy * plain.norm(x, gain[0])), x, 1e-6)
    assert np.allclose(plain.norm_backward(x, gain[0], dy), slope, atol=1e-7)


def test_swiglu_is_silu_times_its_other_half(central_differences) -> None:
    x, dh = RNG.standard_normal((6, 4)), RNG.standard_normal((3, 4))
    assert np.allclose(plain.swiglu(x), x[:3] / (1 + np.exp(-x[:3])) * x[3:])
    slope = central_differences(lambda: np.sum(dh * plain.swiglu(x)), x, 1e-6)
    assert np.allclose(plain.swiglu_backward(x, dh), slope, atol=1e-7)


def test_a_gate_that_is_shut_lets_through_what_double_can_tell() -> None:
    x = np.array([-700.0, -80.0, -40.0, -36.0, -20.0, -1.0, 0.0, 1.0, 40.0, 700.0])
    wanted = [math.exp(one) / (1 + math.exp(one)) for one in x[:-3]] + [
        1 / (1 + math.exp(-one)) for one in x[-3:]]
    assert np.allclose(plain.sigmoid(x), wanted, rtol=1e-14, atol=0)
    assert plain.sigmoid(np.float32([-80.0, 80.0])).dtype == np.float32


def test_attention_sees_nothing_that_comes_later_and_its_gradient_is_its_slope(
        central_differences) -> None:
    qkv, dmixed = RNG.standard_normal((24, 6)), RNG.standard_normal((8, 6))

    def mixed() -> np.ndarray:
        return plain.attention(plain.scores(qkv, CONFIG), plain.heads(qkv, CONFIG)[2])

    before = mixed()
    assert np.allclose(before[:, 0], qkv[16:, 0])  # the first sees itself alone
    slope = central_differences(lambda: np.sum(dmixed * mixed()), qkv, 1e-6)
    assert np.allclose(plain.attention_backward(qkv, dmixed, CONFIG), slope, atol=1e-7)
    qkv[:, 5] += 1.0
    assert np.array_equal(mixed()[:, :5], before[:, :5])


def test_scores_depend_on_how_far_apart_two_tokens_are_alone() -> None:
    qkv = np.repeat(RNG.standard_normal((24, 1)), 6, axis=1)
    s = plain.scores(qkv, CONFIG)
    assert np.allclose(s[:, 2, 1], s[:, 5, 4])
    assert not np.allclose(s[:, 2, 1], s[:, 4, 1])


def test_a_state_that_decays_at_once_leaves_a_token_its_own_value() -> None:
    r, k, v = RNG.standard_normal((3, 5, 8))
    y = plain.wkv(r, k, v, np.zeros((5, 8)), np.zeros(8), 2)
    pair = np.sum((r[1:] * k[:-1]).reshape(4, 2, 4), axis=2, keepdims=True)
    told = pair * v[:-1].reshape(4, 2, 4)
    told -= np.mean(told, axis=2, keepdims=True)
    told /= np.sqrt(np.mean(told**2, axis=2, keepdims=True) + plain.RWKV_EPS)
    assert np.allclose(y[1:], told.reshape(4, 8))
    assert np.allclose(y[0], 0.0)
