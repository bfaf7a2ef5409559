"""Configurations as points: a column for each field, and which columns no run tells apart."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.config import BOUNDS, Config
from strategies.base import HELD, LION_FACTOR, TITLES
from strategies.tpe import AXES

DECADES = 2  # how long the axis is of a field that the strategies have none for
TOGETHER = 0.98  # correlation of two columns from which on they count as one
SHARES = {"n_hidden": "hidden width / width", "n_kv_head": "key heads / heads"}  # what is compared
SAME = 1e-9  # places nearer than that differ by rounding alone

Array = NDArray[np.float64]
_AXIS = {axis.name: axis for axis in AXES}


@dataclass(frozen=True, slots=True)
class Column:
    """One field over N configurations."""

    name: str
    is_choice: bool
    places: Array  # (N,) on its axis, or the number of its choice; nan where it has no effect

    @property
    def title(self) -> str:
        return SHARES.get(self.name, TITLES[self.name])

    @property
    def is_fixed(self) -> bool:
        """Whether it was never changed."""
        active = self.places[~np.isnan(self.places)]
        return active.size == 0 or bool(np.ptp(active) < SAME)

    def coded(self) -> Array:
        """(N, K): its places, or one column a choice; where it has no effect, the mean."""
        if not self.is_choice:
            table = self.places[:, None]
        else:
            kinds = np.unique(self.places[~np.isnan(self.places)])
            table = np.where(np.isnan(self.places)[:, None], math.nan,
                             self.places[:, None] == kinds).astype(np.float64)
        coded: Array = np.where(np.isnan(table), np.nanmean(table, axis=0), table)
        return coded


def columns_of(configs: Sequence[Config]) -> list[Column]:
    """A column for each field of the configuration, also for those that were never changed.

    Fields younger than the first ledgers have one where a configuration uses them; what no idea
    changes has none.

    Numbers stand on logarithmic axes, 1 long from the low to the high end of what the strategies
    search, so that a field moved a little has a short way there. The hidden width counts as a
    multiple of the model's, heads of keys as a share of all; Lion's rate and weight decay as what
    AdamW would have.
    """
    table = []
    for config in configs:
        row = config.canonical() | {"n_hidden": config.hidden / config.n_embd}
        if row["n_kv_head"] is not None:
            row["n_kv_head"] /= config.n_head
        table.append(row)
    unused = set.intersection(*(config.unused for config in configs)).union(HELD)
    return [_column(name, table) for name in table[0] if name not in unused]


def _column(name: str, table: Sequence[Mapping[str, Any]]) -> Column:
    values = [row[name] for row in table]
    known = [value for value in values if value is not None]
    if any(isinstance(value, str | bool) for value in known):
        kinds = sorted(set(known))
        places = [math.nan if value is None else float(kinds.index(value)) for value in values]
        return Column(name, True, np.array(places))
    if name in ("lr", "weight_decay"):
        factors = [LION_FACTOR if row["optimizer"] == "lion" else 1.0 for row in table]
        values = [value * factor if name == "lr" else value / factor
                  for value, factor in zip(values, factors, strict=True)]
    return Column(name, False, np.array([_place(name, value) for value in values]))


def _place(name: str, value: float | None) -> float:
    if value is None:
        return math.nan
    axis = _AXIS.get(name)
    if axis is None:
        is_none = BOUNDS[name][0] == 0  # a zero is allowed, and then stands at the low end
        return math.log10(value + is_none) / DECADES
    x = 1 - value if axis.is_momentum else value
    low, high = (math.log(end) for end in (axis.low, axis.high))
    return (math.log(x or axis.low) - low) / (high - low)  # a zero stands at the low end


def groups_of(columns: Sequence[Column]) -> list[list[int]]:
    """Indices of the columns that changed, those together that no configuration tells apart."""
    moved = [i for i, column in enumerate(columns) if not column.is_fixed]
    group = {i: [i] for i in moved}
    coded = {i: columns[i].coded() for i in moved}
    for i, j in itertools.combinations(moved, 2):
        if group[i] is not group[j] and _moved_together(coded[i], coded[j]):
            group[i].extend(group[j])
            for member in group[j]:
                group[member] = group[i]
    return [sorted(members) for i, members in group.items() if i == min(members)]


def _moved_together(first: Array, second: Array) -> bool:
    """Whether one is a straight line of the other, but for rounding: (N, K) and (N, L)."""
    a, b = (table - table.mean(axis=0) for table in (first, second))
    lengths = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    return bool((np.abs(a.T @ b) >= TOGETHER * lengths).any())


def spread_rows(columns: Sequence[Column], losses: Array, n_best: int, n: int) -> NDArray[np.intp]:
    """Rows that stand for all: the n_best of the lowest losses, then those farthest from all taken.

    Source: Gonzalez 1985, Clustering to minimize the maximum intercluster distance.
    """
    if len(losses) <= n:
        return np.arange(len(losses))
    points = np.hstack([column.coded() for column in columns if not column.is_fixed])  # (N, K)
    points = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), SAME)
    taken = list(np.argsort(losses, kind="stable")[:n_best])
    far = np.full(len(losses), np.inf)
    for row in taken:
        far = np.minimum(far, ((points - points[row]) ** 2).sum(axis=1))
    while len(taken) < n:
        taken.append(int(far.argmax()))
        far = np.minimum(far, ((points - points[taken[-1]]) ** 2).sum(axis=1))
    return np.sort(np.array(taken, dtype=np.intp))
