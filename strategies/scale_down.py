"""scale_down: narrower or shallower by a step, the recipe carried along."""

from collections.abc import Iterator, Sequence

from numpy.random import Generator

from engine.config import Config
from strategies.base import (
    DEFAULT_LIMITS,
    Change,
    Limits,
    Outcome,
    Proposal,
    fresh,
    legal_width,
    resizes,
    shuffled,
)
from strategies.newcomers import fewer_key_heads, fewer_pairs


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, rng), parent, history, limits, "scale_down")


def _candidates(parent: Config, rng: Generator) -> Iterator[Change]:
    """One step narrower or shallower first; the large steps bring back a parent over a limit."""
    width, layers = parent.n_embd, parent.n_layer
    half = max(1, layers // 2)
    small = [(legal_width(width - 16), layers), (legal_width(width * 0.8), layers),
             (legal_width(width * 0.67), layers), (width, max(1, layers - 1)),
             (width, max(1, layers - 2))]
    large = [(legal_width(width * 0.8), max(1, layers - 1)), (legal_width(width * 0.5), layers),
             (width, half), (legal_width(width * 0.5), half), (legal_width(width * 0.25), layers),
             (legal_width(width * 0.25), half)]
    yield from resizes(parent, shuffled(small, rng) + shuffled(large, rng),
                       "more tokens for each parameter")
    if parent.bigram_buckets:
        yield Change({"bigram_buckets": fewer_pairs(parent)},
                     "more tokens for each row of the table of pairs")
    if fewer := fewer_key_heads(parent):
        yield Change({"n_kv_head": fewer}, "more tokens for each parameter of keys and values")
