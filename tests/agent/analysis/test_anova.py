"""Shares of fields: on tables where they are worked out by hand, and planted under a climb."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

from agent.analysis.anova import MOST_POINTS, functional_anova
from agent.analysis.places import Column

Loss = Callable[[np.ndarray], np.ndarray]
N_FIELDS, N_NUMBERS = 12, 10  # the last two are choices, of 2 and of 3
KINDS = (2, 3)


def table(*places: np.ndarray) -> list[Column]:
    return [Column(f"x{i}", i >= N_NUMBERS, values) for i, values in enumerate(places)]


def shares(points: np.ndarray, losses: np.ndarray) -> dict[str, float]:
    found = functional_anova(table(*points.T), losses, np.full(len(losses), 1e-6))
    return {one.names[0]: one.share for one in found.fields}


@pytest.fixture(scope="module")
def square() -> np.ndarray:
    """Every place of two fields with every other, and a third by chance."""
    both = np.array(list(itertools.product(np.linspace(0, 1, 9), repeat=2)))
    return np.column_stack([both, np.random.default_rng(0).uniform(size=len(both))])


def test_the_share_of_a_straight_line_is_its_slope_squared(square: np.ndarray) -> None:
    found = shares(square, 2 * square[:, 0] + square[:, 1])
    assert found == {"x0": pytest.approx(0.8, abs=0.02), "x1": pytest.approx(0.2, abs=0.02),
                     "x2": pytest.approx(0, abs=0.01)}


def test_what_only_two_fields_do_together_is_no_fields_share(square: np.ndarray) -> None:
    found = functional_anova(table(*square.T), (square[:, 0] - 0.5) * (square[:, 1] - 0.5),
                             np.full(len(square), 1e-6))
    assert found.pairs.share > 0.9
    assert found.largest_pairs[0].names == ("x0", "x1")
    assert max(one.share for one in found.fields) < 0.05


def test_fields_that_moved_together_have_one_share(square: np.ndarray) -> None:
    points = np.column_stack([square[:, 0], square[:, 0] / 3, square[:, 1]])
    found = functional_anova(table(*points.T), 2 * square[:, 0] + square[:, 1],
                             np.full(len(points), 1e-6))
    assert [one.names for one in found.fields] == [("x0", "x1"), ("x2",)]
    assert found.fields[0].low < 0.8 < found.fields[0].high


def test_a_field_that_never_varied_has_no_share(square: np.ndarray) -> None:
    points = np.column_stack([square[:, 0], np.ones(len(square)), square[:, 1]])
    assert shares(points, square[:, 0]).keys() == {"x0", "x2"}


def test_few_runs_say_less_than_many() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(80, 4))
    losses = points @ [2.0, 1.0, 0.5, 0.0]
    few, many = (functional_anova(table(*points[:n].T), losses[:n], np.full(n, 1e-3)).fields[0]
                 for n in (8, 80))
    assert few.high - few.low > 2 * (many.high - many.low)


def test_the_same_runs_say_the_same(square: np.ndarray) -> None:
    assert shares(square, square[:, 0]) == shares(square, square[:, 0])


def test_of_two_thousand_runs_some_stand_for_all() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(2000, 6))
    losses = 2 * points[:, 0] + points[:, 1] + 0.01 * rng.normal(size=2000)
    found = functional_anova(table(*points.T), losses, np.full(2000, 1e-4))
    assert found.n_points == MOST_POINTS
    assert {one.names[0]: one.share for one in found.fields} == {
        "x0": pytest.approx(0.8, abs=0.02), "x1": pytest.approx(0.2, abs=0.02),
        **{f"x{i}": pytest.approx(0, abs=0.01) for i in (2, 3, 4, 5)}}


# --- planted surfaces under a climb ----------------------------------------------------------


def planted(rng: Generator) -> Loss:
    """Bowls, steeper on one side, in ten numbers, levels of two choices and four pairs.

    Their depths span two decades; three fields do nothing.
    """
    depth = 10 ** rng.uniform(-1.5, 0.5, N_FIELDS)
    depth[rng.choice(N_FIELDS, 3, replace=False)] = 0
    best = rng.uniform(0.2, 0.9, N_FIELDS)
    levels = [0.3 * np.sqrt(depth[N_NUMBERS + i]) * rng.normal(size=n)
              for i, n in enumerate(KINDS)]
    live = np.flatnonzero(depth[:N_NUMBERS])
    pairs = [rng.choice(live, 2, replace=False) for _ in range(4)]
    twists = [0.8 * rng.normal() * np.sqrt(depth[a] * depth[b]) for a, b in pairs]

    def loss(points: np.ndarray) -> np.ndarray:
        away = points - best
        bowls = (depth * away ** 2 * (1 + (away > 0)))[:, :N_NUMBERS].sum(axis=1)
        chosen = sum(level[points[:, N_NUMBERS + i].astype(int)]
                     for i, level in enumerate(levels))
        return bowls + chosen + sum(twist * away[:, a] * away[:, b]
                                    for twist, (a, b) in zip(twists, pairs, strict=True))

    return loss


def climb(loss: Loss, rng: Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A night: from a poor start one or two fields at a time, kept if better on one noisy run."""
    head = np.where(np.arange(N_FIELDS) < N_NUMBERS, rng.uniform(0, 0.35, N_FIELDS), 0)
    step = rng.uniform(0.05, 0.3, N_FIELDS)
    points, losses = [head], [loss(head[None])[0]]
    best = losses[0]
    while len(points) < n:
        point = head.copy()
        for i in rng.choice(N_FIELDS, rng.integers(1, 3), replace=False):
            way = step[i] * rng.choice([-1, 1]) * rng.uniform(0.5, 1.5)
            point[i] = np.clip(point[i] + way, 0, 1) if i < N_NUMBERS else (
                (point[i] + rng.integers(1, KINDS[i - N_NUMBERS])) % KINDS[i - N_NUMBERS])
        points.append(point)
        losses.append(loss(point[None])[0] + 0.01 * rng.normal())
        if losses[-1] < best:
            head, best = point, losses[-1]
    return np.array(points), np.array(losses)


