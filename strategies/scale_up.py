"""scale_up: wider or deeper by a step, the recipe carried along."""

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
from strategies.newcomers import more_pairs


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, rng), parent, history, limits, "scale_up")


def _candidates(parent: Config, rng: Generator) -> Iterator[Change]:
    """One step wider or deeper before both at once, and either before a doubling; last a table."""
    width, layers = parent.n_embd, parent.n_layer
    small = [(legal_width(width + 16), layers), (legal_width(width * 1.25), layers),
             (legal_width(width * 1.5), layers), (width, layers + 1), (width, layers + 2)]
    large = [(legal_width(width * 1.25), layers + 1), (legal_width(width * 1.5), layers + 1),
             (legal_width(width * 2), layers), (width, layers * 2),
             (legal_width(width * 2), layers * 2)]
    yield from resizes(parent, shuffled(small, rng) + shuffled(large, rng), "more capacity")
    yield Change({"bigram_buckets": more_pairs(parent)},
                 "more capacity, for pairs of tokens, that costs memory and next to no work")
