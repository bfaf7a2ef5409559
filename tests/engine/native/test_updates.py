"""Updates by kernels are those of the optimizers; test_layers.py holds their rounding."""

import numpy as np
import pytest

from engine.config import OPTIMIZERS, Config
from engine.model import init_params
from engine.native import NUMPY
from engine.training import make_optimizer


@pytest.mark.parametrize("is_cautious", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_three_updates_end_where_numpys_end(optimizer, is_cautious, kernels):
    config = Config(n_embd=16, n_layer=1, n_head=2, vocab_size=300, optimizer=optimizer,
                    cautious_decay=is_cautious)
    ends = []
    for one in (NUMPY, kernels):
        params, rule = init_params(config, 0), make_optimizer(config, kernels=one)
        rng = np.random.default_rng(0)
        for _ in range(3):
            grads = rng.standard_normal(config.n_params).astype(np.float32)
            rule.update(params, grads, 1e-2, 0.5, slice(0, config.n_params))
        ends.append([params.buffer, *rule.slots.values()])
    for plain, found in zip(*ends, strict=True):
        assert np.max(np.abs(plain - found)) <= 2e-6 * max(1.0, float(np.max(np.abs(plain))))
