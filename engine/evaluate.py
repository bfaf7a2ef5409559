"""The protected yardstick: loss on a fixed validation slice, in nats per token and bits per byte.

A change to this file changes what every score means: it is a commit of its own (STYLE, section 9).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.config import EVAL_TOKENS
from engine.model import GPT, Flat
from engine.workspace import Array

Losses = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True)
class Score:
    """Mean loss over a slice."""

    nats: float  # a token
    bpb: float  # bits a byte of the text those tokens spell
    n_tokens: int


def score(losses: Losses, tokens: Array, n_bytes: int, seq_len: int) -> Score:
    """Mean loss of every token of the slice but the first, which is only context.

    losses   (B, T) inputs and targets → nats of every target
    tokens   (n,) the slice, always from its start
    n_bytes  bytes of text that tokens[1:] spell; separators spell none

    The slice is cut into consecutive windows of seq_len; the last may be shorter, so that every
    configuration is scored on exactly the same tokens whatever its window.
    """
    n = tokens.size - 1
    n_full = n // seq_len
    total = 0.0
    n_rows = max(1, EVAL_TOKENS // seq_len)
    for first in range(0, n_full, n_rows):
        rows = min(n_rows, n_full - first)
        start = first * seq_len
        total += _sum(losses, tokens[start : start + rows * seq_len + 1], rows)
    if n_full * seq_len < n:
        total += _sum(losses, tokens[n_full * seq_len :], 1)
    return Score(total / n, total / math.log(2) / n_bytes, n)


def _sum(losses: Losses, tokens: Array, n_rows: int) -> float:
    ids = tokens.astype(np.int32)
    nats = losses(ids[:-1].reshape(n_rows, -1), ids[1:].reshape(n_rows, -1))
    return float(np.sum(nats, dtype=np.float64))


def score_model(model: GPT, params: Flat, tokens: Array, n_bytes: int) -> Score:
    """Score of a GPT at the given parameters."""
    return score(lambda ids, targets: model.token_losses(params, ids, targets),
                 tokens, n_bytes, model.config.seq_len)
