"""tpe: draws near what has scored best and away from the rest, by a model of both.

A multivariate tree-structured Parzen estimator: l(x) is a mixture of kernels on the best results,
g(x) one on all others, and the candidate with the largest l(x)/g(x) comes first. Sources: Bergstra
et al. 2011, "Algorithms for Hyper-Parameter Optimization"; the product kernel over all axes is
that of Falkner et al. 2018 (BOHB), arXiv:1807.01774.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.random import Generator

from engine.config import MIXERS, OPTIMIZERS, SCHEDULES, Config
from strategies.base import (
    DEFAULT_LIMITS,
    LION_FACTOR,
    MAX_CANDIDATES,
    Change,
    Limits,
    Outcome,
    Proposal,
    Scored,
    fresh,
    legal_kv_heads,
    legal_width,
    resized,
    scores,
)
from strategies.newcomers import PAIRS, SHARE
from strategies.optimizers import ALWAYS, drawn

Array = np.ndarray[Any, np.dtype[np.float64]]

N_RANDOM = 10  # results before the model is asked
N_CANDIDATES = 48  # drawn around the good results and ranked; more follow if none fits
GOOD = 0.15  # part of the results that counts as good: BOHB
MAX_GOOD = 25
WIDTH = 0.1  # of a kernel on one result, in parts of an axis; chosen on synthetic surfaces


@dataclass(frozen=True, slots=True)
class Axis:
    """A numeric field on a logarithmic line, 0 at low, 1 at high; a momentum by 1 − value."""

    name: str
    low: float
    high: float
    is_momentum: bool = False
    is_whole: bool = False

    def value(self, place: float) -> float:
        x = float(self.low * (self.high / self.low) ** place)
        return round(x) if self.is_whole else 1 - x if self.is_momentum else x


AXES = (
    Axis("lr", 1e-4, 3e-2), Axis("weight_decay", 0.01, 1.0), Axis("clip", 0.25, 4.0),
    Axis("warmup_frac", 0.005, 0.2), Axis("min_lr_frac", 0.01, 0.5),
    Axis("decay_frac", 0.1, 0.7), Axis("beta1", 0.03, 0.3, is_momentum=True),
    Axis("beta2", 0.01, 0.1, is_momentum=True), Axis("n_embd", 32, 512, is_whole=True),
    Axis("n_layer", 1, 12, is_whole=True), Axis("batch_size", 2, 128, is_whole=True),
    Axis("seq_len", 8, 512, is_whole=True),
)
CHOICES: dict[str, tuple[Any, ...]] = {
    "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "tied": (False, True)}
# Of newcomers.py: heads of queries that share one of keys, buckets of pairs a kind of token.
YOUNG: dict[str, tuple[Any, ...]] = {
    "mixer": MIXERS, "n_kv_head": (1, 2, 4), "residual_scalars": (False, True),
    "bigram_buckets": (0, PAIRS, 4 * PAIRS), "qk_norm": (False, True)}
MOVED = SHARE / len(YOUNG)  # of the draws move one of them away from what a kernel stands on
N_AXES = len(AXES)
N_SETTLED = N_AXES + len(CHOICES)  # columns before those of YOUNG
# How many options of each choice are drawn: newer optimizers only where one of them is known.
N_CHOICES = [len(ALWAYS), *(len(values) for values in list((CHOICES | YOUNG).values())[1:])]
NAMES = (*(axis.name for axis in AXES), *CHOICES, *YOUNG)  # columns of a point
LOW = np.array([axis.low for axis in AXES])
REACH = np.log(np.array([axis.high for axis in AXES]) / LOW)
MOMENTUM = np.array([axis.is_momentum for axis in AXES])
values_of = attrgetter(*(axis.name for axis in AXES))


def _inert(optimizer: str, schedule: str) -> list[bool]:
    """Which columns have no effect on the training."""
    known = Config(optimizer=optimizer, schedule=schedule).canonical()
    return [known[name] is None or (name == "schedule" and optimizer == "schedule_free")
            for name in NAMES]


INERT_MIXED = np.array([[name in YOUNG and Config(mixer=mixer).canonical()[name] is None
                         for name in NAMES] for mixer in MIXERS])
INERT = np.array([[_inert(o, s) for s in SCHEDULES] for o in OPTIMIZERS])


def propose(parent: Config, history: Sequence[Outcome], rng: Generator,
            limits: Limits = DEFAULT_LIMITS) -> Proposal:
    return fresh(_candidates(parent, history, rng, limits), parent, history, limits, "tpe")


def _candidates(parent: Config, history: Sequence[Outcome], rng: Generator,
                limits: Limits) -> Iterator[Change]:
    """Batches of draws around the good results, each best first; draws from all over before."""
    ranked = scores(history, limits.budget_tokens)
    n_choices = _n_choices([parent, *(s.config for s in ranked)])
    if len(ranked) < N_RANDOM:
        why = (f"a draw from the whole space, since the model needs {N_RANDOM} results "
               f"and has {len(ranked)}")
        for _ in range(MAX_CANDIDATES):
            yield Change(_fields(_anywhere(rng, n_choices), parent), why)
    good = [s for s in ranked[:_n_good(len(ranked))] if s.has_finished]
    points = _points([s.config for s in ranked])
    span = _span(points[:len(good)])
    near, far = (Mixture(part, span, n_choices)
                 for part in (points[:len(good)], points[len(good):]))
    for _ in range(MAX_CANDIDATES // N_CANDIDATES + 1):
        drawn = near.draw(N_CANDIDATES, rng)
        gains = near.log_density(drawn) - far.log_density(drawn)
        for i in np.argsort(-gains, kind="stable"):
            yield Change(_fields(drawn[i], parent), _expectation(good, ranked, float(gains[i])))


def _n_good(n: int) -> int:
    return min(math.ceil(GOOD * n), MAX_GOOD)


def _expectation(good: Sequence[Scored], ranked: Sequence[Scored], gain: float) -> str:
    times = math.exp(min(gain, math.log(1000.0)))
    shown = f"{times:,.0f}" if times >= 10 else f"{times:.2g}"
    return (f"the model finds it {shown} times as likely among the best {len(good)} of "
            f"{len(ranked)} results ({good[0].bpb:.3f} to {good[-1].bpb:.3f} bits/byte) as among "
            "the rest")


# --- a configuration as a point --------------------------------------------------------------


def _points(configs: Sequence[Config]) -> Array:
    """Places on every axis, then the index of every choice; nan where it has no effect (N, D).

    A zero stands at the low end. Lion's rate and weight decay count as what AdamW would have.
    """
    values = np.array([values_of(config) for config in configs])
    lion = np.array([config.optimizer == "lion" for config in configs])
    scale = np.where(lion, LION_FACTOR, 1.0)
    values[:, NAMES.index("lr")] *= scale
    values[:, NAMES.index("weight_decay")] /= scale
    values = np.where(MOMENTUM, 1 - values, values)
    places = np.log(np.where(values == 0, LOW, values) / LOW) / REACH
    choices = [[options.index(getattr(config, name)) for name, options in CHOICES.items()]
               + [_nearest(options, _young(config, name)) for name, options in YOUNG.items()]
               for config in configs]
    return _active(np.hstack([places, np.array(choices, dtype=float)]))


def _young(config: Config, name: str) -> Any:
    """A field of YOUNG as it stands there."""
    if name == "n_kv_head":
        return config.n_head / config.kv_heads
    if name == "bigram_buckets":
        return config.bigram_buckets / config.vocab_size
    return getattr(config, name)


def _nearest(options: tuple[Any, ...], value: Any) -> int:
    if value in options:
        return options.index(value)
    # A table counts as one, however small it is.
    return min((i for i, one in enumerate(options) if one), key=lambda i: abs(options[i] - value))


def _fields(point: Array, parent: Config) -> dict[str, Any]:
    """What makes the parent that point; fields without effect stay the parent's."""
    fields: dict[str, Any] = {
        axis.name: axis.value(float(place)) for axis, place in zip(AXES, point, strict=False)
        if not math.isnan(place)}
    fields |= {name: options[int(i)] for (name, options), i
               in zip(CHOICES.items(), point[N_AXES:N_SETTLED], strict=True) if not math.isnan(i)}
    if fields["optimizer"] == "lion":
        fields |= {"lr": fields["lr"] / LION_FACTOR,
                   "weight_decay": fields["weight_decay"] * LION_FACTOR}
    if fields["seq_len"] > 16:
        fields["seq_len"] = round(fields["seq_len"] / 8) * 8
    width = legal_width(fields["n_embd"])
    fields = resized(parent, width, fields["n_layer"]) | fields | {"n_embd": width}
    return fields | _young_fields(point, parent, fields.get("n_head", parent.n_head))


