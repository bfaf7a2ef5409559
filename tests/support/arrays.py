"""What tests of layers share: arrays to feed them and how far results are off."""

import numpy as np
import pytest

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
