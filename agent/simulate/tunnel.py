"""What a configuration scores, without training it: a model fitted to a table of real runs.

    tunnel = Tunnel.open("builtin")
    tunnel.final(config)                      # true mean bits per byte on the search shard
    night = tunnel.night(rng)
    night.draw(config, seed)                  # what one run shows; asked again, the same

The mean is that of a Gaussian process over two texts, whose centres and weights lie in tunnel.npz
(`python -m tests.bench.table fit` makes it):

    M(r) = (1 + √5·r + 5·r²/3) · exp(−√5·r)                       Matérn 5/2

A run's scores are

    true(θ) + sd(θ) · (√ρ·u_s + √(1 − ρ)·e_θs)

for every output at once: u of the seed and e of the run are normal with the correlations that the
outputs' residuals have over seeds, sd is a function of how good the configuration is. ρ is measured
on seeds that different configurations share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Self

import numpy as np

from agent.simulate.surface import TABLES
from agent.simulate.tunnel_features import features
from engine.config import Config

FILE = "tunnel.npz"  # beside this one
RUNGS = (1 / 8, 1 / 4, 1 / 2)  # of a run's steps, where it is scored on a short text
N_OWN = 3  # parameters before the scales: log s², log τ², logit of ρ
Array = np.ndarray[Any, np.dtype[Any]]

OUTPUTS = ("rung1", "rung2", "rung3", "short", "search", "confirm", "test")
BLOCK = 32  # configurations at a time, so that what is in between stays in the cache
SEARCH = OUTPUTS.index("search")


@dataclass(frozen=True)
class Aim:
    """Points that distances are taken to again and again, in the form that makes it quick."""

    product: Array  # (F, M)
    square: Array  # (M,)

    @classmethod
    def at(cls, points: Array) -> Self:
        return cls(np.ascontiguousarray(-10 * points.T), 5 * (points * points).sum(axis=1))

    def roots(self, a: Array) -> Array:
        """√5·r of each of a (N, F) to each of the points, (N, M)."""
        found: Array = a @ self.product
        found += self.square
        found += 5 * (a * a).sum(axis=1)[:, None]
        np.maximum(found, 0, out=found)
        np.sqrt(found, out=found)
        return found


def matern(a: Array, b: Aim, amplitude: float) -> Array:
    """amplitude · M(r) of scaled points (N, F) and those of b, (N, M); the dtype is kept."""
    root = b.roots(a)
    found: Array = root * root
    found *= 1 / 3
    found += root
    found += 1
    np.negative(root, out=root)
    np.exp(root, out=root)
    found *= root
    found *= amplitude
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """Scores of one run in bits per byte."""

    search: float
    confirm: float
    test: float
    rungs: tuple[float, ...]  # at 1/8, 1/4 and 1/2, on the short text
    short: float  # at the end, on the text of the rungs


@dataclass(frozen=True)
class Tunnel:
    """The surface of one text."""

    text: str
    amplitude: float  # s²
    lengths: Array  # (F,) of the features
    features: tuple[Array, Array]  # mean and scale of each
    centres: Aim  # of M, float32, scaled
    weights: Array  # (M, O) float32; those of the other text's centres count in part
    floor: Array  # (O,) of each output: its model is of log(bits per byte − floor)
    middle: Array  # (O,) mean of that log
    spread: Array  # (O,) scale of it
    knots: Array  # (K,) places of the search output, in its standardised log
    seed_sd: Array  # (K, O) of a seed at them, bits per byte; beyond the ends as there
    factor: Array  # (O, O) of the correlation of the outputs' luck
    rho: float  # part of the luck that a seed brings to every configuration
    budget_tokens: int

    @classmethod
    def open(cls, text: str) -> Self:
        """The fitted surface of one of TABLES."""
        with files("agent.simulate").joinpath(FILE).open("rb") as data, \
                np.load(data, allow_pickle=False) as file:
            return cls.of(text, dict(file))

    @classmethod
    def of(cls, text: str, found: dict[str, Any]) -> Self:
        """The surface of the arrays that the fit makes."""
        number, parameters = TABLES.index(text), found["parameters"]
        own = {name: found[name][number]
               for name in ("floor", "middle", "spread", "knots", "seed_sd", "factor")}
        likeness = np.where(found["texts"] == number, 1.0, 1 / (1 + math.exp(-parameters[2])))
        return cls(text=text, amplitude=math.exp(parameters[0]), lengths=np.exp(parameters[N_OWN:]),
                   features=(found["x_mean"], found["x_scale"]),
                   centres=Aim.at(found["centres"]),
                   weights=(likeness[:, None] * found["weights"]).astype(np.float32),
                   rho=float(found["rho"][number]), budget_tokens=int(found["budget_tokens"]),
                   **own)

    def means(self, configs: Sequence[Config]) -> Array:
        """True mean of every output, (N, O), bits per byte."""
        return np.asarray(np.exp(self._places(configs) * self.spread + self.middle) + self.floor)

    def _places(self, configs: Sequence[Config]) -> Array:
        mean, scale = self.features
        x = (features(configs, self.budget_tokens) - mean) / scale / self.lengths
        blocks = np.array_split(x.astype(np.float32), -(-len(x) // BLOCK))
        return np.concatenate([matern(block, self.centres, self.amplitude) @ self.weights
                               for block in blocks])

    def final(self, config: Config) -> float:
        """True mean on the search shard."""
        return float(self.means([config])[0, SEARCH])

    def sds(self, means: Array) -> Array:
        """Standard deviation over seeds of every output at such means, (N, O)."""
        place = (np.log(means[:, SEARCH] - self.floor[SEARCH]) - self.middle[SEARCH]) / (
            self.spread[SEARCH])
        return sd_between(place, self.knots, self.seed_sd)

    def night(self, rng: np.random.Generator) -> "TunnelNight":
        """Runs with a luck of their own, drawn from rng."""
        return TunnelNight(self, rng)


@dataclass
class TunnelNight:
    """One night's runs on a surface; the same run asked for again shows the same."""

    tunnel: Tunnel
    rng: np.random.Generator
    _means: dict[str, tuple[Array, Array]] = field(default_factory=dict)  # by configuration
    _of_seed: dict[int, Array] = field(default_factory=dict)
    _of_run: dict[tuple[str, int], Shown] = field(default_factory=dict)

    def draw(self, config: Config, seed: int, name: str | None = None) -> Shown:
        """What a run shows; under another name the same configuration has a luck of its own."""
        key = name or config.hash, seed
        if key not in self._of_run:
            mean, sd = self._mean(config)
            self._of_run[key] = shown(mean + sd * self._luck(seed))
        return self._of_run[key]

    def learn(self, configs: Sequence[Config]) -> None:
        """Ask the surface for all of them at once, which is cheaper than one by one."""
        new = [config for config in configs if config.hash not in self._means]
        if new:
            means = self.tunnel.means(new)
            both = zip(means, self.tunnel.sds(means), strict=True)
            self._means.update(zip((config.hash for config in new), both, strict=True))

    def _mean(self, config: Config) -> tuple[Array, Array]:
        self.learn([config])
        return self._means[config.hash]

    def _luck(self, seed: int) -> Array:
        """Of one run, correlated over the outputs; part of it is the seed's in every run."""
        n, rho = len(OUTPUTS), self.tunnel.rho
        if seed not in self._of_seed:
            self._of_seed[seed] = self.rng.standard_normal(n)
        own = self.rng.standard_normal(n)
        both = math.sqrt(rho) * self._of_seed[seed] + math.sqrt(1 - rho) * own
        return np.asarray(self.tunnel.factor @ both)


def sd_between(place: Array, knots: Array, sds: Array) -> Array:
    """Of every output at each place, (N, O)."""
    return np.column_stack([np.interp(place, knots, sd) for sd in sds.T])


def shown(scores: Array) -> Shown:
    by_name = dict(zip(OUTPUTS, scores.tolist(), strict=True))
    n = len(RUNGS)
    return Shown(by_name["search"], by_name["confirm"], by_name["test"],
                 tuple(scores[:n].tolist()), by_name["short"])
