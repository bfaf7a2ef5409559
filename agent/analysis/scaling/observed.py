"""The runs a law is fitted to: which count, by which count of parameters, and whether they are
enough to tell an exponent."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.analysis.scaling.forms import Points

LEAST_RUNS, LEAST_SIZES, LEAST_DECADES = 24, 5, 1.5  # for an exponent of a power law
# Passes over its different text beyond which a run is no point of a law. By the form a repeat is
# worth nothing at worst; the held-out loss rises again where a small text is learnt by heart, which
# no constants can say. Muennighoff et al. 2023, arXiv:2305.16264: some 16 repeats are worth it.
MOST_PASSES = 20.0
CONVENTIONS = {
    "matrices": "parameters of the blocks' matrices",
    "with head": "these and the head's",
    "all": "all parameters",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One finished run: what it was and what it scored."""

    label: str
    family: str
    config_hash: str
    seed: int
    n_matrices: int  # parameters, by each convention
    n_with_head: int
    n_all: int
    tokens: int  # seen
    unique: int  # of them different
    loss: float  # nats per token on the search shard

    def size(self, convention: str) -> int:
        return {"matrices": self.n_matrices, "with head": self.n_with_head,
                "all": self.n_all}[convention]

    @property
    def cell(self) -> tuple[str, str, int, int]:
        """What its other seeds share."""
        return self.family, self.config_hash, self.tokens, self.unique


@dataclass(frozen=True, slots=True)
class Extent:
    """How much ground the runs cover."""

    n_runs: int
    n_cells: int
    sizes: tuple[int, ...]  # parameters, by the convention asked for
    decades_n: float
    decades_d: float


def extent(runs: Sequence[Observed], convention: str = "matrices") -> Extent:
    """The ground that runs cover; zeros for none."""
    sizes = sorted({run.size(convention) for run in runs})
    return Extent(len(runs), len({run.cell for run in runs}), tuple(sizes), _decades(sizes),
                  _decades([run.tokens for run in runs]))


def _decades(values: Iterable[int]) -> float:
    logs = [math.log10(value) for value in values if value > 0]
    return max(logs) - min(logs) if logs else 0.0


def points_of(runs: Sequence[Observed], convention: str = "matrices") -> Points:
    """The runs as arrays, with parameters by one of CONVENTIONS."""
    numbers: dict[tuple[str, str, int, int], int] = {}
    cells = [numbers.setdefault(run.cell, len(numbers)) for run in runs]
    return Points(np.array([run.size(convention) for run in runs], float),
                  np.array([run.tokens for run in runs], float),
                  np.array([run.unique for run in runs], float),
                  np.array([run.loss for run in runs], float), np.array(cells, int))


def families_names(runs: Sequence[Observed]) -> list[str]:
    """Names of the families, that of the most runs first."""
    names = [run.family for run in runs]
    return sorted(set(names), key=lambda name: (-names.count(name), name))


def within_passes(runs: Sequence[Observed]) -> list[Observed]:
    """Those that saw their text no more than MOST_PASSES times."""
    return [run for run in runs if run.tokens <= MOST_PASSES * run.unique]


def of_law(runs: Sequence[Observed]) -> list[Observed]:
    """The points of a law: of the family of the most runs, since families have constants of their
    own, or of all together where that one alone has too few.
    """
    within = within_passes(runs)
    most = next(iter(families_names(within)), None)
    own = [run for run in within if run.family == most]
    return own if why_not(extent(own)) is None else within


def why_not(ground: Extent) -> str | None:
    """Why these runs tell no exponent, and what to run; None where they are enough."""
    lacks = [words for is_short, words in (
        (ground.n_runs < LEAST_RUNS, f"{ground.n_runs} of {LEAST_RUNS} runs"),
        (len(ground.sizes) < LEAST_SIZES, f"{len(ground.sizes)} of {LEAST_SIZES} sizes"),
        (ground.decades_n < LEAST_DECADES,
         f"{ground.decades_n:.1f} of {LEAST_DECADES} decades of parameters"),
        (ground.decades_d < LEAST_DECADES,
         f"{ground.decades_d:.1f} of {LEAST_DECADES} decades of tokens")) if is_short]
    if not lacks:
        return None
    return (f"an exponent needs more: there are {', '.join(lacks)}; queue them with `agent grid "
            "--sizes 20k,60k,200k,600k,2M --tokens 50k,150k,500k,1.5M,4M` and let `agent run` "
            "compute them")
