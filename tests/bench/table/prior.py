"""What a new study starts from: constants of the search's model, and rows of the table for it.

    python -m tests.bench.table prior RUNS.jsonl [BUDGETS.jsonl] [--ideas TEXT=GAINS.jsonl ...]

It writes strategies/prior.json. --ideas takes what tests.bench.gains measured of the engine's small
ideas on a text: all of it is kept, as studies of their own. The constants are the kernel of
agent/search/surrogate.py fitted to the runs by marginal likelihood; they are printed, to be written
there; with --ideas only the lengths of what the table has never moved, the others as they stand.
The rows are each study's best and those farthest from what is chosen already, so that few of them
cover what is known.
"""

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.search import surrogate
from agent.search.advisor import NOISE
from engine.config import Config
from engine.files import write_atomically
from strategies import features
from tests.bench import gains
from tests.bench.table import budgets
from tests.bench.table.make import BUDGET, NAMES
from tests.bench.table.rows import OLDEST, differing, read_rows

Array = np.ndarray[Any, np.dtype[np.float64]]

PATH = Path(features.__file__).with_name("prior.json")
VERSION = 2  # 2: the engine's small ideas
KEPT = {BUDGET: (52, 52)}  # best and spread rows of a study; of other budgets:
KEPT_ELSE = (15, 15)
WORTH = 1.75  # times the best: what is worse need not be covered
N_FIT = 900  # runs that the constants are fitted to
CAP_BPB = 2.6  # what is worse, near the unigram of either text, counts as this in the fit
LENGTH_PRIOR = (math.log(2.5), 1.0)  # mean and spread of the logarithm of a length


@dataclass(frozen=True, slots=True)
class Mean:
    """A configuration of one study and its mean over seeds."""

    study: tuple[str, int]
    config: Config
    bpb: float
    n: int


def means(runs: Path, others: Path | None) -> list[Mean]:
    found: dict[tuple[str, int], dict[str, tuple[Config, list[float]]]] = defaultdict(dict)
    scored = [(row.text, BUDGET, row.config, row.search) for row in read_rows(runs)
              if row.search is not None]
    scored += [(NAMES[0], one.budget_tokens, one.config, one.search)
               for one in (budgets.read(others) if others else [])]
    for text, budget, config, bpb in scored:
        found[text, budget].setdefault(config.hash, (config, []))[1].append(bpb)
    return [Mean(study, config, sum(scores) / len(scores), len(scores))
            for study, configs in found.items() for config, scores in configs.values()]


def of_ideas(name: str, path: Path) -> list[Mean]:
    """What a file of tests.bench.gains says, as studies of their own: its text was cut otherwise.

    In which order a text was read is no idea of these, so the rows do not say. Runs that failed
    say nothing; lines without a configuration are of files older than this.
    """
    found: dict[tuple[int, str], tuple[Config, list[float]]] = {}
    for row in gains.read(path):
        if row["bpb"] is not None and "config" in row:
            config = Config.from_dict(row["config"] | {"data_order": OLDEST.data_order})
            found.setdefault((row["tokens"], config.hash), (config, []))[1].append(row["bpb"])
    return [Mean((name, budget), config, sum(scores) / len(scores), len(scores))
            for (budget, _), (config, scores) in found.items()]


def x_of(rows: Sequence[Mean]) -> Array:
    return np.array([features.features(row.config, row.study[1]) for row in rows])


def chosen(rows: Sequence[Mean]) -> list[Mean]:
    """The best of a study, then one by one the farthest from all that is chosen."""
    rows = sorted(rows, key=lambda row: row.bpb)
    n_best, n_spread = KEPT.get(rows[0].study[1], KEPT_ELSE)
    x = x_of(rows) / surrogate.LENGTHS
    picked = list(range(min(n_best, len(rows))))
    nearest = np.array([((x[picked] - one) ** 2).sum(axis=1).min() for one in x])
    worth = np.array([row.bpb < WORTH * rows[0].bpb for row in rows])
    for _ in range(n_spread):
        i = int(np.argmax(np.where(worth, nearest, -1.0)))
        if nearest[i] <= 0:
            break
        picked.append(i)
        nearest = np.minimum(nearest, ((x - x[i]) ** 2).sum(axis=1))
    return [rows[i] for i in picked]


def document(rows: Sequence[Mean]) -> bytes:
    lines = [json.dumps({"text": row.study[0], "budget_tokens": row.study[1],
                         "bpb": round(row.bpb, 4), "n": row.n, "config": differing(row.config)})
             for row in rows]
    return (f'{{"version": {VERSION}, "rows": [\n' + ",\n".join(lines) + "\n]}\n").encode()


# --- the constants ---------------------------------------------------------------------------


