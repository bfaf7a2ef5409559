"""The size × data grid: every size at every token count, cheapest first.

    plan(["64d/2L", "1.3M"], ["100k", "2M"], base, limits) → Plan(cells, skipped)
"""

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.config import BOUNDS, Config
from engine.errors import ConfigError
from strategies.base import (
    Limits,
    describe_changes,
    repaired,
    resized,
    why_not,
    width_rule,
)
from strategies.families import FAMILIES, of_size
from strategies.trunk import branching

MAX_COUNT = 10**15  # tokens or parameters: a thousand times what a phone sees in a year
SHOWN = 40  # characters of a count that is refused
STATES = {"queued": "already queued", "running": "running now", "finished": "already done",
          "pruned": "already given up early", "diverged": "already diverged"}
UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the grid."""

    config: Config
    budget_tokens: int
    reason: str
    size: str  # as asked for
    unique: str | None = None  # different text, as asked for; None: all
    seed: int | None = None  # None: that of the grid
    rate: float | None = None  # learning rate over that of the width rule; None: the rule's


@dataclass(frozen=True, slots=True)
class Skipped:
    """A cell of the grid that will not be run, and why."""

    size: str
    budget_tokens: int
    reason: str
    state: str | None = None  # of the run that is this cell already; None where there is none
    unique: str | None = None
    seed: int | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells to run, cheapest first, and those left out."""

    cells: list[Cell]
    skipped: list[Skipped]


def parse_size(text: str, base: Config | None = None) -> tuple[int, int]:
    """(width, layers) from "64d/2L", or from a parameter count such as "300k" or "1.3M".

    A count is met within 15 % by the balanced family (families.py), with the vocabulary, head and
    hidden ratio of base. Raises ConfigError.
    """
    base = base or Config()
    shape = re.fullmatch(r"(\d{1,18})d/(\d{1,18})L", text.strip(), re.IGNORECASE)
    if shape:
        return _checked_shape(text, int(shape[1]), int(shape[2]))
    target = _count(text)
    if target is None or target > MAX_COUNT:
        raise ConfigError(f"size '{text[:SHOWN]}' is neither a shape nor a parameter count; "
                          "use 64d/2L or 1.3M")
    found = of_size("balanced", target, base, text)
    return found.n_embd, found.n_layer


def _checked_shape(text: str, width: int, layers: int) -> tuple[int, int]:
    for name, value in (("n_embd", width), ("n_layer", layers)):
        low, high = BOUNDS[name]
        if not low <= value <= high:
            raise ConfigError(f"size '{text}' has {name}={value}; use {low:g} to {high:g}, "
                              "as in 64d/2L")
    if width % 2:
        raise ConfigError(f"size '{text}' has the odd width {width}, which no head can halve; "
                          f"use {width + 1}d/{layers}L")
    return width, layers


@functools.lru_cache(maxsize=256)  # a grid asks for each size once a seed and a part of the text
def sized(text: str, base: Config) -> Config:
    """The base in a size: a shape, a count, or a count in a family, as "deep 300k".

    A count alone is balanced. Raises ConfigError.
    """
    name, _, rest = text.strip().rpartition(" ")
    if not name:
        return repaired(base, resized(base, *parse_size(text, base)))
    return of_family(name, rest, base)


def of_family(name: str, count: str, base: Config) -> Config:
    """The base in a family's shape of so many parameters, as "300k". Raises ConfigError."""
    family = name.strip().lower()
    if family not in FAMILIES:
        raise ConfigError(f"family '{name[:SHOWN]}' is not known; use {', '.join(FAMILIES)}")
    n = _count(count)
    if n is None or n > MAX_COUNT:
        raise ConfigError(f"'{count[:SHOWN]}' is not a parameter count; use 300k or 1.3M")
    return of_size(family, n, base, count)


def parse_tokens(text: str | int) -> int:
    """A token count from "100k", "1.5M", "200000" or a whole number. Raises ConfigError."""
    n, shown = _count(str(text)), str(text)[:SHOWN]
    if n is not None and n > MAX_COUNT:
        raise ConfigError(f"token count '{shown}' is more than any device will see; use 200k or 2M")
    if n is None or n < 1 or n != int(n):
        raise ConfigError(f"token count '{shown}' is not a whole number above zero; use 200k or 2M")
    return int(n)


def _count(text: str) -> float | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text.strip())
    if match is None or float(match[1]) == 0:
        return None
    return round(float(match[1]) * UNITS[match[2].lower()], 6)


def plan(sizes: Sequence[str], tokens: Sequence[str | int], base: Config, limits: Limits,
         known: Mapping[tuple[str, int], str] | None = None, *, is_trunk: bool = False) -> Plan:
    """Every size at every token count that fits and has no run yet, cheapest first.

    known holds the state of a run by (config hash, budget); with is_trunk those of a size are
    branches of one (trunk.py). Cheapest first, so that an interrupted
    night leaves a complete small corner. Raises ConfigError on a size or count it cannot read.
    """
    cells: list[Cell] = []
    skipped: list[Skipped] = []
    seen: set[tuple[str, int]] = set()
    shapes = [(size, sized(size, base)) for size in sizes]
    budgets = [parse_tokens(text) for text in tokens]
    for size, plain in shapes:
        branches = branching(plain, budgets) if is_trunk else {}
        for budget in budgets:
            config = branches.get(budget, plain)
            key = (config.hash, budget)
            state = (known or {}).get(key)
            obstacle = _left_out(config, budget, limits, state, key in seen)
            seen.add(key)
            if obstacle:
                skipped.append(Skipped(size, budget, obstacle, state))
            else:
                cells.append(Cell(config, budget, _reason(base, config, size, budget), size))
    cells.sort(key=lambda cell: cell.config.flops_per_token * cell.budget_tokens)
    return Plan(cells, skipped)


def _left_out(config: Config, budget: int, limits: Limits, state: str | None,
              is_repeated: bool) -> str | None:
    if is_repeated:
        return "the same cell as an earlier one of this grid"
    if state is not None:
        return f"{STATES.get(state, state)} with this configuration and budget"
    obstacle = why_not(config, dataclasses.replace(limits, budget_tokens=budget, min_steps=1))
    if obstacle is None and (n := config.steps_for(budget)) < limits.min_steps:
        return (f"{n} step{'s' if n > 1 else ''} of {config.tokens_per_step:,} tokens, and fewer "
                f"than {limits.min_steps} steps tell nothing; give "
                f"{math.ceil(limits.min_steps * config.tokens_per_step / 1000)}k tokens or more")
    return obstacle


def _reason(base: Config, config: Config, size: str, budget: int) -> str:
    changes = describe_changes(base, config)
    detail = f"; {changes}" if changes else "; the base configuration"
    rule = f", the rate {width_rule(base.optimizer)}" if config.lr != base.lr else ""
    return f"size × data grid: {size} on {budget:,} tokens{detail}{rule}"
