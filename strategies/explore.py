"""explore: bold moves of several fields at once, near the best results or anywhere in the space.

What it yields is meant to be ranked by a model of all results (agent/search/advisor.py); asked by
itself it proposes the first move that fits.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numpy.random import Generator

from engine.config import SCHEDULES, Config
from engine.errors import ConfigError
from strategies.base import (
    DEFAULT_LIMITS,
    LION_FACTOR,
    MAX_CANDIDATES,
    Change,
    Limits,
    Outcome,
    Proposal,
    fresh,
    legal_heads,
    legal_hidden,
    legal_width,
    repaired,
    resized,
    scores,
)
from strategies.newcomers import SHARE, newcomer
from strategies.optimizers import drawn

N_BEST = 5  # results that moves start from
MOST_FIELDS = 5  # of a move
SIZES = (0.1, 0.3, 0.8)  # of a move: standard deviation of the logarithm of a width
FASTER = 1.5  # fields of the recipe move so much farther than the shape
# Ends that a move does not pass; what is beyond already stays.
ENDS = {"lr": (1e-4, 3e-2), "weight_decay": (0.01, 1.0), "clip": (0.25, 4.0),
        "warmup_frac": (0.005, 0.2), "min_lr_frac": (0.01, 0.5), "decay_frac": (0.1, 0.7),
        "n_embd": (16, 512), "n_layer": (1, 12), "batch_size": (1, 128), "seq_len": (8, 512)}
MOMENTA = {"beta1": (0.03, 0.3), "beta2": (0.01, 0.1)}  # by 1 − value
CHOICES: dict[str, tuple[Any, ...]] = {"schedule": SCHEDULES, "tied": (False, True)}


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, history, rng, limits), parent, history, limits, "explore")


def _candidates(parent: Config, history: Sequence[Outcome], rng: Generator,
                limits: Limits) -> Iterator[Change]:
    best = [s.config for s in scores(history, limits.budget_tokens)[:N_BEST] if s.has_finished]
    starts = [parent, *best]
    for _ in range(MAX_CANDIDATES):
        start = starts[int(rng.integers(len(starts)))]
        moved = move(start, rng, SIZES[int(rng.integers(len(SIZES)))])
        if rng.random() < SHARE:
            moved = repaired(moved, newcomer(moved, rng))
        fields = {name: getattr(moved, name) for name in parent.difference(moved)}
        yield Change(fields, "a bold move of several fields at once")


def move(start: Config, rng: Generator, size: float) -> Config:
    """The start with one to MOST_FIELDS fields moved; itself where nothing legal came of it.

    size  standard deviation of the logarithm by which a width moves
    """
    config = start
    for i in rng.permutation(len(_FIELDS))[:int(rng.integers(1, MOST_FIELDS + 1))]:
        name = _FIELDS[int(i)]
        step = _STEPS.get(name, _scaled)
        try:
            config = repaired(config, step(config, name, rng, size))
        except ConfigError:  # heads that do not divide, a head of odd size
            continue
    return _without_inert(start, config)


def _without_inert(start: Config, config: Config) -> Config:
    """The configuration with the start's values in fields that have no effect in it."""
    known, is_averaged = config.canonical(), config.optimizer == "schedule_free"
    return repaired(config, {name: getattr(start, name) for name in start.difference(config)
                             if known[name] is None or (name == "schedule" and is_averaged)})


Fields = dict[str, Any]


def _scaled(config: Config, name: str, rng: Generator, size: float) -> Fields:
    value, (low, high) = getattr(config, name), ENDS[name]
    factor = math.exp(FASTER * size * float(rng.normal()))
    found = max(min(value, low), min(max(value, high), max(value, low) * factor))
    if not isinstance(value, int):
        return {name: found}
    whole = round(found)
    return {name: round(whole / 8) * 8 if name == "seq_len" and whole > 16 else max(1, whole)}


def _width(config: Config, name: str, rng: Generator, size: float) -> Fields:
    low, high = ENDS[name]
    wanted = config.n_embd * math.exp(size * float(rng.normal()))
    width = legal_width(max(min(config.n_embd, low), min(max(config.n_embd, high), wanted)))
    return resized(config, width, config.n_layer)


def _layers(config: Config, name: str, rng: Generator, size: float) -> Fields:
    step = round(config.n_layer * math.exp(size * float(rng.normal()))) - config.n_layer
    step = step or (1 if rng.integers(2) else -1)
    return {name: max(1, config.n_layer + step)}


def _momentum(config: Config, name: str, rng: Generator, size: float) -> Fields:
    low, high = MOMENTA[name]
    rest = 1 - getattr(config, name)
    factor = math.exp(FASTER * size * float(rng.normal()))
    return {name: 1 - max(min(rest, low), min(max(rest, high), rest * factor))}


def _hidden(config: Config, name: str, rng: Generator, size: float) -> Fields:
    return {name: legal_hidden(config.hidden * math.exp(size * float(rng.normal())))}


def _heads(config: Config, name: str, rng: Generator, size: float) -> Fields:
    return {name: legal_heads(config.n_embd, config.n_head * (2 if rng.integers(2) else 0.5))}


def _choice(config: Config, name: str, rng: Generator, size: float) -> Fields:
    options = CHOICES[name]
    return {name: options[int(rng.integers(len(options)))]}


def _optimizer(config: Config, name: str, rng: Generator, size: float) -> Fields:
    """Another optimizer with the rate and the weight decay that are the same step for it."""
    options = drawn([config])
    found = options[int(rng.integers(len(options)))]
    ratio = (LION_FACTOR if found == "lion" else 1.0) / (
        LION_FACTOR if config.optimizer == "lion" else 1.0)
    return {name: found, "lr": config.lr / ratio, "weight_decay": config.weight_decay * ratio}


_STEPS: dict[str, Callable[[Config, str, Generator, float], Fields]] = {
    "n_embd": _width, "n_layer": _layers, "beta1": _momentum, "beta2": _momentum,
    "n_hidden": _hidden, "n_head": _heads, "optimizer": _optimizer, "schedule": _choice,
    "tied": _choice}
_FIELDS = tuple(dict.fromkeys((*ENDS, *_STEPS)))