def _young_fields(point: Array, parent: Config, n_head: int) -> dict[str, Any]:
    """Those of YOUNG that are not as the parent has them."""
    chosen = {name: options[int(i)] for (name, options), i
              in zip(YOUNG.items(), point[N_SETTLED:], strict=True) if not math.isnan(i)}
    before = dict(zip(YOUNG, _points([parent])[0, N_SETTLED:], strict=True))
    fields = {name: value for name, value in chosen.items()
              if YOUNG[name].index(value) != before[name]}
    if "bigram_buckets" in fields:
        fields["bigram_buckets"] *= parent.vocab_size
    if {"mixer", "n_kv_head"} & fields.keys():
        group = chosen.get("n_kv_head", 1)
        fields["n_kv_head"] = None if group == 1 else legal_kv_heads(n_head, n_head / group)
    return fields


def _active(points: Array) -> Array:
    """The points with nan on what has no effect under their optimizer, schedule and mixer."""
    optimizer, schedule = points[:, N_AXES].astype(int), points[:, N_AXES + 1].astype(int)
    inert = INERT[optimizer, schedule]
    if points.shape[1] > N_SETTLED:
        # An unknown mixer is the parent's: what it makes of the others is not for a point to say.
        inert = inert | INERT_MIXED[np.nan_to_num(points[:, N_SETTLED]).astype(int)]
    return np.asarray(np.where(inert, math.nan, points))


