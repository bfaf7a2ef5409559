"""The protected yardstick: loss on a fixed validation slice, in nats per token and bits per byte.

A change to this file changes what every score means: it is a commit of its own (STYLE, section 9).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.config import EVAL_TOKENS
from engine.model import GPT, Array, Flat

Losses = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True)
class Score:
    """Mean loss over a slice."""

    nats: float  # a token
    bpb: float  # bits a byte of the text those tokens spell
    n_tokens: int
    # Of all tokens of each block; empty where none are asked.
    block_bits: tuple[float, ...] = field(default=(), repr=False)


Window = tuple[int, int, int]  # first token, rows, tokens a row


def windows(n_tokens: int, seq_len: int) -> list[Window]:
    """The forward passes that score a slice, each token but the first exactly once.

    Consecutive rows of seq_len tokens; the last row may be shorter, so that every configuration
    is scored on the same tokens whatever its window.
    """
    n = n_tokens - 1
    n_full, n_rows = n // seq_len, max(1, EVAL_TOKENS // seq_len)
    found = [(row * seq_len, min(n_rows, n_full - row), seq_len)
             for row in range(0, n_full, n_rows)]
    if n_full * seq_len < n:
        found.append((n_full * seq_len, 1, n - n_full * seq_len))
    return found


def nats_in(losses: Losses, tokens: Array, window: Window) -> Array:
    """The losses of one window's targets, (n,)."""
    start, n_rows, n_time = window
    ids = tokens[start : start + n_rows * n_time + 1].astype(np.int32)
    return losses(ids[:-1].reshape(n_rows, -1), ids[1:].reshape(n_rows, -1))


def sum_nats(nats: Array) -> float:
    """Sum of losses, in double."""
    return float(np.sum(nats, dtype=np.float64))


def sum_blocks(nats: Array, window: Window, edges: Sequence[int]) -> Array:
    """Sums of one window's losses by block (n_blocks,), in double; 0 for blocks elsewhere.

    edges  of the blocks among the targets of the slice, rising; n_blocks + 1
    """
    start, stop = window[0], window[0] + nats.size
    first = int(np.searchsorted(edges, start, "right")) - 1
    last = int(np.searchsorted(edges, stop, "left"))
    found = np.zeros(len(edges) - 1)
    found[first:last] = np.add.reduceat(nats.astype(np.float64), np.maximum(
        np.subtract(edges[first:last], start), 0))
    return found


def score_of(totals: Sequence[float], n_tokens: int, n_bytes: int,
             by_block: Array | None = None) -> Score:
    """The score from the totals of all windows, added in their order whoever computed them.

    by_block  (windows, n_blocks) what sum_blocks found in each
    """
    total, n = sum(totals), n_tokens - 1
    bits = () if by_block is None else (np.sum(by_block, axis=0) / math.log(2)).tolist()
    return Score(total / n, total / math.log(2) / n_bytes, n, tuple(bits))


def score(losses: Losses, tokens: Array, n_bytes: int, seq_len: int) -> Score:
    """Mean loss of every token of the slice but the first, which is only context.

    losses   (B, T) inputs and targets → nats of every target
    tokens   (n,) the slice, always from its start
    n_bytes  bytes of text that tokens[1:] spell; separators spell none
    """
    totals = [sum_nats(nats_in(losses, tokens, window))
              for window in windows(tokens.size, seq_len)]
    return score_of(totals, tokens.size, n_bytes)


def score_model(model: GPT, params: Flat, tokens: Array, n_bytes: int) -> Score:
    """Score of a GPT at the given parameters."""
    return score(lambda ids, targets: model.token_losses(params, ids, targets),
                 tokens, n_bytes, model.config.seq_len)
