"""Every tensor and gradient of the network is what its plain form gives, in double."""

import dataclasses

import numpy as np
import pytest

from engine.config import Config
from engine.model import GPT, Flat, init_params
from engine.trace.kept import EXPECTED, GRADIENTS, rows_of
from engine.trace.watch import Watched

CONFIG = Config(n_embd=16, n_layer=2, n_head=4, n_kv_head=2, vocab_size=260, seq_len=11)
WRONG = 1e-6  # far below what a single precision would leave
SLOPES = {"dnorm1"}  # of RWKV, which is compared with a slope


@pytest.mark.parametrize("changes", [{}, {"tied": True, "n_kv_head": None},
                                     {"mixer": "rwkv", "n_kv_head": None},
                                     {"qk_norm": True, "bigram_buckets": 40},
                                     {"residual_scalars": True, "bigram_buckets": 7, "tied": True},
                                     {"residual_scalars": True, "mixer": "rwkv",
                                      "n_kv_head": None}],
                         ids=["groups", "tied", "rwkv", "normed heads", "scalars", "both"])
def test_what_a_model_computes_is_what_the_plain_layers_give(changes: dict[str, object]) -> None:
    config = dataclasses.replace(CONFIG, **changes)
    rng, params = np.random.default_rng(0), init_params(config, 0, np.float64)
    for view in params.views.values():
        view *= 1 + 0.3 * rng.standard_normal(view.shape) if view.ndim == 1 else 10
    for name, view in params.views.items():  # what begins as nothing, and would hide all else
        if name == "bigram" or name.endswith("residual"):
            view += 0.3 * rng.standard_normal(view.shape)
    ids = rng.integers(0, 260, 12)
    model, grads = GPT(config, np.float64), Flat.empty(config, np.float64)
    watched = Watched(config, params, ids[:-1], ids[1:])
    model.watch = watched
    model.loss_and_gradient(params, grads, ids[None, :-1], ids[None, 1:])
    kept, n_told = watched._kept, 0
    for (block, tensor), actual in kept.tensors.items():
        if tensor in EXPECTED and not (tensor in SLOPES and config.mixer == "rwkv"):
            expected, n_told = EXPECTED[tensor](kept, block), n_told + 1
            assert np.max(np.abs(actual - expected)) <= WRONG * np.max(np.abs(expected)), tensor
    assert n_told > 20
    for name, rule in GRADIENTS.items():
        block = 1 if f"block1.{name}" in grads.views else -1
        view = grads.views.get(f"block1.{name}" if block > 0 else name)
        if view is not None and not (name == "head" and config.tied):
            actual = view[rows_of(kept, name)]
            expected = rule(kept, block)
            assert np.max(np.abs(actual - expected)) <= WRONG * np.max(np.abs(expected)), name
    watched.gradients(grads)
    assert [one for one in watched.seen if one.deviation] == []