def _n_choices(known: Sequence[Config]) -> list[int]:
    """N_CHOICES beside these configurations; newer optimizers come last in CHOICES."""
    return [CHOICES["optimizer"].index(drawn(known)[-1]) + 1, *N_CHOICES[1:]]


def _anywhere(rng: Generator, n_choices: Sequence[int]) -> Array:
    none = np.empty((0, len(NAMES)))
    point: Array = Mixture(none, _span(none), n_choices).draw(1, rng)[0]
    return point


def _span(good: Array) -> tuple[Array, Array]:
    """Both ends of every axis, moved out to the good results where these lie beyond.

    fmin and fmax pass over nan.
    """
    places = np.vstack([np.zeros(N_AXES), good[:, :N_AXES], np.ones(N_AXES)])
    return np.fmin.reduce(places), np.fmax.reduce(places)


# --- the model -------------------------------------------------------------------------------


class Mixture:
    """Equal parts of one kernel on each point (N, D) and of one that is even over the whole space.

    A kernel is the product of a Gaussian cut to the span of each axis and, for each choice, its
    own option preferred to the others. Where a point has nan, its kernel is even; where a
    candidate has nan, that field does not count. A choice of YOUNG is moved in MOVED of all draws
    alone, and else is what the kernel stands on, or the parent's.
    """

    def __init__(self, points: Array, span: tuple[Array, Array],
                 n_choices: Sequence[int] = N_CHOICES) -> None:
        even = np.full((1, len(NAMES)), math.nan)
        self.points = np.concatenate([points, even])  # (K, D)
        (self.low, self.high), self.n_choices = span, n_choices
        # Scott 1992: the more points in the fewer dimensions, the narrower.
        n_kernels = len(self.points)
        self.width = WIDTH * (self.high - self.low) * n_kernels ** (-1 / (N_SETTLED + 4))
        self.own = [(1 + 1 / n_kernels) / (1 + n / n_kernels) if N_AXES + j < N_SETTLED
                    else 1 - MOVED for j, n in enumerate(n_choices)]

    def log_density(self, drawn: Array) -> Array:
        """Logarithm of the density at each of the points drawn, (M, D) → (M,)."""
        x, centre = drawn[:, None, :N_AXES], self.points[None, :, :N_AXES]
        inside = _normal_cdf((self.high - centre) / self.width) - _normal_cdf(
            (self.low - centre) / self.width)
        # A centre within the span keeps 0.34 or more; one beyond it loses what lies outside.
        bell = (-0.5 * ((x - centre) / self.width) ** 2
                - np.log(self.width * math.sqrt(2 * math.pi) * np.maximum(inside, 0.3)))
        even = -np.log(self.high - self.low)
        logs = np.where(np.isnan(x), 0.0, np.where(np.isnan(centre), even, bell)).sum(axis=2)
        for j, (own, n) in enumerate(zip(self.own, self.n_choices, strict=True), start=N_AXES):
            x, centre = drawn[:, None, j], self.points[None, :, j]
            match = np.where(x == centre, own, (1 - own) / (n - 1))
            logs += np.log(np.where(np.isnan(x), 1.0, np.where(np.isnan(centre), 1 / n, match)))
        most = logs.max(axis=1, keepdims=True)
        return np.asarray(most[:, 0] + np.log(np.exp(logs - most).mean(axis=1)))

    def draw(self, n: int, rng: Generator) -> Array:
        """Points from the kernels, whose centres must lie within the span, (n, D)."""
        points = self.points[rng.integers(len(self.points), size=n)]
        centres = points[:, :N_AXES]
        places = rng.normal(centres, self.width)
        even = self.low + (self.high - self.low) * rng.random((n, N_AXES))
        places = np.where(np.isnan(centres), even, places)
        # Half or more of a kernel lies inside, so this ends after some ten rounds.
        while (outside := (places < self.low) | (places > self.high)).any():
            places = np.where(outside, rng.normal(centres, self.width), places)
        points[:, :N_AXES] = places
        choices = zip(self.own, self.n_choices, strict=True)
        for j, (own, n_options) in enumerate(choices, start=N_AXES):
            unknown = 0.0 if j < N_SETTLED else own
            stays = rng.random(n) < np.where(np.isnan(points[:, j]), unknown, own)
            other = np.nan_to_num(points[:, j]) + rng.integers(1, n_options, n)
            anything = rng.integers(n_options, size=n)
            moved = np.where(np.isnan(points[:, j]), anything, other % n_options)
            points[:, j] = np.where(stays, points[:, j], moved)
        return _active(points)


def _normal_cdf(x: Array) -> Array:
    """Of the standard normal; numpy has no error function, and the logistic one is near enough.

    Off by at most 0.0095: it only weighs kernels near an end of their axis.
    """
    return np.asarray(1 / (1 + np.exp(-1.702 * np.nan_to_num(x))))
