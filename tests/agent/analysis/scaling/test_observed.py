"""Which runs are enough for an exponent, and how they become points."""

import re
from dataclasses import replace

import numpy as np
import pytest

from agent.analysis.scaling.observed import (
    MOST_PASSES,
    Observed,
    extent,
    of_law,
    points_of,
    why_not,
)
from engine.config import Config
from strategies.grid import parse_tokens, sized


def observed(**given) -> Observed:
    its = {"label": "G1", "family": "balanced", "config_hash": "a", "seed": 1, "n_matrices": 100,
           "n_with_head": 150, "n_all": 200, "tokens": 1000, "unique": 1000, "loss": 3.0}
    return Observed(**its | given)


def grid(n_sizes: int = 5, n_tokens: int = 5, ratio: float = 3.0) -> list[Observed]:
    return [observed(label=f"G{i}-{j}", config_hash=str(i), n_matrices=round(1e4 * ratio**i),
                     n_all=round(2e4 * ratio**i), tokens=round(5e4 * ratio**j),
                     unique=round(5e4 * ratio**j))
            for i in range(n_sizes) for j in range(n_tokens)]


def test_five_sizes_on_five_amounts_are_enough() -> None:
    ground = extent(grid())
    assert (ground.n_runs, ground.n_cells, len(ground.sizes)) == (25, 25, 5)
    assert ground.decades_n == pytest.approx(4 * np.log10(3), abs=1e-3)
    assert why_not(ground) is None


@pytest.mark.parametrize(("runs", "lack"), [
    (grid(4, 6), "4 of 5 sizes"), (grid()[:20], "20 of 24 runs"), ([], "0 of 24 runs"),
    (grid(ratio=1.5), "of 1.5 decades of parameters")])
def test_what_is_too_little_is_refused_with_what_to_run(runs, lack) -> None:
    said = why_not(extent(runs))
    assert lack in said
    assert "agent grid --sizes" in said
    assert said.count(". ") == 0


def test_the_grid_that_it_says_to_queue_is_enough_with_the_default_vocabulary() -> None:
    said = why_not(extent([]))
    (sizes,), (tokens,) = (re.findall(rf"--{name} ([^ `]+)", said) for name in ("sizes", "tokens"))
    runs = [observed(label=size + amount, config_hash=size, tokens=parse_tokens(amount),
                     n_matrices=sized(size, Config()).n_layer * sized(size, Config()).block_weights)
            for size in sizes.split(",") for amount in tokens.split(",")]
    assert why_not(extent(runs)) is None


def test_a_law_has_one_family_and_no_text_that_is_learnt_by_heart() -> None:
    balanced, deep = grid(), [replace(run, family="deep") for run in grid()[:10]]
    by_heart = [replace(run, unique=run.tokens // 21) for run in balanced[:5]]
    at_most = [replace(run, unique=run.tokens / MOST_PASSES) for run in balanced[:5]]
    assert of_law([*deep, *balanced, *by_heart, *at_most]) == [*balanced, *at_most]


def test_families_that_are_too_few_alone_tell_one_law_together() -> None:
    runs = [replace(run, family="deep" if i % 2 else "balanced") for i, run in enumerate(grid())]
    assert of_law(runs) == runs
    assert of_law([]) == []


def test_seeds_share_a_cell_and_nothing_else_does() -> None:
    runs = [observed(), observed(seed=2), observed(tokens=2000), observed(unique=500),
            observed(family="deep"), observed(config_hash="b")]
    assert points_of(runs).cell.tolist() == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(("convention", "n"), [("matrices", 100), ("with head", 150),
                                               ("all", 200)])
def test_parameters_are_counted_by_the_convention(convention, n) -> None:
    assert points_of([observed()], convention).n.tolist() == [n]
