"""sequence_length: longer or shorter windows at about the same tokens in a step."""

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.random import Generator

from engine.config import BOUNDS, Config
from strategies.base import (
    DEFAULT_LIMITS,
    Change,
    Limits,
    Outcome,
    Proposal,
    fresh,
    repaired,
    shuffled,
)

NAME = "sequence_length"
LONGER = (2.0, 1.5, 3.0, 4.0)
CLOSE = 0.25  # tokens a step may drift by this part before a candidate goes to the back


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, history, rng), parent, history, limits, NAME)


def _candidates(parent: Config, history: Sequence[Outcome], rng: Generator) -> Iterator[Change]:
    """Factors of the direction that has lost less often first, exact fits before rough ones."""
    directions = shuffled([True, False], rng)
    directions.sort(key=lambda longer: _losses(parent, history, longer))
    factors = [f if longer else 1 / f for longer in directions for f in LONGER]
    changes = [_windows(parent, factor) for factor in factors]
    configs = [repaired(parent, fields) for fields in changes]
    drift = [abs(c.tokens_per_step / parent.tokens_per_step - 1) for c in configs]
    for rough in (False, True):
        for fields, config, part in zip(changes, configs, drift, strict=True):
            if (part > CLOSE) == rough and part <= 1:
                longer = config.seq_len > parent.seq_len
                why = "more context for each token" if longer else "more windows in a step"
                yield Change(fields, f"{why} at {config.tokens_per_step:,} tokens a step "
                                     f"(was {parent.tokens_per_step:,})")


def _losses(parent: Config, history: Sequence[Outcome], longer: bool) -> int:
    """How many of this strategy's proposals on that side of the parent were discarded."""
    return sum(
        o.strategy == NAME and o.verdict == "discarded" and o.config.seq_len != parent.seq_len
        and (o.config.seq_len > parent.seq_len) == longer
        for o in history)


def _windows(parent: Config, factor: float) -> dict[str, Any]:
    """Fields for windows of another length; what the batch cannot balance, accumulation does."""
    low, high = BOUNDS["seq_len"]
    step = 8 if parent.seq_len * factor >= 16 else 1
    seq_len = int(min(max(round(parent.seq_len * factor / step) * step, low), high))
    windows = round(parent.batch_size * parent.seq_len / seq_len)
    batch_size = min(max(windows, 1), int(BOUNDS["batch_size"][1]))
    passes = round(parent.tokens_per_step / (batch_size * seq_len))
    return {"seq_len": seq_len, "batch_size": batch_size, "grad_accum": max(1, passes)}
