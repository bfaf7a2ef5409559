"""Models of every shape that an export has to get right, and texts that programs cut differently.

Weights are many times as large as at initialisation and gains are not 1, so that a matrix that is
turned, permuted or mixed up with another changes the logits by whole nats.
"""

import functools
from typing import Any

import numpy as np

from engine.config import Config
from engine.export import Whole
from engine.model import init_params
from engine.text.stories.write import write_stories
from engine.text.tokenizer import Tokenizer

SCALE = 6.0
ACROSS = [(b"a", b" "), (b"a", b"1"), (b"1", b"a"), (b"!", b"a"), (b"e", b"\n"), (b"\n", b"a"),
          (b"1", b" "), (b"_", b"_"), (b"a", b"'"), (b" ", b"\n"), (b"\t", b"x"), (b" ", b"\t"),
          (b"\xad", b"\xe5"), (b"\xef", b"\xbc")]
ODD = [
    "a  b   c    d", "  two before", "two after  ", "\n", "\n\n\n", "a\n\n b\r\n\tc \n ", "\t\t x",
    " ", "     ", "I'll say we've don't 'quoted' it's", "1234567890 3.14 ²³ Ⅷ ㊿ ½",
    "你好，世界。今天天气很好。", "日本語 と 한국어 и русский", "مرحبا بالعالم",
    "é e\u0301 ñ ß İ ı",
    "🎉🎉 a \U0001f469\u200d\U0001f467 b \U0001f1e9\U0001f1ea", "x\u00a0y\u2003z\u3000w",
    "\u200bzero\u200dwidth", "snake_case __init__(self)", "!!!???... --- ***", "\x00\x01\x7f",
    "a 1a a1 1 a!a e\na 'a' \n\t", "<s> [INST] </s> <unk>", "ends with a space ", "_ __ _a_"]


@functools.cache
def tokenizer(vocab_size: int) -> Tokenizer:
    """Merges of stories and odd texts; beyond those, pairs of tokens that no text has made.

    The first of these reach over what parts words, so that a program that cuts texts elsewhere, or
    not at all, uses them.
    """
    texts = [*write_stories(60, seed=3), *(ODD * 3)]
    n_trained = min(vocab_size, 900)
    merges = list(Tokenizer.train(texts, n_trained).merges)
    tokens = list(Tokenizer(merges).token_bytes)
    known, rng = set(tokens), np.random.default_rng(0)
    across = [tuple(tokens.index(part) for part in pair) for pair in ACROSS]
    while len(tokens) < vocab_size:
        left, right = across.pop() if across else map(int, rng.integers(1, 500, 2))
        if tokens[left] + tokens[right] not in known:
            merges.append((left, right))
            tokens.append(tokens[left] + tokens[right])
            known.add(tokens[-1])
    return Tokenizer(merges)


def a_model(seed: int = 0, **fields: Any) -> Whole:
    """A small model with such fields."""
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_hidden": 44, "vocab_size": 300,
             "seq_len": 64} | fields
    config = Config(**shape)
    params, rng = init_params(config, seed), np.random.default_rng([seed, 7])
    for view in params.views.values():
        view *= SCALE if view.ndim == 2 else rng.uniform(0.5, 1.5, view.shape)
    return Whole(config, params, tokenizer(config.vocab_size))


def texts(n: int = 50) -> list[str]:
    """Odd ones first, then beginnings of stories."""
    stories = write_stories(max(0, n - len(ODD)), seed=11)
    return [*ODD, *(story[: 40 + 5 * i] for i, story in enumerate(stories))][:n]
