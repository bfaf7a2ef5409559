"""The space of the table as a unit cube: points to configurations and back, and draws from it.

Its columns are the axes and settled choices of strategies/tpe.py and four fields that the other
mutators reach: heads, hidden width, rope base and accumulated passes, which keep their defaults
over the first two thirds of their column. Fields that are younger than the table's first runs stay
as they were: what a sequence of Sobol's gives does not hang on what the engine learns later.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from engine.config import Config
from engine.errors import ConfigError
from strategies import tpe
from strategies.base import Limits, legal_heads, legal_hidden, repaired, why_not
from tests.bench.arms import course

Array = np.ndarray[Any, np.dtype[np.float64]]

START = replace(course.START, data_order="linear")  # as the table's first runs read their text
EXTRAS = ("n_head", "n_hidden", "rope_base", "grad_accum")
N_CHOICES = tpe.N_CHOICES[:tpe.N_SETTLED - tpe.N_AXES]
FIRST_EXTRA = tpe.N_SETTLED
N_COLUMNS = FIRST_EXTRA + len(EXTRAS)
DEFAULT_PART = 2 / 3  # of an extra's column

HEAD_SIZES = (16, 24, 48, 64)  # START's is 32
HIDDEN_RATIOS = (1.0, 8.0)  # to the width, a logarithmic line; START's is 4
ROPE_BASES = (100.0, 1e6)  # likewise
ACCUMULATED = (2, 4)

# Recipes a person would not laugh at: a box in the axes' own values, momenta as 1 − value.
SENSIBLE: dict[str, tuple[float, float]] = {
    "lr": (8e-4, 1.2e-2), "weight_decay": (0.02, 0.4), "clip": (0.5, 2.5),
    "warmup_frac": (0.01, 0.12), "min_lr_frac": (0.01, 0.3), "decay_frac": (0.15, 0.6),
    "beta1": (0.05, 0.2), "beta2": (0.01, 0.08), "n_embd": (40, 112), "n_layer": (1, 4.4),
    "batch_size": (2, 10), "seq_len": (24, 200)}

ONE_STEP = 0.5  # of the mutations: of one or two fields, as a mutator's; the others of all
SMALLEST, LARGEST = 0.05, 0.15  # standard deviation of a step, in parts of an axis
FLIPPED = 0.15  # probability that a mutation of all fields draws a choice anew
SOBOL_BLOCK = 512
MAX_TRIES = 2000


# --- points and configurations ---------------------------------------------------------------


def config_of(point: Array) -> Config:
    """The configuration at a point of the cube, (19,). Raises ConfigError where there is none."""
    row = np.array([*point[:tpe.N_AXES], *(
        min(int(place * n), n - 1) for place, n
        in zip(point[tpe.N_AXES:FIRST_EXTRA], N_CHOICES, strict=True)), *([0] * len(tpe.YOUNG))])
    config = repaired(START, tpe._fields(tpe._active(row[None])[0], START))
    return repaired(config, _extras(config, point[FIRST_EXTRA:]))


def _extras(config: Config, places: Array) -> dict[str, Any]:
    """What the last columns say beside the defaults."""
    found: dict[str, Any] = {}
    heads, hidden, rope, passes = ((place - DEFAULT_PART) / (1 - DEFAULT_PART) for place in places)
    if heads >= 0:
        size = HEAD_SIZES[min(int(heads * len(HEAD_SIZES)), len(HEAD_SIZES) - 1)]
        found["n_head"] = legal_heads(config.n_embd, config.n_embd / size)
    if hidden >= 0:
        found["n_hidden"] = legal_hidden(config.n_embd * _on_line(HIDDEN_RATIOS, hidden))
    if rope >= 0:
        found["rope_base"] = _on_line(ROPE_BASES, rope)
    if passes >= 0:
        found["grad_accum"] = ACCUMULATED[min(int(passes * 2), 1)]
    return found


def _on_line(ends: tuple[float, float], place: float) -> float:
    return float(ends[0] * (ends[1] / ends[0]) ** place)


def _place(ends: tuple[float, float], value: float) -> float:
    return math.log(value / ends[0]) / math.log(ends[1] / ends[0])


def points_of(configs: Sequence[Config]) -> Array:
    """Points (N, 19) at which the configurations lie; nan in a column that has no effect there."""
    places = tpe._points(configs)[:, :FIRST_EXTRA]
    for column, n in enumerate(N_CHOICES, start=tpe.N_AXES):
        places[:, column] = (places[:, column] + 0.5) / n
    extras = np.array([_extra_places(config) for config in configs])
    return np.hstack([places, extras])


def _extra_places(config: Config) -> list[float]:
    parts: list[float | None] = [None] * len(EXTRAS)
    if config.n_head != legal_heads(config.n_embd, config.n_embd / START.head_size):
        nearest = min(HEAD_SIZES, key=lambda size: abs(math.log(size / config.head_size)))
        parts[0] = (HEAD_SIZES.index(nearest) + 0.5) / len(HEAD_SIZES)
    if config.hidden != START.hidden / START.n_embd * config.n_embd:
        parts[1] = _place(HIDDEN_RATIOS, config.hidden / config.n_embd)
    if config.rope_base != START.rope_base:
        parts[2] = _place(ROPE_BASES, config.rope_base)
    if config.grad_accum != START.grad_accum:
        parts[3] = 0.25 if config.grad_accum <= ACCUMULATED[0] else 0.75
    return [DEFAULT_PART / 2 if part is None else
            DEFAULT_PART + (1 - DEFAULT_PART) * min(max(part, 0.0), 0.999) for part in parts]


# --- draws -----------------------------------------------------------------------------------


def sobol(seed: int, limits: Limits, is_sensible: bool) -> Iterator[Config]:
    """The legal configurations of a scrambled Sobol sequence, without end.

    is_sensible  over the box SENSIBLE, not over the whole cube
    """
    from scipy.stats import qmc  # the extra `bench`

    low, high = sensible_box() if is_sensible else (np.zeros(N_COLUMNS), np.ones(N_COLUMNS))
    sampler = qmc.Sobol(N_COLUMNS, scramble=True, rng=np.random.default_rng([seed, is_sensible]))
    while True:
        for point in sampler.random(SOBOL_BLOCK):
            config = legal(low + point * (high - low), limits)
            if config is not None:
                yield config


def sensible_box() -> tuple[Array, Array]:
    """Both ends of every column of the box; choices whole, extras seldom off their defaults."""
    low, high = np.zeros(N_COLUMNS), np.ones(N_COLUMNS)
    for column, axis in enumerate(tpe.AXES):
        ends = SENSIBLE[axis.name]
        low[column], high[column] = (_place((axis.low, axis.high), end) for end in ends)
    high[FIRST_EXTRA:] = 0.75
    return low, high


def legal(point: Array, limits: Limits) -> Config | None:
    try:
        config = config_of(point)
    except ConfigError:
        return None
    return None if why_not(config, limits) else config


def mutated(parents: Sequence[Config], limits: Limits, rng: Generator) -> Config:
    """A legal configuration one mutation away from one of the parents."""
    points = points_of(parents)
    for _ in range(MAX_TRIES):
        config = legal(_step(points[int(rng.integers(len(points)))], rng), limits)
        if config is not None:
            return config
    raise RuntimeError(f"{MAX_TRIES} mutations of {len(parents)} parents gave nothing legal")


def _step(parent: Array, rng: Generator) -> Array:
    point = np.where(np.isnan(parent), rng.random(N_COLUMNS), parent)
    if rng.random() < ONE_STEP:
        chosen = rng.permutation(N_COLUMNS)[:int(rng.integers(1, 3))]
        moves, is_drawn = np.isin(np.arange(N_COLUMNS), chosen), np.ones(N_COLUMNS, bool)
    else:
        moves, is_drawn = np.ones(N_COLUMNS, bool), rng.random(N_COLUMNS) < FLIPPED
    is_choice = np.arange(N_COLUMNS) >= tpe.N_AXES
    steps = rng.normal(0.0, rng.uniform(SMALLEST, LARGEST), N_COLUMNS)
    walked = np.clip(point + steps, 0.0, 1.0)
    drawn = np.where(is_drawn, rng.random(N_COLUMNS), point)
    return np.where(moves, np.where(is_choice, drawn, walked), point)
