"""What a configuration of the space scores, without training it: the model fitted to the table.

    surface = TableSurface.open("builtin")
    surface.final(config)                     # true mean bits per byte on the search shard
    night = surface.night(rng)
    night.draw(config, seed)                  # what one run shows; asked again, the same

A run's scores are

    true(θ) + sd(θ) · (√ρ·u_s + √(1 − ρ)·e_θs)

for every output at once: u of the seed and e of the run are normal with the correlations that the
outputs' residuals have over seeds, sd is a function of how good the configuration is. ρ is measured
on seeds that different configurations share.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from engine.config import Config
from engine.errors import UserError
from tests.bench.table import packed
from tests.bench.table.features import features
from tests.bench.table.kriging import Aim, Array, Kernel
from tests.bench.table.rows import RUNGS, Row

PATH = Path(__file__).with_name("surface.npz")
TEXTS = ("tinystories", "builtin")
OUTPUTS = ("rung1", "rung2", "rung3", "short", "search", "confirm", "test")
BLOCK = 32  # configurations at a time, so that what is in between stays in the cache
SEARCH = OUTPUTS.index("search")


@dataclass(frozen=True, slots=True)
class Shown:
    """Scores of one run in bits per byte."""

    search: float
    confirm: float
    test: float
    rungs: tuple[float, ...]  # at 1/8, 1/4 and 1/2, on the short text
    short: float  # at the end, on the text of the rungs


@dataclass(frozen=True)
class TableSurface:
    """The surface of one text."""

    text: int  # its number in TEXTS
    kernel: Kernel
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
    def open(cls, text: str, path: Path = PATH, runs: Path = packed.PATH) -> Self:
        """The fitted surface of a text. Raises UserError where it was fitted to other runs."""
        data = runs.read_bytes()
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
        if str(found["sha256"]) != hashlib.sha256(data).hexdigest():
            raise UserError(f"{path.name} was fitted to other runs than {runs.name} holds; "
                            "python -m tests.bench.table fit makes it anew")
        configs, texts, _ = centres_of(packed.load(runs).rows)
        return cls.of(text, found, configs, texts)

    @classmethod
    def of(cls, text: str, found: dict[str, Any], configs: Sequence[Config],
           texts: Array) -> Self:
        """The surface of the arrays that fit.py makes, on the table's configurations."""
        number, kernel = TEXTS.index(text), Kernel(found["parameters"])
        mean, scale = found["x_mean"], found["x_scale"]
        budget = int(found["budget_tokens"])
        centres = kernel.scaled((features(configs, budget) - mean) / scale)
        likeness = np.where(texts == number, 1.0, kernel.rho)
        own = {name: found[name][number]
               for name in ("floor", "middle", "spread", "knots", "seed_sd", "factor")}
        return cls(text=number, kernel=kernel, features=(mean, scale),
                   centres=Aim.at(centres.astype(np.float32)),
                   weights=(likeness[:, None] * found["weights"]).astype(np.float32),
                   rho=float(found["rho"][number]), budget_tokens=budget, **own)

    def means(self, configs: Sequence[Config]) -> Array:
        """True mean of every output, (N, O), bits per byte."""
        return np.asarray(np.exp(self._places(configs) * self.spread + self.middle) + self.floor)

    def _places(self, configs: Sequence[Config]) -> Array:
        mean, scale = self.features
        x = self.kernel.scaled((features(configs, self.budget_tokens) - mean) / scale)
        blocks = np.array_split(x.astype(np.float32), -(-len(x) // BLOCK))
        return np.concatenate([self.kernel.of_points(block, self.centres) @ self.weights
                               for block in blocks])

    def final(self, config: Config) -> float:
        """True mean on the search shard."""
        return float(self.means([config])[0, SEARCH])

    def sds(self, means: Array) -> Array:
        """Standard deviation over seeds of every output at such means, (N, O)."""
        place = (np.log(means[:, SEARCH] - self.floor[SEARCH]) - self.middle[SEARCH]) / (
            self.spread[SEARCH])
        return sd_between(place, self.knots, self.seed_sd)

    def night(self, rng: np.random.Generator) -> "TableNight":
        """Runs with a luck of their own, drawn from rng."""
        return TableNight(self, rng)


@dataclass
class TableNight:
    """One night's runs on a surface; the same run asked for again shows the same."""

    surface: TableSurface
    rng: np.random.Generator
    _means: dict[str, tuple[Array, Array]] = field(default_factory=dict)  # by configuration
    _of_seed: dict[int, Array] = field(default_factory=dict)
    _of_run: dict[tuple[str, int], Shown] = field(default_factory=dict)

    def draw(self, config: Config, seed: int) -> Shown:
        key = config.hash, seed
        if key not in self._of_run:
            mean, sd = self._mean(config)
            self._of_run[key] = shown(mean + sd * self._luck(seed))
        return self._of_run[key]

    def learn(self, configs: Sequence[Config]) -> None:
        """Ask the surface for all of them at once, which is cheaper than one by one."""
        new = [config for config in configs if config.hash not in self._means]
        if new:
            means = self.surface.means(new)
            both = zip(means, self.surface.sds(means), strict=True)
            self._means.update(zip((config.hash for config in new), both, strict=True))

    def _mean(self, config: Config) -> tuple[Array, Array]:
        self.learn([config])
        return self._means[config.hash]

    def _luck(self, seed: int) -> Array:
        """Of one run, correlated over the outputs; part of it is the seed's in every run."""
        n, rho = len(OUTPUTS), self.surface.rho
        if seed not in self._of_seed:
            self._of_seed[seed] = self.rng.standard_normal(n)
        own = self.rng.standard_normal(n)
        both = math.sqrt(rho) * self._of_seed[seed] + math.sqrt(1 - rho) * own
        return np.asarray(self.surface.factor @ both)


def sd_between(place: Array, knots: Array, sds: Array) -> Array:
    """Of every output at each place, (N, O)."""
    return np.column_stack([np.interp(place, knots, sd) for sd in sds.T])


def shown(scores: Array) -> Shown:
    by_name = dict(zip(OUTPUTS, scores.tolist(), strict=True))
    n = len(RUNGS)
    return Shown(by_name["search"], by_name["confirm"], by_name["test"],
                 tuple(scores[:n].tolist()), by_name["short"])


def centres_of(rows: Sequence[Row]) -> tuple[list[Config], Array, list[list[Row]]]:
    """The configurations that finished, the number of each one's text, and its runs."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.search is not None:
            found.setdefault((row.text, row.config.hash), []).append(row)
    texts = np.array([TEXTS.index(text) for text, _ in found])
    return [runs[0].config for runs in found.values()], texts, list(found.values())


def report_of(path: Path = PATH) -> dict[str, Any]:
    """How far the fitted model can be trusted, as `fit` found it."""
    with np.load(path, allow_pickle=False) as file:
        found: dict[str, Any] = json.loads(str(file["report"]))
    return found
