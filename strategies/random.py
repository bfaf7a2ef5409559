"""random: one to three fields, each by a step that makes sense for that field."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.random import Generator

from engine.config import SCHEDULES, Config
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
    rebatched,
    repaired,
    resized,
    width_rule,
)
from strategies.newcomers import SHARE, newcomer
from strategies.optimizers import drawn

MAX_FIELDS = 3
NEWCOMER = "newcomer"  # in place of a field in SHARE of all draws: one of NEWCOMERS
SMALLEST_STEP = 1.25
# field: (largest factor of a step, smallest and largest value a step may reach)
FACTORS: dict[str, tuple[float, float, float]] = {
    "lr": (2.5, 1e-8, 1.0), "weight_decay": (4.0, 1e-3, 2.0), "clip": (3.0, 0.05, 10.0),
    "warmup_frac": (3.0, 0.005, 0.3), "min_lr_frac": (3.0, 0.005, 0.5),
    "decay_frac": (2.0, 0.05, 0.7), "rope_base": (10.0, 100.0, 1e6),
}
CHOICES: dict[str, tuple[Any, ...]] = {
    "schedule": SCHEDULES, "tied": (False, True), "beta1": (0.8, 0.85, 0.9, 0.95),
    "beta2": (0.9, 0.95, 0.98, 0.99, 0.995),
}
# The optimizer and schedule come first: they decide which of the others have any effect.
FIELDS = ("optimizer", "schedule", "n_embd", "n_layer", "n_head", "n_hidden", "batch_size",
          "tied", "beta1", "beta2", *FACTORS)


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, rng), parent, history, limits, "random")


def _candidates(parent: Config, rng: Generator) -> Iterator[Change]:
    for _ in range(MAX_CANDIDATES):
        wanted = int(rng.integers(1, MAX_FIELDS + 1))
        drawn = sorted(int(i) for i in rng.permutation(len(FIELDS))[:wanted])
        config, notes = parent, ""
        names = [FIELDS[i] for i in drawn]
        if rng.random() < SHARE:
            names[-1] = NEWCOMER
        for step in (_step(config, name, rng) for name in names):
            changed = repaired(config, step.fields)
            touched = parent.difference(config).keys()
            fits = len(parent.difference(changed)) <= MAX_FIELDS
            if fits and changed != config and not touched & step.fields.keys():
                config, notes = changed, notes + step.why
        n_fields = len(parent.difference(config))
        plural = "" if n_fields == 1 else "s"
        fields = {name: getattr(config, name) for name in parent.difference(config)}
        yield Change(fields, f"a random step in {n_fields} field{plural}{notes}")


def _step(config: Config, name: str, rng: Generator) -> Change:
    """One field's step and a note on what goes with it; empty where the field has no effect."""
    if name == NEWCOMER:
        return Change(newcomer(config, rng), "")
    up = bool(rng.integers(2))
    if name == "optimizer":
        return _other_optimizer(config, rng)
    if name == "schedule" and config.optimizer == "schedule_free":
        return Change({}, "")
    if name in CHOICES:
        others = [value for value in CHOICES[name] if value != getattr(config, name)]
        return Change({name: others[int(rng.integers(len(others)))]}, "")
    if name in FACTORS:
        return _scaled(config, name, up, rng)
    return _reshaped(config, name, up)


def _reshaped(config: Config, name: str, up: bool) -> Change:
    if name == "n_embd":
        width = legal_width(config.n_embd * (1.25 if up else 0.8))
        return Change(resized(config, width, config.n_layer),
                      f"; learning rate {width_rule(config.optimizer)}")
    if name == "n_layer":
        return Change({"n_layer": max(1, config.n_layer + (1 if up else -1))}, "")
    if name == "n_head":
        return Change({"n_head": legal_heads(config.n_embd, config.n_head * (2 if up else 0.5))},
                      "")
    if name == "n_hidden":
        return Change({"n_hidden": legal_hidden(config.hidden * (1.5 if up else 0.67))}, "")
    return Change(rebatched(config, 2 if up else 0.5),
                  "; learning rate by the square root of the batch")


def _scaled(config: Config, name: str, up: bool, rng: Generator) -> Change:
    """A log-uniform factor on the field; a field at zero starts again from its default."""
    if config.canonical()[name] is None:
        return Change({}, "")
    largest, low, high = FACTORS[name]
    value = getattr(config, name)
    if value == 0:
        return Change({name: getattr(Config(), name)}, "")
    size = rng.uniform(math.log(SMALLEST_STEP), math.log(largest))
    return Change({name: float(min(max(value * math.exp(size if up else -size), low), high))}, "")


def _other_optimizer(config: Config, rng: Generator) -> Change:
    others = [name for name in drawn([config]) if name != config.optimizer]
    optimizer = others[int(rng.integers(len(others)))]
    if "lion" not in (optimizer, config.optimizer):
        return Change({"optimizer": optimizer}, "")
    factor = LION_FACTOR if optimizer == "lion" else 1 / LION_FACTOR
    fields = {"optimizer": optimizer, "lr": config.lr / factor,
              "weight_decay": config.weight_decay * factor}
    return Change(fields, f"; Lion takes 1/{LION_FACTOR:g} of AdamW's learning rate and "
                          f"{LION_FACTOR:g} times its weight decay")
