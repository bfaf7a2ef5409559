"""efficiency: the same quality for less, by shape, batch, vocabulary or a shared head."""

import math
from collections.abc import Iterator, Sequence

from numpy.random import Generator

from engine.config import BOUNDS, Config
from strategies.base import (
    DEFAULT_LIMITS,
    Change,
    Limits,
    Outcome,
    Proposal,
    fresh,
    legal_width,
    rebatched,
    repaired,
    resized,
    shown_size,
    shuffled,
    width_rule,
)
from strategies.newcomers import fewer_key_heads

FEW_STEPS = 400  # of an optimizer: with so few each is worth more than a smoother gradient
EQUAL = 0.10  # parameter counts this close pass as equal


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, rng, limits), parent, history, limits, "efficiency")


def _candidates(parent: Config, rng: Generator, limits: Limits) -> Iterator[Change]:
    """Every kind of saving at its mild step, in drawn order, then the bold steps.

    Where the budget leaves few steps, more of them come before anything else.
    """
    layers, vocab = parent.n_layer, parent.vocab_size
    if parent.steps_for(limits.budget_tokens) < FEW_STEPS:
        yield from _batch(parent, 0.25)
        yield from _batch(parent, 0.5)
    mild = [*_wider(parent, layers - 1), *_batch(parent, 2), *_batch(parent, 0.5),
            *_vocabulary(vocab // 2, vocab, limits), *_tied(parent)]
    bold = [*_wider(parent, layers - 2), *_wider(parent, layers // 2), *_batch(parent, 4),
            *_batch(parent, 0.25), *_vocabulary(vocab * 3 // 4, vocab, limits),
            *_vocabulary(vocab // 4, vocab, limits), *_attention(parent)]
    yield from shuffled(mild, rng) + shuffled(bold, rng)


def _wider(parent: Config, n_layer: int) -> Iterator[Change]:
    """Fewer layers at the width that keeps the parameter count: larger matrices, fewer calls."""
    if n_layer < 1:
        return
    first = legal_width(parent.n_embd + 8)
    last = min(2 * parent.n_embd, int(BOUNDS["n_embd"][1]))
    changes = [resized(parent, width, n_layer) for width in range(first, last + 1)
               if width == legal_width(width) and width > parent.n_embd]
    if not changes:
        return
    sizes = [repaired(parent, fields).n_params for fields in changes]
    best = min(range(len(sizes)), key=lambda i: abs(sizes[i] - parent.n_params))
    if abs(sizes[best] / parent.n_params - 1) <= EQUAL:
        yield Change(changes[best], "wider and shallower at about equal parameters, "
                     f"{shown_size(parent.n_params)} → {shown_size(sizes[best])}; "
                     f"learning rate {width_rule(parent.optimizer)}")


def _batch(parent: Config, factor: float) -> Iterator[Change]:
    fields = rebatched(parent, factor)
    if fields:
        why = ("a bigger batch uses the processor better" if factor > 1
               else "a smaller batch gives more steps for the same tokens")
        yield Change(fields, f"{why}; learning rate by its square root, "
                             f"× {math.sqrt(fields['batch_size'] / parent.batch_size):.2g}")


def _vocabulary(wanted: int, vocab: int, limits: Limits) -> Iterator[Change]:
    size = min(max(wanted, limits.min_vocab, int(BOUNDS["vocab_size"][0])), limits.max_vocab)
    if size < vocab:
        yield Change({"vocab_size": size}, "a smaller vocabulary with its own tokenizer saves "
                     "embedding and head; bits per byte decides")


def _attention(parent: Config) -> Iterator[Change]:
    """Unmeasured here, so among the bold steps."""
    if fewer := fewer_key_heads(parent):
        saved = repaired(parent, {"n_kv_head": fewer}).n_params - parent.n_params
        yield Change({"n_kv_head": fewer}, "heads of queries that share keys and values save "
                     f"{shown_size(-saved)} of {shown_size(parent.n_params)} parameters")
    if parent.mixer == "attention" and not parent.qk_norm:
        yield Change({"qk_norm": True}, "normed queries and keys bear larger steps for next to "
                     "no work")


def _tied(parent: Config) -> Iterator[Change]:
    if not parent.tied:
        saved = parent.vocab_size * parent.n_embd
        yield Change({"tied": True}, "one matrix as embedding and head saves "
                     f"{shown_size(saved)} of {shown_size(parent.n_params)} parameters")
