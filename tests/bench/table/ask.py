"""Runs what the fitted surface holds for best, where it may promise too much, and what is near.

    python -m tests.bench.table ask --out runs.jsonl

A surface that is searched ends at the places where it errs to the good side. Their real scores are
added to the file under numbers of their own, of which `make` takes no note.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from agent.simulate.surface import TABLES
from agent.simulate.tunnel import SEARCH, Tunnel
from engine.config import OPTIMIZERS, Config
from strategies.base import Limits
from tests.bench.nights import append_night as append_line
from tests.bench.table import fit, space
from tests.bench.table.make import Bench, in_pool, open_benches, workers
from tests.bench.table.packed import Table
from tests.bench.table.plan import SEEDS, Slot, best
from tests.bench.table.rows import Row, read_rows, read_texts

FIRST_SLOT = 100_000
N_LEARN = 600  # configurations for the kernel: it is learnt anew for every round
POPULATION, CHILDREN, GENERATIONS = 40, 80, 25
N_AGAIN, AGAIN_SEEDS = 3, 6  # the best known are run on so many seeds, two more in each round
PARENTS = 10  # the best, of which some are mutated to learn what lies around them
APART = 0.3  # distance in the unit cube of two places that are asked for in one round


def minima(surface: Tunnel, known: Sequence[Config], limits: Limits, rng: Generator,
           n: int) -> list[Config]:
    """Places apart from each other where the surface is lowest, found by mutation and selection.

    All have the optimizer of the first known.
    """
    optimizer = known[0].optimizer
    pool = [config for config in known if config.optimizer == optimizer][:POPULATION]
    tried = {config.hash for config in known}
    for _ in range(GENERATIONS):
        children = [space.mutated(pool, limits, rng) for _ in range(CHILDREN)]
        pool += [config for config in children if config.optimizer == optimizer]
        pool = list({config.hash: config for config in pool}.values())
        order = np.argsort(surface.means(pool)[:, SEARCH], kind="stable")
        pool = [pool[int(i)] for i in order[:POPULATION]]
    found: list[Config] = []
    for config in pool:
        points = np.nan_to_num(space.points_of([config, *found]), nan=0.5)
        distances = np.linalg.norm(points[1:] - points[0], axis=1)
        if config.hash not in tried and (distances > APART).all():
            found.append(config)
    return found[:n]


def slots(rows: Sequence[Row], surfaces: dict[str, Tunnel], benches: dict[str, Bench],
          n: int, n_near: int) -> list[tuple[Slot, int]]:
    """What to run next of each text: n places of each optimizer, n_near mutations of the best.

    The best themselves run on more seeds: the best of many was lucky, and tells too much.
    """
    wanted = []
    for text, surface in surfaces.items():
        own = [row for row in rows if row.text == text]
        number = max([FIRST_SLOT, *(row.slot + 1 for row in own if row.slot >= FIRST_SLOT)])
        rng = np.random.default_rng([number, len(text)])
        known = [row.config for row in best(own)]
        limits = benches[text].limits
        drawn = [("asked", config) for group in _by_optimizer(known)
                 for config in minima(surface, group, limits, rng, n)]
        drawn += [("near", space.mutated(known[:PARENTS], limits, rng)) for _ in range(n_near)]
        for at, (kind, config) in enumerate(drawn, start=number):
            seed = at % SEEDS
            wanted.append((Slot(text, at, kind, config, (seed,)), seed))
        for row in best(own)[:N_AGAIN]:
            had = {other.seed for other in own if other.config.hash == row.config.hash}
            new = [seed for seed in range(AGAIN_SEEDS) if seed not in had][:2]
            wanted += [(Slot(text, row.slot, "again", row.config, (seed,)), seed) for seed in new]
    return wanted


def _by_optimizer(known: Sequence[Config]) -> list[list[Config]]:
    """Else the one that leads early is asked for ever, and the others stay worse than they are."""
    groups = ([config for config in known if config.optimizer == name] for name in OPTIMIZERS)
    return [group for group in groups if group]


def run_ask(options: argparse.Namespace) -> int:
    benches = open_benches(options)
    for _ in range(options.rounds):
        table = Table(read_texts(options.out), read_rows(options.out))
        arrays, _, _ = fit.fit(table, N_LEARN)
        surfaces = {text: Tunnel.of(text, arrays) for text in TABLES}
        with workers(options) as pool:
            for row in in_pool(pool, slots(table.rows, surfaces, benches, options.n,
                                          options.near)):
                append_line(options.out, row.line())
                told = surfaces[row.text].final(row.config)
                real = "diverged" if row.search is None else f"{row.search:.4f}"
                sys.stdout.write(f"{row.text}: {told:.4f} foretold, {real} real, "
                                 f"{row.config.describe()}\n")
                sys.stdout.flush()
    return 0
