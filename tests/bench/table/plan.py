"""Which configurations are run, in which order: a function of the seed and of what has been run.

A text's configurations come in rounds. The first rounds spread over the whole space and over
sensible recipes; from then on about half of a round lies around the best so far and both starts.
Every tenth configuration runs on three seeds, the best few and the starts once on eight.
"""

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.config import Config
from strategies.base import Limits
from tests.bench.table import space
from tests.bench.table.rows import Row

STARTS = tuple(replace(Config(**shape, n_head=2, lr=3e-3), data_order=space.START.data_order)
               for shape in ({"n_embd": 64, "n_layer": 2}, {"n_embd": 48, "n_layer": 3}))
ROUND = 50  # configurations
SPREAD_ROUNDS = 3  # the first, without a dense part
N_WHOLE, N_SENSIBLE = 18, 9  # of the later rounds; the others are near the best
NOISE_ROUNDS = (8, 16)  # after which a few are run on many seeds
N_NOISE, NOISE_SEEDS = 6, 8
BEST_PART, FEWEST_BEST = 0.05, 8  # of a text's configurations, around which a round is dense
SEEDS = 3  # that single runs take in turn, and every tenth configuration takes all
REPEATED = 10


@dataclass(frozen=True, slots=True)
class Slot:
    """One configuration of a text, and the seeds it is to be run on."""

    text: str
    slot: int
    kind: str
    config: Config
    seeds: tuple[int, ...]


def texts_in_turn(share: float, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(text, its round) without end; the first of two names has that share of the rounds."""
    rounds = dict.fromkeys(names, 0)
    for i in itertools.count(1):
        first, second = names
        name = first if rounds[first] < share * i - 1e-9 else second
        yield name, rounds[name]
        rounds[name] += 1


class Planner:
    """The rounds of one text; to be asked for them in their order."""

    def __init__(self, text: str, limits: Limits, seed: int) -> None:
        self.text, self.limits, self.seed = text, limits, seed
        self._spread = {False: space.sobol(seed, limits, False),
                        True: space.sobol(seed, limits, True)}
        self._next = self._n_drawn = 0
        self._known: set[str] = set()

    def round(self, number: int, rows: Sequence[Row]) -> list[Slot]:
        """The slots of a round, given the finished ones of the rounds before it."""
        ranked = best([row for row in rows if row.text == self.text and row.slot < self._next])
        drawn: list[tuple[str, Config]] = []
        if number == 0:
            drawn += [("start", config) for config in (*STARTS, space.START)]
            self._known |= {config.hash for _, config in drawn}
        while len(drawn) < ROUND:
            kind = self._kind(number, len(drawn))
            config = self._draw(kind, ranked)
            if config.hash not in self._known:
                self._known.add(config.hash)
                drawn.append((kind, config))
        found = [self._slot(kind, config) for kind, config in drawn]
        if number in NOISE_ROUNDS:
            found += self._noise(ranked)
        return found

    @staticmethod
    def _kind(number: int, i: int) -> str:
        if number < SPREAD_ROUNDS:
            return "sensible" if i % 3 == 2 else "whole"
        return "whole" if i < N_WHOLE else "sensible" if i < N_WHOLE + N_SENSIBLE else "near"

    def _draw(self, kind: str, ranked: Sequence[Row]) -> Config:
        if kind != "near":
            return next(self._spread[kind == "sensible"])
        n_best = max(FEWEST_BEST, round(BEST_PART * len(ranked)))
        parents = [row.config for row in ranked[:n_best]]
        self._n_drawn += 1  # a draw that is known already is followed by another one
        rng = np.random.default_rng([self.seed, self._next, self._n_drawn])
        return space.mutated([*parents, *STARTS], self.limits, rng)

    def _slot(self, kind: str, config: Config) -> Slot:
        number, self._next = self._next, self._next + 1
        is_repeated = number % REPEATED == REPEATED - 1
        seeds = tuple(range(SEEDS)) if is_repeated else (number % SEEDS,)
        return Slot(self.text, number, kind, config, seeds)

    def _noise(self, ranked: Sequence[Row]) -> list[Slot]:
        """Both starts and the best, under new numbers; the next time the next best."""
        known = [*STARTS, *(row.config for row in ranked)]
        configs = [config for config in known if f"noise {config.hash}" not in self._known]
        self._known |= {f"noise {config.hash}" for config in configs[:N_NOISE]}
        first, self._next = self._next, self._next + N_NOISE
        return [Slot(self.text, first + i, "noise", config, tuple(range(NOISE_SEEDS)))
                for i, config in enumerate(configs[:N_NOISE])]


def best(rows: Sequence[Row]) -> list[Row]:
    """One row of every configuration that finished, the best mean over its seeds first."""
    scores: dict[str, list[float]] = {}
    first: dict[str, Row] = {}
    for row in rows:
        if row.search is not None:
            scores.setdefault(row.config.hash, []).append(row.search)
            first.setdefault(row.config.hash, row)
    return sorted(first.values(), key=lambda row: (
        statistics.fmean(scores[row.config.hash]), row.slot))
