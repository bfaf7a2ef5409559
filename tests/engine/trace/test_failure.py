"""Failures that leave every number finite but the sum of their squares."""

import math

import numpy as np
import pytest

from engine.config import Config
from engine.errors import Diverged
from engine.trace.failure import failure_of
from engine.trace.judge import judge
from engine.training import Texts, Trainer

CONFIG = Config(n_embd=16, n_layer=1, n_head=2, vocab_size=300, seq_len=8, batch_size=2)
TOKENS = (np.arange(300) * 7 % 300).astype(np.uint16)


def test_a_gradient_too_large_to_be_summed_is_named() -> None:
    run = Trainer(CONFIG, 0, 9, Texts(TOKENS, TOKENS, 300))
    run.params.views["norm.gain"][...] = 1e25  # all of them, and finite
    with pytest.raises(Diverged):
        run.advance()
    now = failure_of(run)
    assert now.norm_is_over
    assert math.isfinite(now.weights_rms)
    found = judge(CONFIG, now, None)
    assert (found.step, found.direction) == (1, "backward")
    assert "whose squares are over the largest number" in found.what
