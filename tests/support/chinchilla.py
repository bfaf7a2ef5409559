"""Points to fit a law to: the published ones where they are at hand, else made ones that say so."""

import csv
import warnings
from pathlib import Path

import numpy as np

from agent.analysis.scaling.forms import FLOOR, Points, foretold

FILE = Path(__file__).parents[3] / "shared" / "data" / "chinchilla_points.csv"
DROPPED = 3.446995430227908  # losses of the five largest, which Besiroglu et al. leave out
N_POINTS = 240


def published_points() -> Points | None:
    """The 240 points that Besiroglu et al. 2024 (arXiv:2404.10102) read off; None: not at hand."""
    if not FILE.exists():
        return None
    with FILE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    n = np.array([float(row["Model Size"]) for row in rows])
    loss = np.array([float(row["loss"]) for row in rows])
    d = np.array([float(row["Training FLOP"]) for row in rows]) / (6 * n)
    kept = loss < DROPPED
    cell = np.arange(len(loss))
    return Points(n, d, d, loss, cell).only(kept)


def made_points(noise: float = 0.02, seed: int = 0, n_sizes: int = 8, n_tokens: int = 6,
                alpha: float = 0.35, beta: float = 0.37, floor: float = 1.2) -> Points:
    """Points of a known law with that much noise of ln L: sizes 10k to 3.5M, 50k to 8M tokens."""
    n, d = (x.ravel() for x in np.meshgrid(np.geomspace(1e4, 3.5e6, n_sizes),
                                           np.geomspace(5e4, 8e6, n_tokens)))
    true = np.array([[np.log(60.0), np.log(300.0), alpha, beta, np.log(floor)]])
    rng = np.random.default_rng([23, seed])
    loss = foretold(FLOOR, true, n, d)[0] * np.exp(rng.normal(0, noise, n.size))
    return Points(n, d, d, loss, np.arange(n.size))


def points_to_fit() -> tuple[Points, bool]:
    """Points, and whether they are the published ones; a warning says where they are not."""
    found = published_points()
    if found is None:
        warnings.warn("the published points are not at hand; made ones stand in", stacklevel=2)
        return made_points(), False
    return found, True
