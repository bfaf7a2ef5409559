"""What held-out pairs say before and after; intervals and divergences."""

import numpy as np

from engine.alignment.measure import divergence, mean_of, of_pairs
from engine.alignment.pairs import Pair, batch_of, spell
from engine.config import Config
from engine.model.gpt import GPT, init_params
from engine.text import Tokenizer

CONFIG = Config(n_embd=16, n_layer=1, n_head=1, n_hidden=16, vocab_size=257, seq_len=32)
START = init_params(CONFIG, 0)


def test_the_divergence_is_that_of_the_whole_vocabulary():
    other, gpt = init_params(CONFIG, 5), GPT(CONFIG)
    batch = batch_of(spell(Pair("0?", " yes", " nope"), Tokenizer([]), 32), 32, 0)
    assert np.abs(divergence(gpt, other, other, batch)).max() == 0.0
    p, q = (np.exp(gpt.logits(point, batch.ids).astype(np.float64))
            for point in (other, START))
    p, q = (x / x.sum(-1, keepdims=True) for x in (p, q))
    expected = (p * np.log(p / q)).sum(-1)[batch.is_scored]
    assert np.abs(divergence(gpt, other, START, batch) - expected).max() < 1e-6


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    found = [mean_of("x", 1, (rng.random(60) < 0.7).astype(float)) for _ in range(60)]
    assert sum(one.low <= 0.7 <= one.high for one in found) >= 51
    assert mean_of("x", 1, np.ones(1)).low is None
    same = np.array([[-1.0, -2.0], [-2.0, -1.0]] * 10)
    change = {one.name: one for one in of_pairs(9, same, same, 0.1)}
    assert (change["accuracy change"].low, change["accuracy change"].high) == (0.0, 0.0)
    assert change["win rate"].value == 0.0
