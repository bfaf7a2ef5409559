"""Which fields of the configuration mattered: PED-ANOVA over the runs of one text and budget.

A field matters as far as the best runs have other values of it than all runs have. Both are
smoothed into densities on a grid, and the Pearson divergence between them is the importance.
No regression forest is needed. Importance is within what was tried: of a field that was moved
once or twice it is chance.

Source: Watanabe, Bansal and Hutter 2023, PED-ANOVA, arXiv:2304.10255.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.ledger import Queries, Run
from engine.config import Config
from engine.errors import LedgerError
from strategies.base import TITLES, shown

QUANTILE = 0.25  # of the configurations are "the best": a tenth, as usual, is too few in one night
LEAST = 10  # configurations, below which densities are not worth drawing
N_CELLS = 50  # of the grid of a numeric field
LOG_FROM = 4.0  # a field whose values span such a factor is looked at by its logarithm
LEAST_WIDTH = 0.5 / 1.64  # cells: a kernel keeps nine tenths of its weight in its own cell
FLOOR = 1e-12  # of a density, so that it can divide

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """One field and its share of what made the best runs the best."""

    field: str
    title: str
    share: float  # of 1 over all fields
    n_moved: int  # configurations that have another value than most
    best: str  # its values among the best configurations, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All that `agent importance` shows."""

    text: str
    budget_tokens: int
    n_configs: int
    n_best: int
    fields: list[Importance]  # the most important first


def rank(ledger: Queries, text_sha256: str, budget_tokens: int) -> Ranking:
    """The fields by importance over all runs of a text and budget; LedgerError if too few ended.

    A configuration counts once, with the mean over its seeds; one that diverged counts as worse
    than any that finished.
    """
    configs, scores = trials(ledger.runs_on(text_sha256, budget_tokens))
    if len(configs) < LEAST:
        raise LedgerError(
            f"importance takes at least {LEAST} configurations that ended on one text and budget, "
            f"and here are {len(configs)} with {budget_tokens:,} tokens; `agent run` makes more")
    table = [_values(config) for config in configs]
    best = best_of(scores, QUANTILE)
    shares = ped_anova(table, scores, QUANTILE)
    return Ranking(
        text=next(corpus.name for corpus in ledger.corpora() if corpus.text_sha256 == text_sha256),
        budget_tokens=budget_tokens, n_configs=len(configs), n_best=len(best),
        fields=[Importance(field=name, title=_title(name), share=share,
                           n_moved=_n_moved([row[name] for row in table]),
                           best=_seen([table[i][name] for i in best]))
                for name, share in sorted(shares.items(), key=lambda pair: -pair[1])])


def trials(runs: Sequence[Run]) -> tuple[list[Config], list[float]]:
    """Configurations that ended and their mean bits per byte; infinite where one diverged."""
    found: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if (run.state == "finished" and run.val_bpb is not None) or run.state == "diverged":
            found[run.config_hash or ""].append(run)
    return ([Config.from_dict(same[0].config) for same in found.values()],
            [sum(math.inf if run.val_bpb is None else run.val_bpb for run in same) / len(same)
             for same in found.values()])


def _values(config: Config) -> dict[str, Any]:
    """The fields as they are free: the hidden width follows the model's unless it was set."""
    return config.canonical() | {"n_hidden": config.hidden / config.n_embd}


def _title(name: str) -> str:
    return "hidden width / width" if name == "n_hidden" else TITLES[name]


def _n_moved(values: Sequence[Any]) -> int:
    return len(values) - max(Counter(values).values())


def _seen(values: Sequence[Any]) -> str:
    if any(isinstance(value, str | bool) for value in values):
        return ", ".join(sorted({shown(value) for value in values}))
    low, high = min(values), max(values)
    return shown(low) if low == high else f"{shown(low)} to {shown(high)}"


# --- the method ------------------------------------------------------------------------------


def best_of(scores: Sequence[float], quantile: float) -> list[int]:
    """Rows of the lowest scores, at least one; ties with the last of them are in it."""
    n = max(1, math.ceil(quantile * len(scores)))
    worst = sorted(scores)[n - 1]
    return [i for i, score in enumerate(scores) if score <= worst]


def ped_anova(table: Sequence[Mapping[str, Any]], scores: Sequence[float],
              quantile: float) -> dict[str, float]:
    """Share of each field in being among the best quantile of the scores; lower is better.

    table   one mapping of field → value a trial: numbers, truth values or texts. A field that
            some trial lacks (None), or that never varied, is left out.
    returns shares that sum to 1, or are all 0 where the best are spread as all are
    """
    best = best_of(scores, quantile)
    found = {}
    for name in table[0]:
        column = [row[name] for row in table]
        if len(set(column)) > 1 and None not in column:
            cells, n_cells, is_ordered = _on_grid(column)
            every = _density(cells, n_cells, is_ordered)
            top = _density(cells[best], n_cells, is_ordered)
            found[name] = float(every @ (top / every - 1) ** 2)
    total = sum(found.values())
    return {name: value / total if total else 0.0 for name, value in found.items()}


def _on_grid(column: Sequence[Any]) -> tuple[NDArray[np.intp], int, bool]:
    """The cell of each value, how many cells there are, and whether their order means anything."""
    if any(isinstance(value, str | bool) for value in column):
        kinds = sorted(set(column))
        return np.array([kinds.index(value) for value in column]), len(kinds), False
    values = np.array(column, dtype=np.float64)
    is_log = values.min() > 0 and values.max() >= LOG_FROM * values.min()
    n_cells = N_CELLS
    if not is_log and all(isinstance(value, int) for value in column):
        n_cells = min(n_cells, max(column) - min(column) + 1)
    places = np.log(values) if is_log else values
    step = (places.max() - places.min()) / (n_cells - 1)
    return np.rint((places - places.min()) / step).astype(np.intp), n_cells, True


def _density(cells: NDArray[np.intp], n_cells: int, is_ordered: bool) -> Array:
    """Parzen's estimate on the grid, (n_cells,), summing to 1; one more trial is spread evenly.

    Categories are counted as they are. The authors' code smears each by a fixed amount, which
    hides a category that matters behind an idle number: a test has the odds.
    """
    prior = np.full(n_cells, 1 / n_cells)
    if is_ordered:
        kernels = _kernels(n_cells, _width(cells))[cells]  # (n_trials, n_cells)
    else:
        kernels = np.eye(n_cells)[cells]
    density: Array = (kernels.sum(axis=0) + prior) / (len(cells) + 1) + FLOOR
    return density


def _width(cells: NDArray[np.intp]) -> float:
    """Scott's rule, in cells. Source: Scott 1992, Multivariate Density Estimation, 6.41."""
    low, high = np.percentile(cells, [25, 75])
    deviation = float(np.std(cells, ddof=1)) if len(cells) > 1 else 0.0
    spread = min(deviation, float(high - low) / 1.34)
    return max(LEAST_WIDTH, 1.059 * spread / float(len(cells) ** 0.2))


def _kernels(n_cells: int, width: float) -> Array:
    """Row i: a normal distribution around cell i, cut off at the ends of the grid."""
    edges = np.arange(n_cells + 1) - 0.5
    below = np.array([[math.erf((edge - centre) / (width * math.sqrt(2))) for edge in edges]
                      for centre in range(n_cells)])
    kernels = np.diff(below, axis=1)
    result: Array = kernels / kernels.sum(axis=1, keepdims=True)
    return result
