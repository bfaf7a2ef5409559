"""The surface over the fields: its features, its slope, and what it says where no run was."""

import numpy as np
import pytest

from agent.analysis.places import Column
from agent.analysis.surface_fit import Basis, Surface, basis_of


def columns(n: int, seed: int = 0) -> list[Column]:
    """Two numbers, one of them moved little, and a choice of three."""
    rng = np.random.default_rng(seed)
    return [Column("lr", False, rng.uniform(0.1, 0.9, n)),
            Column("clip", False, rng.uniform(0.5, 0.6, n)),
            Column("optimizer", True, rng.integers(0, 3, n).astype(float))]


def losses_of(fields: list[Column]) -> np.ndarray:
    lr, _, optimizer = (one.places for one in fields)
    return 2 + 3 * (lr - 0.6) ** 2 + 0.2 * (optimizer == 1) + 0.3 * lr * (optimizer == 2)


def test_features_are_orthonormal_over_what_was_tried() -> None:
    even = np.tile((np.arange(400) + 0.5) / 400, 3)
    basis = basis_of([Column("lr", False, even), Column("tied", True, np.repeat([0.0, 1, 2], 400))])
    assert basis.phi.T @ basis.phi / len(even) == pytest.approx(
        np.eye(basis.phi.shape[1]), abs=0.03)  # its ends lie half a step inside of 0 and 1
    assert basis.phi.mean(axis=0) == pytest.approx(0, abs=0.03)


def test_a_field_moved_little_has_little_prior_variance() -> None:
    basis = basis_of(columns(40))
    wide, narrow = (basis.spread[basis.takes(i)].sum() for i in (0, 1))
    assert narrow < wide / 20


def test_a_field_without_effect_has_features_of_zero() -> None:
    places = np.array([0.1, 0.5, np.nan, 0.9])
    basis = basis_of([Column("decay_frac", False, places), Column("tied", True, places > 0.3)])
    assert (basis.phi[2][basis.takes(0) | basis.takes(0, 1)] == 0).all()


def test_the_slope_of_the_posterior_is_that_of_central_differences(central_differences) -> None:
    fields = columns(30)
    surface = Surface(basis_of(fields), losses_of(fields), np.full(30, 1e-4))
    logs = np.array([0.3, -1.0, 0.5, -0.7, -5.0])
    expected = central_differences(lambda: surface._descent(logs)[0], logs, 1e-5)
    assert surface._descent(logs)[1] == pytest.approx(expected, rel=1e-5)


def test_the_fitted_scales_are_a_peak() -> None:
    fields = columns(60)
    surface = Surface(basis_of(fields), losses_of(fields), np.full(60, 1e-4))
    assert np.abs(surface._descent(surface.logs)[1]).max() < 0.1
    assert np.linalg.eigvalsh(surface._curvature()).min() > 0


def test_draws_know_the_surface_where_runs_were_and_that_they_do_not_elsewhere() -> None:
    fields = columns(90)
    basis, losses = basis_of(fields), losses_of(fields)
    is_seen = fields[0].places < 0.6
    seen = Basis(basis.phi[is_seen], basis.spread, basis.owner)
    drawn = Surface(seen, losses[is_seen], np.full(is_seen.sum(), 1e-6)).draws(
        200, np.random.default_rng(0)) @ basis.phi.T
    error = drawn - losses / losses[is_seen].std()
    error -= error[:, is_seen].mean()  # the mean has no feature
    assert np.abs(error[:, is_seen].mean(axis=0)).max() < 0.1
    assert error[:, fields[0].places > 0.85].std() > 3 * error[:, is_seen].std()


def test_the_same_generator_draws_the_same_surfaces() -> None:
    fields = columns(20)
    surface = Surface(basis_of(fields), losses_of(fields), np.full(20, 1e-4))
    first, second = (surface.draws(3, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)


def test_losses_that_are_all_equal_are_no_error() -> None:
    surface = Surface(basis_of(columns(20)), np.ones(20), np.zeros(20))
    assert np.isfinite(surface.draws(3, np.random.default_rng(0))).all()
