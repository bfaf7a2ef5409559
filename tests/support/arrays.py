"""What tests of layers and of whole models share: what they are fed and how far results are off."""

import numpy as np
import pytest

from engine.model.gpt import GPT, Flat, init_params
from engine.model.workspace import Workspace

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


# --- whole models ----------------------------------------------------------------------------


def lively(config, seed, dtype=np.float64):
    """Parameters far enough from zero that attention is not uniform and no gradient vanishes."""
    params = init_params(config, seed, dtype)
    params.buffer[...] += 0.4 * np.random.default_rng(seed).standard_normal(config.n_params)
    return params


def batch(config, seed, n_batch=2):
    rng = np.random.default_rng([seed, 5])
    ids = rng.integers(0, config.vocab_size, (n_batch, config.seq_len + 1), dtype=np.int32)
    ids[:, 0] = ids[0, 2]  # a repeated token: its embedding gradients add up
    return ids[:, :-1], ids[:, 1:]


def worst(got, want):
    """Largest difference in each array, as a share of the largest entry wanted there."""
    return {name: error(got[name], want[name]) for name in want}


def backward_leaves_and_adds(config, params, ids, targets):
    """Holds that backward leaves its cache as it was, and that two halves of a batch are it all."""
    model, whole = GPT(config, np.float64), Flat.empty(config, np.float64)
    _, cache = model.loss(params, ids, targets)
    model.backward(params, whole, cache)
    first = whole.buffer.copy()
    model.backward(params, whole, cache)
    assert np.array_equal(whole.buffer, first)
    halves, n = Flat.empty(config, np.float64), len(ids) // 2
    for i, rows in enumerate((slice(0, n), slice(n, 2 * n))):
        model.loss_and_gradient(params, halves, ids[rows], targets[rows], share=0.5,
                                accumulate=i > 0)
    assert max(worst(halves.views, whole.views).values()) < 1e-12
