"""The model of all results is the Gaussian process it says, and learns what it is shown."""

import math
import statistics

import numpy as np
import pytest

from agent.search.surrogate import (
    AMPLITUDE,
    LENGTHS,
    OFFSET,
    SHARED,
    Result,
    Surrogate,
    expected_improvement,
)
from strategies.features import NAMES

D = len(NAMES)


def some(n: int, seed: int = 0, study: int = 0) -> list[Result]:
    rng = np.random.default_rng(seed)
    return [Result(tuple(map(float, rng.normal(size=D))), float(rng.normal(0.5, 0.1)), 0.02, study)
            for _ in range(n)]


def kernel(a: Result, b: Result) -> float:
    """Written out once more, one pair at a time."""
    distance = math.sqrt(sum(((x - y) / length) ** 2
                             for x, y, length in zip(a.x, b.x, LENGTHS, strict=True)))
    r = math.sqrt(5) * distance
    shape = (1 + r + r * r / 3) * math.exp(-r)
    is_same = a.study == b.study
    return AMPLITUDE**2 * shape * (1 if is_same else SHARED) + OFFSET**2 * is_same


def test_every_feature_has_a_length() -> None:
    assert LENGTHS.shape == (D,)
    assert (LENGTHS > 0).all()


def test_the_posterior_is_that_of_the_formula() -> None:
    known = [*some(12), *some(9, seed=1, study=1), *some(5, seed=2, study=2)]
    at = some(4, seed=3)
    y = np.array([one.log_bpb for one in known])
    k = np.array([[kernel(a, b) for b in known] for a in known]) + np.eye(26) * (0.02**2 + 1e-8)
    cross = np.array([[kernel(a, b) for b in known] for a in at])
    mean = y.mean() + cross @ np.linalg.solve(k, y - y.mean())
    variance = [kernel(a, a) - row @ np.linalg.solve(k, row) for a, row in zip(at, cross,
                                                                              strict=True)]
    found, sd = Surrogate(known).predict([one.x for one in at])
    np.testing.assert_allclose(found, mean, rtol=1e-7)
    np.testing.assert_allclose(sd, np.sqrt(variance), rtol=1e-5)


def test_without_results_it_knows_nothing() -> None:
    mean, sd = Surrogate([]).predict([[0.0] * D])
    assert mean.tolist() == [0.0]
    assert sd.tolist() == pytest.approx([math.hypot(AMPLITUDE, OFFSET)])


def test_the_level_of_another_study_says_nothing_of_this_ones() -> None:
    """A text on which everything scores twice as much ranks configurations all the same."""
    elsewhere = some(30, study=1)
    higher = [Result(r.x, r.log_bpb + math.log(2), r.noise, 1) for r in elsewhere]
    here = [Result(elsewhere[0].x, 0.3, 0.01, 0)]
    at = [one.x for one in some(10, seed=5)]
    low, _ = Surrogate([*here, *elsewhere]).predict(at)
    high, _ = Surrogate([*here, *higher]).predict(at)
    np.testing.assert_allclose(low, high, atol=0.01)


def test_what_pays_elsewhere_is_expected_here() -> None:
    good, bad = (0.5,) * D, (-0.5,) * D
    elsewhere = [Result(good, 0.4, 0.01, 1), Result(bad, 0.8, 0.01, 1)]
    mean, _ = Surrogate([Result((0.0,) * D, 0.9, 0.01, 0), *elsewhere]).predict([good, bad])
    assert mean[0] < mean[1] - 0.1


def test_its_own_results_outweigh_what_pays_elsewhere() -> None:
    x = (0.3,) * D
    known = [Result(x, 0.9, 0.01, 0), Result((2.0,) * D, 0.6, 0.01, 0), Result(x, 0.2, 0.01, 1),
             Result((2.0,) * D, 0.9, 0.01, 1)]
    mean, sd = Surrogate(known).predict([x])
    assert mean[0] == pytest.approx(0.9, abs=0.01)
    assert sd[0] < 0.02


def test_it_foretells_a_smooth_surface_better_than_its_mean_does() -> None:
    rng = np.random.default_rng(0)
    xs = np.zeros((80, D))
    xs[:, :4] = rng.normal(size=(80, 4))
    y = 0.5 + 0.05 * xs[:, 0] ** 2 + 0.05 * xs[:, 3] * xs[:, 1]
    model = Surrogate([Result(tuple(map(float, x)), float(v), 0.01, 0)
                       for x, v in zip(xs[:60], y[:60], strict=True)])
    found, _ = model.predict(xs[60:].tolist())
    assert np.abs(found - y[60:]).mean() < 0.4 * np.abs(y[60:] - y[:60].mean()).mean()


# --- expected improvement --------------------------------------------------------------------


def test_expected_improvement_is_the_mean_of_what_draws_improve() -> None:
    draws = np.random.default_rng(0).normal(1.1, 0.2, 400_000)
    wanted = statistics.fmean(np.maximum(1.0 - draws, 0.0).tolist())
    found = expected_improvement(np.array([1.1]), np.array([0.2]), 1.0)
    assert found[0] == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize(("mean", "sd", "wanted"), [
    # z = 0: sd/√(2π). Far better: the gain itself. Far worse: nothing.
    (1.0, 0.1, 0.1 / math.sqrt(2 * math.pi)), (0.0, 1e-3, 1.0), (9.0, 0.1, 0.0)])
def test_expected_improvement_at_its_ends(mean: float, sd: float, wanted: float) -> None:
    found = expected_improvement(np.array([mean]), np.array([sd]), 1.0)
    assert found[0] == pytest.approx(wanted, abs=1e-6)
