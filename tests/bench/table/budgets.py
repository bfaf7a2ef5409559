"""Runs at other budgets, around what is good at the table's own: a prior is of use there, too.

A line is {"budget_tokens", "slot", "config", "state", "search"}. Width, layers, batch and window
are scattered about the good recipe times the power of the budget that suits them; the rate about
its own.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.config import Config
from engine.errors import ConfigError
from strategies.base import legal_width, repaired, resized
from strategies.features import LAYER_POWER, STEP_POWER, WIDTH_POWER
from tests.bench.nights import append_night as append_line
from tests.bench.table.make import BUDGET, NAMES, Bench, prepare, run
from tests.bench.table.plan import Slot
from tests.bench.table.rows import Row, differing, read_lines, read_rows

# Tokens of a run, how many runs, and the largest model: half an hour of a core each.
BUDGETS = ((20_000, 120, 1_500_000), (225_000, 110, 1_500_000), (500_000, 40, 900_000))
GOOD_PART = 1 / 3  # of the table's runs, from which recipes are taken
SCATTER = {"n_embd": 0.35, "n_layer": 0.4, "batch_size": 0.5, "seq_len": 0.4, "lr": 0.4}
MIN_STEPS = 20


@dataclass(frozen=True, slots=True)
class Scored:
    """A configuration at a budget and what it scored."""

    budget_tokens: int
    config: Config
    search: float


def read(path: Path) -> list[Scored]:
    """The finished runs of a file."""
    return [Scored(line["budget_tokens"], Config.from_dict(line["config"]), line["search"])
            for line in read_lines(path) if line["state"] == "finished"]


def plan(good: Sequence[Config]) -> Iterator[tuple[int, int, Config]]:
    """(budget, slot, configuration), all budgets in turn; the same for the same recipes."""
    slots = [(slot / n, budget, slot, largest) for budget, n, largest in BUDGETS
             for slot in range(n)]
    for _, budget, slot, largest in sorted(slots):
        rng = np.random.default_rng([budget, slot])
        config = scattered(good[int(rng.integers(len(good)))], budget, rng)
        if config and config.n_params <= largest and config.steps_for(budget) >= MIN_STEPS:
            yield budget, slot, config


def scattered(config: Config, budget: int, rng: np.random.Generator) -> Config | None:
    """A recipe of the table as another budget may want it; None where that is not legal."""
    log_ratio = math.log(budget / BUDGET)

    def drawn(name: str, power: float) -> float:
        value: float = getattr(config, name)
        return value * math.exp(float(rng.normal(power * log_ratio, SCATTER[name])))

    width, layers = legal_width(drawn("n_embd", WIDTH_POWER)), drawn("n_layer", LAYER_POWER)
    batch, window = drawn("batch_size", STEP_POWER), drawn("seq_len", 0.2)
    try:
        found = repaired(config, resized(config, width, max(1, round(layers))))
        return replace(found, batch_size=max(1, round(batch)), lr=min(0.05, drawn("lr", 0.0)),
                       seq_len=max(8, round(window / 8) * 8 if window > 16 else round(window)))
    except ConfigError:
        return None


def make(options: argparse.Namespace) -> int:
    rows = sorted((row for row in read_rows(options.runs) if row.text == NAMES[0]
                   and row.search is not None), key=_search)
    good = [row.config for row in rows[:max(20, round(GOOD_PART * len(rows)))]]
    tokens = prepare(NAMES[0], options.data, options.cache or options.out.parent / "texts")
    done = {(line["budget_tokens"], line["slot"]) for line in read_lines(options.out)}
    benches: dict[int, Bench] = {}
    for budget, slot, config in plan(good):
        if (budget, slot) in done:
            continue
        bench = benches.setdefault(budget, Bench.of(tokens, budget))
        row = run(bench.texts, Slot(NAMES[0], slot, "near", config, (0,)), 0, budget)
        append_line(options.out, {"budget_tokens": budget, "slot": slot, "state": row.state,
                                  "config": differing(config), "search": row.search})
        sys.stderr.write(f"{budget:,} tokens, {slot}: {row.search}\n")
    return 0


def _search(row: Row) -> float:
    assert row.search is not None  # left out before
    return row.search
