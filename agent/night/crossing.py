"""What a grid crosses beside sizes and tokens: parts of the text, seeds, and learning rates.

    sizes × tokens, on each part     one seed
    the corners and the centre of each family, on each part     more seeds: the noise
    the smallest and the largest size at the middle amount      more rates: does the rule hold?
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.night.parts import ALL, Part, parts_of
from engine.config import Config
from engine.errors import ConfigError
from engine.text import TokenSet
from strategies import grid
from strategies.base import Limits
from strategies.trunk import branching

Key = tuple[str, int, str, int]  # text, seed, hash of the configuration, tokens
RATE_STEP = 2.0  # between neighbouring learning rates


@dataclass(frozen=True, slots=True)
class Crossing:
    """What was asked for."""

    uniques: tuple[str, ...] = (ALL,)
    n_seeds: int = 1
    n_rates: int = 1
    is_trunk: bool = False  # whether runs of a row share what they have in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What every part and seed of a grid has in common."""

    sizes: Sequence[str]
    tokens: Sequence[str]
    base: Config
    limits: Limits
    seed: int
    known: Mapping[Key, str]  # states of runs
    is_trunk: bool = False

    @property
    def budgets(self) -> list[int]:
        return sorted({grid.parse_tokens(text) for text in self.tokens})


def plan(table: Table, crossing: Crossing, found: TokenSet | None) -> grid.Plan:
    """All cells, cheapest first, and those left out. Raises ConfigError on what cannot be read."""
    if crossing.n_rates % 2 == 0:
        raise ConfigError(f"{crossing.n_rates} rates have no middle one, which is the rule's; use "
                          f"{crossing.n_rates + 1}")
    table = dataclasses.replace(table, is_trunk=crossing.is_trunk)
    cells: list[grid.Cell] = []
    skipped: list[grid.Skipped] = []
    parts = parts_of(crossing.uniques, found)
    for part in parts:
        plans = [_of_seed(table, part, table.seed + i, is_first=not i)
                 for i in range(crossing.n_seeds)]
        if part == parts[-1]:
            plans += _of_rates(table, crossing.n_rates, part)
        for one in plans:
            cells += one.cells
            skipped += one.skipped
    cells.sort(key=lambda cell: cell.config.flops_per_token * cell.budget_tokens)
    return grid.Plan(cells, skipped)


def _of_seed(table: Table, part: Part, seed: int, *, is_first: bool) -> grid.Plan:
    """The table on a part of the text with a seed; of later ones the corners and the centre."""
    states = {(config, tokens): state for (text, its_seed, config, tokens), state
              in table.known.items() if text == part.text_sha256 and its_seed == seed}
    found = grid.plan(table.sizes, table.tokens, table.base, table.limits, states,
                      is_trunk=table.is_trunk)
    short = {budget for budget in table.budgets if _why_short(part, budget, table.base)}
    wanted = None if is_first else set(corners(table, short))
    cells, skipped = [], []
    for cell in found.cells:
        if wanted is not None and (cell.size, cell.budget_tokens) not in wanted:
            continue
        if why := _why_short(part, cell.budget_tokens, table.base):
            skipped.append(grid.Skipped(cell.size, cell.budget_tokens, why,
                                        unique=part.asked, seed=seed))
        else:
            beside = "" if part.asked is None else f"; {part.words}"
            cells.append(dataclasses.replace(cell, reason=cell.reason + beside,
                                             unique=part.asked, seed=seed))
    skipped += [dataclasses.replace(one, unique=part.asked, seed=seed) for one in found.skipped
                if wanted is None or (one.size, one.budget_tokens) in wanted]
    return grid.Plan(cells, skipped)


def _why_short(part: Part, budget: int, base: Config) -> str | None:
    """Why a part of the text makes no cell with so many tokens."""
    if part.n_tokens is None or part.asked is None:
        return None
    if part.n_tokens < 2 * base.seq_len:
        return (f"its {part.n_tokens:,} different tokens are too few for windows of "
                f"{base.seq_len}, which need {2 * base.seq_len:,}")
    if budget <= part.n_tokens:
        return (f"of its {part.n_tokens:,} different tokens none would be seen twice: it is the "
                "cell of all of the text")
    return None


def corners(table: Table, short: set[int]) -> Iterator[tuple[str, int]]:
    """The corners and the centre of each family's cells, by size and tokens."""
    budgets = [budget for budget in table.budgets if budget not in short]
    families: dict[str, list[str]] = {}
    for size in table.sizes:
        families.setdefault(family_of(size, table.base), []).append(size)
    for sizes in families.values():
        sizes = _by_size(sizes, table.base)
        for size in (sizes[0], sizes[-1]):
            yield from ((size, budget) for budget in (*budgets[:1], *budgets[-1:]))
        yield from ((sizes[len(sizes) // 2], budget)
                    for budget in budgets[len(budgets) // 2:][:1])


def _by_size(sizes: Sequence[str], base: Config) -> list[str]:
    return sorted(sizes, key=lambda size: grid.sized(size, base).n_params)


def family_of(size: str, base: Config) -> str:
    """The family of a size as asked for; one without is balanced, or of the mixer that is set."""
    name = size.strip().rpartition(" ")[0].strip().lower()
    return name or ("rwkv" if base.mixer == "rwkv" else "balanced")


def _of_rates(table: Table, n_rates: int, part: Part) -> list[grid.Plan]:
    """The smallest and the largest size at other learning rates than the rule's."""
    if n_rates == 1:
        return []
    sizes, budgets = _by_size(table.sizes, table.base), table.budgets
    ends = list(dict.fromkeys((sizes[0], sizes[-1])))
    budget = budgets[len(budgets) // 2]
    cells, skipped = [], []
    for size in ends:
        plain = grid.sized(size, table.base)
        if table.is_trunk:
            plain = branching(plain, budgets)[budget]
        for i in range(n_rates):
            rate = RATE_STEP ** (i - n_rates // 2)
            if rate == 1:
                continue
            config = _at_rate(plain, rate, size)
            state = table.known.get((part.text_sha256 or "", table.seed, config.hash, budget))
            if state is None:
                cells.append(grid.Cell(
                    config, budget, f"learning rate: {size} on {budget:,} tokens at "
                    f"{rate:g} times the rate of the width rule", size,
                    unique=part.asked, seed=table.seed, rate=rate))
            else:
                skipped.append(grid.Skipped(size, budget, grid.STATES.get(state, state), state,
                                            part.asked, table.seed, rate))
    return [grid.Plan(cells, skipped)]


def _at_rate(plain: Config, rate: float, size: str) -> Config:
    try:
        return dataclasses.replace(plain, lr=plain.lr * rate)
    except ConfigError as error:
        raise ConfigError(f"{rate:g} times the rate of {size} is none to tune with: {error}; give "
                          "another lr, or fewer rates") from error


def rows(sizes: Sequence[str], parts: Sequence[Part]) -> list[str]:
    """Names of the rows of a grid's table: each size on each part of the text."""
    return [row_of(size, part.asked) for part in parts for size in dict.fromkeys(sizes)]


def row_of(size: str, unique: str | None) -> str:
    return size if unique is None else f"{size}, {unique}"