class Likelihood:
    """Of centred scores under the kernel of surrogate.py, by the logarithms of its constants."""

    def __init__(self, x: Array, y: Array, study: Array) -> None:
        self.x, self.y, self.same = x, y, study[:, None] == study[None]

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Negative, with a prior on lengths, and its gradient; theta: lengths, amplitude², noise²,
        logit of ρ."""
        d = self.x.shape[1]
        lengths, amplitude, noise = np.exp(theta[:d]), math.exp(theta[d]), math.exp(theta[d + 1])
        rho = 1 / (1 + math.exp(-theta[d + 2]))
        z = self.x / lengths
        squares = (z**2).sum(1)[:, None] + (z**2).sum(1) - 2 * z @ z.T
        r = np.sqrt(5 * np.maximum(squares, 0) + 1e-12)
        scale = amplitude * np.where(self.same, 1.0, rho)
        k = scale * (1 + r + r * r / 3) * np.exp(-r)
        inverse = np.linalg.inv(k + (noise + 1e-8) * np.eye(len(self.y)))
        weights = inverse @ self.y
        slope = np.outer(weights, weights) - inverse
        middle, spread = LENGTH_PRIOR
        value = 0.5 * self.y @ weights - 0.5 * np.linalg.slogdet(inverse)[1]
        value += 0.5 * (((theta[:d] - middle) / spread) ** 2).sum()
        common = scale * (5 / 3) * (1 + r) * np.exp(-r) * slope
        gradient = np.empty_like(theta)
        for i in range(d):
            gradient[i] = -0.5 * (common * (z[:, i, None] - z[:, i]) ** 2).sum()
        gradient[:d] += (theta[:d] - middle) / spread**2
        gradient[d] = -0.5 * (slope * k).sum()
        gradient[d + 1] = -0.5 * noise * np.trace(slope)
        gradient[d + 2] = -0.5 * (slope * np.where(self.same, 0, k)).sum() * (1 - rho)
        return float(value), gradient


def fitted(rows: Sequence[Mean], ideas: Sequence[Mean] = (), seed: int = 0) -> dict[str, Any]:
    """Lengths, amplitude, noise and ρ of the largest likelihood.

    With ideas only the lengths of the features that no other row moves are free.
    """
    from scipy.optimize import minimize  # the extra `bench`

    rng = np.random.default_rng(seed)
    picked = rng.permutation(len(rows))[:N_FIT]
    x, y, study = _data([*ideas, *(rows[i] for i in picked)])
    d = x.shape[1]
    start = np.array([math.log(2.0)] * d + [math.log(0.02), math.log(3e-4), 1.0])
    bounds = [(-1.5, 3.5)] * d + [(-6, 2), (-9.5, -4), (-3, 5)]
    if ideas:
        shared = surrogate.SHARED
        stands = [*np.log(surrogate.LENGTHS), 2 * math.log(surrogate.AMPLITUDE),
                  2 * math.log(NOISE), math.log(shared / (1 - shared))]
        is_new = np.ptp(x_of(rows), axis=0) == 0
        bounds = [bounds[i] if i < d and is_new[i] else (value, value)
                  for i, value in enumerate(stands)]
        start = np.array([(low + high) / 2 for low, high in bounds])
    theta = minimize(Likelihood(x, y, study), start, jac=True, method="L-BFGS-B", bounds=bounds,
                     options={"maxiter": 60}).x
    return {"lengths": [round(float(v), 2) for v in np.exp(theta[:d])],
            "amplitude": round(math.exp(theta[d] / 2), 3),
            "noise": round(math.exp(theta[d + 1] / 2), 4),
            "shared": round(1 / (1 + math.exp(-theta[d + 2])), 2)}


def _data(rows: Sequence[Mean]) -> tuple[Array, Array, Array]:
    """Features, centred logarithms and number of the study of each row."""
    number = {key: i for i, key in enumerate(dict.fromkeys(row.study for row in rows))}
    study = np.array([number[row.study] for row in rows], dtype=float)
    y = np.array([math.log(min(row.bpb, CAP_BPB)) for row in rows])
    for i in set(study):
        y[study == i] -= y[study == i].mean()
    return x_of(rows), y, study


def of_text(word: str) -> tuple[str, Path]:
    """TEXT=FILE as a text's name and a path. Raises ValueError."""
    name, equals, path = word.partition("=")
    if not (name and equals and Path(path).is_file()):
        raise ValueError(f"'{word}' is not of the form TEXT=FILE with a file that is there")
    return name, Path(path)


def run_prior(options: argparse.Namespace) -> int:
    rows = means(options.runs, options.budgets)
    ideas = [row for name, path in options.ideas for row in of_ideas(name, path)]
    if options.fit:
        sys.stdout.write(json.dumps(fitted(rows, ideas)) + "\n")
    studies: dict[tuple[str, int], list[Mean]] = defaultdict(list)
    for row in rows:
        studies[row.study].append(row)
    kept = [*(row for study in studies.values() for row in chosen(study)), *ideas]
    write_atomically(options.to, document(kept))
    sys.stdout.write(f"{len(kept) - len(ideas)} of {len(rows)} configurations of {len(studies)} "
                     f"studies, {len(ideas)} of the small ideas\n")
    return 0
