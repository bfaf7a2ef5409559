"""How much a training holds in memory: what a Config foresees of its own run.

Without numpy, so that a Config can be read without it.
"""

import math
from typing import TYPE_CHECKING

from engine.blocks import attention_blocks

if TYPE_CHECKING:
    from engine.config import Config

EVAL_TOKENS = 1024  # rows of one evaluation pass: decides memory, not the score's meaning
EVAL_LOGITS = 1 << 20  # evaluation computes the head in row blocks of at most so many logits


def workspace_floats(config: "Config", n_rows: int) -> int:
    """Entries of every buffer that a step on n_rows sequences and an evaluation take.

    Counts what attention.py, layers.py and gpt.py ask a Workspace for; a test holds the two
    equal.
    """
    c, f, v, time = config.n_embd, config.hidden, config.vocab_size, config.seq_len
    n_eval_rows = max(1, EVAL_TOKENS // time)
    n, n_eval = n_rows * time, n_eval_rows * time
    both = max(n, n_eval)  # what evaluation shares with training
    block = _block(config)
    kept = (config.n_layer - 1) * n * block + both * block
    rotated = c + config.kv_width
    # Stream, final norm, a branch, h and the halves of a rotation, one of which backward uses.
    passing = both * (4 * c + 1 + f + rotated // 2) + max(n * c, both * rotated // 2)
    logits = n * v + min(n_eval, max(1, EVAL_LOGITS // v)) * v
    backward = n * (2 * c + config.kv_width + max(rotated + config.kv_width, 2 * f)
                    + config.head_size + config.n_head + 1) + c
    scores, mixed, sums = _attention(config, n_rows)
    eval_scores, eval_mixed, _ = _attention(config, n_eval_rows)
    attention = scores + max(scores, eval_scores) + max(mixed, eval_mixed)
    if config.grad_accum > 1:  # the product that is added to a gradient
        sums = max(sums, *(math.prod(shape) for shape in config.shapes().values()
                           if len(shape) == 2))
    return kept + passing + logits + backward + attention + sums


def _block(config: "Config") -> int:
    """Entries a token that one block keeps for backward."""
    c = config.n_embd
    norm, qkv, attention = 2 * c + 1, c + 2 * config.kv_width, c + config.n_head
    return 2 * norm + qkv + attention + 3 * config.hidden


def _attention(config: "Config", n_rows: int) -> tuple[int, int, int]:
    """Largest scores, outputs and sums over earlier keys of any block of queries."""
    time = config.seq_len
    sizes = [(rows.stop - rows.start, times.stop - times.start, times.stop)
             for rows, times in attention_blocks(n_rows, config.n_head, time, 0)]
    is_added = config.n_head != config.kv_heads  # what the queries of a group say of their key
    return (max(rows * config.n_head * queries * keys for rows, queries, keys in sizes),
            max(rows * config.n_embd * queries for rows, queries, _ in sizes),
            max(rows * config.kv_width * keys * (keys < time or is_added)
                for rows, _, keys in sizes))
