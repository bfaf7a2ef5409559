"""What speaks for a law and against it, on points whose truth is known."""

import numpy as np
import pytest

from agent.analysis.scaling import evidence
from agent.analysis.scaling.fit import SQUARES, fit
from agent.analysis.scaling.forms import FLOOR, NO_FLOOR, REPETITION, Form, Points, foretold
from tests.support.chinchilla import made_points


def replicated(noise: float, seed: int = 0, bend: float = 0.0) -> Points:
    """Three seeds of each cell; `bend` bends the truth away from the law."""
    clean = made_points(noise=0.0, n_sizes=6, n_tokens=5)
    points = clean.only(np.repeat(np.arange(30), 3))
    rng = np.random.default_rng([5, seed])
    wave = bend * np.sin(3 * np.log(points.n) + 2 * np.log(points.d))
    return Points(points.n, points.d, points.u,
                  points.loss * np.exp(rng.normal(0, noise, len(points)) + wave), points.cell)


def criterion(form: Form, points: Points) -> float:
    return evidence.aicc(fit(form, points, SQUARES), points)


def lacking(points: Points) -> evidence.LackOfFit | None:
    return evidence.lack_of_fit(fit(FLOOR, points, SQUARES), points)


def test_the_true_form_is_preferred() -> None:
    points = made_points(noise=0.01)
    assert criterion(FLOOR, points) < criterion(NO_FLOOR, points) - 10
    bare = Points(points.n, points.d, points.u,
                  foretold(NO_FLOOR, np.array([[3.0, 3.7, 0.2, 0.17]]), points.n, points.d)[0]
                  * np.exp(np.random.default_rng(1).normal(0, 0.01, 48)), points.cell)
    assert criterion(NO_FLOOR, bare) < criterion(FLOOR, bare)


def test_repeats_are_told_where_there_are_some() -> None:
    made = made_points(noise=0.0)
    u = np.minimum(made.d, np.where(made.cell % 2, 2e5, made.d))
    row = np.array([[4.0, 5.7, 0.35, 0.37, 0.2, 1.6]])
    loss = foretold(REPETITION, row, made.n, made.d, u)[0]
    points = Points(made.n, made.d, u,
                    loss * np.exp(np.random.default_rng(2).normal(0, 0.01, 48)), made.cell)
    assert criterion(REPETITION, points) < criterion(FLOOR, points) - 10


def test_too_few_points_have_no_criterion() -> None:
    assert criterion(FLOOR, made_points().only(np.arange(7))) == np.inf


def test_a_true_law_lacks_no_fit_and_a_bent_one_does() -> None:
    straight = [lacking(replicated(0.01, seed)) for seed in range(8)]
    assert sum(found.is_lacking for found in straight) <= 2
    assert np.mean([found.sigma for found in straight]) == pytest.approx(0.01, rel=0.1)
    bent = lacking(replicated(0.005, bend=0.02))
    assert bent.is_lacking
    assert bent.n_replicated == 30
    assert bent.off > 2 * bent.sigma


def test_without_seeds_nothing_is_said_of_fit() -> None:
    assert lacking(made_points()) is None


def test_the_largest_runs_are_foretold_by_the_others() -> None:
    points = replicated(0.01)
    which = evidence.largest(points)
    assert len(np.unique(points.cell[which])) == 3
    compute = points.n * points.d
    assert compute[which].min() >= compute[~which].max()
    found = evidence.hold_out(FLOOR, points, np.random.default_rng(0), 0.01, 60)
    assert found.n_runs == 9
    assert abs(found.error_percent) < 3
    assert 0.3 < found.in_sigmas < 2.5
    assert found.worst_percent >= abs(found.error_percent)


def test_where_too_little_is_left_nothing_is_held_out() -> None:
    few = made_points().only(np.arange(6))
    assert evidence.hold_out(FLOOR, few, np.random.default_rng(0), None) is None
