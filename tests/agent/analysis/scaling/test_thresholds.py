"""Where yardsticks are passed: between runs, and by a law whose crossing is known."""

import numpy as np
import pytest

from agent.analysis.scaling.bootstrap import draws_of
from agent.analysis.scaling.fit import fit
from agent.analysis.scaling.forms import FLOOR, Points
from agent.analysis.scaling.thresholds import bracket, thresholds
from tests.support.chinchilla import made_points


@pytest.mark.parametrize(("losses", "expected"), [
    ([5, 4, 3, 2], (2, 3)), ([3, 2, 1, 1], (None, 1)), ([9, 8, 7, 6], (4, None)),
    ([5, 3, 4, 2], (3, 4)), ([3, 3, 3, 5], (4, None))])
def test_a_bracket_lies_between_the_last_above_and_the_next_below(losses, expected) -> None:
    assert bracket([1, 2, 3, 4], losses, 3.5) == expected


def test_seeds_of_one_amount_are_averaged() -> None:
    assert bracket([1, 2, 2], [5, 3, 3.8], 3.5) == (1, 2)


def crossing(n: float, nats: float) -> float:
    """Tokens at which the made law is at so many nats."""
    return (300 / (nats - 1.2 - 60 / n**0.35)) ** (1 / 0.37)


def test_the_law_and_the_runs_agree_on_where() -> None:
    points = made_points(noise=0.005)
    draws = draws_of(fit(FLOOR, points), points, np.random.default_rng(0), 200)
    found = {(one.yardstick, round(one.size)): one
             for one in thresholds(points, {"unigram": 5.2, "trigram": 2.6}, draws)}
    its = found["unigram", 3_500_000]
    assert its.axis == "tokens"
    assert its.low <= crossing(3.5e6, 5.2) <= its.high
    assert its.low < its.foretold < its.high
    assert its.above < crossing(3.5e6, 5.2) < its.below
    never = found["trigram", 10_000]
    assert (never.foretold, never.below) == (None, None)


def test_different_text_is_an_axis_of_its_own() -> None:
    points = made_points(n_sizes=2)
    longest = points.d.max()
    few = np.geomspace(1e4, 2e6, 5)
    n = np.concatenate([points.n, np.full(5, points.n.max())])
    d = np.concatenate([points.d, np.full(5, longest)])
    u = np.concatenate([points.u, few])
    loss = np.concatenate([points.loss, [6.0, 5.0, 4.0, 3.0, 2.9]])
    found = thresholds(Points(n, d, u, loss, np.arange(n.size)), {"bigram": 3.5}, None)
    its = next(one for one in found if one.axis == "unique")
    assert (its.above, its.below) == (few[2], few[3])


def test_different_text_is_told_also_where_the_longest_runs_saw_all_of_it() -> None:
    few, d, n = np.geomspace(1e4, 2e6, 5), np.full(5, 2e6), np.full(6, 1e5)
    points = Points(n, np.append(d, 8e6), np.append(few, 2e6),
                    np.array([6.0, 5.0, 4.0, 3.0, 2.9, 2.5]), np.arange(6))
    its = next(one for one in thresholds(points, {"bigram": 3.5}, None) if one.axis == "unique")
    assert (its.above, its.below) == (few[2], few[3])