def true_shares(loss: Loss, points: np.ndarray, rng: Generator) -> np.ndarray:
    """By brute force: the variance of the mean over all other fields, each even over its range."""
    low, high = points.min(axis=0), points.max(axis=0)
    drawn = rng.uniform(low, high, (1500, N_FIELDS))
    for i in range(N_NUMBERS, N_FIELDS):
        drawn[:, i] = rng.choice(np.unique(points[:, i]), len(drawn))
    found = np.zeros(N_FIELDS)
    for i in range(N_FIELDS):
        places = np.unique(points[:, i]) if i >= N_NUMBERS else (
            low[i] + (high[i] - low[i]) * (np.arange(17) + 0.5) / 17)
        means = []
        for place in places:
            drawn_there = drawn.copy()
            drawn_there[:, i] = place
            means.append(loss(drawn_there).mean())
        found[i] = np.var(means)
    return np.where(found < 1e-12, 0, found / loss(drawn).var())


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's, equal values at their mean rank."""
    ranks = [(values[:, None] > values).sum(axis=1) + (values[:, None] == values).sum(axis=1) / 2
             for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def night(seed: int) -> tuple[float, float]:
    """Rank correlation with the truth, and how many fields have it in their interval."""
    rng = np.random.default_rng(seed)
    loss = planted(rng)
    points, losses = climb(loss, rng, 80)
    truth = true_shares(loss, points, rng)
    found = {one.names: one for one in functional_anova(
        table(*points.T), losses, np.full(80, 1e-4)).fields}
    ours = [found[f"x{i}",] for i in range(N_FIELDS)]
    inside = [one.low - 0.003 <= share <= one.high + 0.003
              for one, share in zip(ours, truth, strict=True)]
    return rank_correlation(np.array([one.share for one in ours]), truth), float(np.mean(inside))


def test_planted_importance_is_found_again_under_a_climb() -> None:
    nights = [night(seed) for seed in range(8)]
    correlations, covered = zip(*nights, strict=True)
    assert np.mean(correlations) >= 0.9  # PED-ANOVA, on the same nights: about 0
    assert np.mean(covered) >= 0.9
