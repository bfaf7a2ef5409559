"""Intervals: against published ones, and as often right as they claim."""

import numpy as np
import pytest

from agent.analysis.scaling.bootstrap import draws_of, share_of_size
from agent.analysis.scaling.fit import fit
from agent.analysis.scaling.forms import FLOOR, Points
from tests.support.chinchilla import made_points, published_points


def test_published_errors_are_found_anew() -> None:
    """Besiroglu et al. 2024, arXiv:2404.10102, table 1: standard errors and 95 % intervals."""
    points = published_points()
    if points is None:
        pytest.skip("the published points are not at hand (shared/data/chinchilla_points.csv)")
    found = draws_of(fit(FLOOR, points), points, np.random.default_rng(0))
    assert len(found.theta) == 1000
    for i, error in ((2, 0.0154), (3, 0.0206)):
        assert found.theta[:, i].std() == pytest.approx(error, rel=0.15)
    assert np.exp(found.theta[:, 4]).std() == pytest.approx(0.0257, rel=0.15)
    for name, ends in (("alpha", (0.317, 0.373)), ("beta", (0.331, 0.415)), ("E", (1.769, 1.871))):
        assert found.ci95[name] == pytest.approx(ends, abs=0.006)
    share = share_of_size(FLOOR, found.theta)
    assert (share.mean(), share.std()) == pytest.approx((0.513, 0.020), abs=0.004)


def held(n_times: int) -> int:
    """How often both exponents of a made law lay within their intervals."""
    n = 0
    for seed in range(n_times):
        points = made_points(seed=seed)
        ends = draws_of(fit(FLOOR, points), points, np.random.default_rng(seed), 120).ci95
        n += ends["alpha"][0] <= 0.35 <= ends["alpha"][1] and (
            ends["beta"][0] <= 0.37 <= ends["beta"][1])
    return n


def test_a_made_truth_lies_within_its_intervals() -> None:
    assert held(8) >= 7


@pytest.mark.slow
def test_a_made_truth_lies_within_its_intervals_nine_times_of_ten() -> None:
    assert held(200) >= 180


def test_seeds_of_a_cell_are_drawn_together() -> None:
    """Six seeds of each cell are no more cells: the interval is as wide as that of one each."""
    points = made_points(noise=0.01)
    rows = np.repeat(np.arange(48), 6)
    again = points.only(rows)
    rng = np.random.default_rng
    one = draws_of(fit(FLOOR, points), points, rng(1), 80).theta[:, 2].std()
    many = draws_of(fit(FLOOR, again), again, rng(1), 80).theta[:, 2].std()
    as_cells = Points(again.n, again.d, again.u, again.loss, np.arange(len(again)))
    apart = draws_of(fit(FLOOR, as_cells), as_cells, rng(1), 80).theta[:, 2].std()
    assert many == pytest.approx(one, rel=0.3)
    assert apart < 0.6 * one


def test_what_is_foretold_has_an_interval_around_it() -> None:
    points = made_points()
    draws = draws_of(fit(FLOOR, points), points, np.random.default_rng(0), 200)
    near, far = draws.foretold(1e6, 1e6), draws.foretold(1e8, 1e9)
    assert near[1] < near[0] < near[2]
    assert far[2] - far[1] > 1.5 * (near[2] - near[1])
    assert set(draws.correlations) >= {"alpha,beta", "lnA,alpha"}
    assert draws.correlations["lnA,alpha"] > 0.8  # the flat valley
