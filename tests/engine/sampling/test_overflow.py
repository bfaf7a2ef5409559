"""Weights that ran away: text or a sentence, and no warning, which pytest makes an error."""

from typing import Any

import numpy as np
import pytest

from engine.config import Config
from engine.errors import Diverged
from engine.model import GPT, Flat, init_params
from engine.sampling import Sampling, continuations
from engine.training.evaluate import score_model

CONFIG = Config(n_embd=16, n_layer=2, n_head=2, vocab_size=257, seq_len=16, batch_size=2)
PROMPTS = [[1, 2, 3], [4, 5, 6, 7]]


def grown(factor: float, name: str) -> Flat:
    params = init_params(CONFIG, 0)
    for key, view in params.views.items():
        if name in key:
            with np.errstate(over="ignore"):
                view *= np.float32(factor)
    return params


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e9, 1e18, 1e30, 1e38, np.inf, np.nan])
@pytest.mark.parametrize("name", ["attn.qkv", "attn", "mlp", "embed", "gain", "head", ""])
def test_sampling_and_scoring_say_nothing_of_an_overflow(factor: float, name: str) -> None:
    model, params = GPT(CONFIG), grown(factor, name)
    found: Any = None
    try:
        found = continuations(model, params, PROMPTS, 20, np.random.default_rng(0), eot_id=0,
                              sampling=Sampling())
    except Diverged as error:
        found = str(error)
    assert "NaN or infinity" in found or len(found) == len(PROMPTS)
    tokens = np.arange(60, dtype=np.uint16)
    score_model(model, params, tokens, 60)
    ids = np.array(PROMPTS[1:], np.int32)
    model.logits(params, ids)
    model.loss_and_gradient(params, init_params(CONFIG, 1), ids, ids)
