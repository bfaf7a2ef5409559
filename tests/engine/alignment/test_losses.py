"""Preference losses against golden values computed elsewhere, and their slopes."""

import math

import numpy as np
import pytest

from engine.alignment.losses import PAIRWISE, preference
from engine.errors import ConfigError

# Sums of ln P: policy −10 and −12, reference −11 and −11.5. From the published formulas, float64.
MARGIN = (-10 - -11) - (-12 - -11.5)
GOLDEN = {
    ("sigmoid", 0.1): 0.6209570477895321, ("sigmoid", 0.5): 0.38687100611489994,
    ("conservative", 0.1): 0.6359570477895321, ("conservative", 0.5): 0.46187100611489995,
    ("ipo", 0.1): 12.25, ("ipo", 0.5): 0.25, ("hinge", 0.1): 0.85, ("hinge", 0.5): 0.25}
SLOPES = {0.1: -0.04625701546562505, 0.5: -0.1604106504123035}  # of sigmoid, by ln π(chosen)


@pytest.mark.parametrize(("kind", "beta"), GOLDEN)
def test_losses_are_the_published_ones(kind, beta):
    loss, _ = preference(kind, np.array([MARGIN]), beta)
    assert loss[0] == pytest.approx(GOLDEN[kind, beta], abs=1e-15, rel=1e-15)


@pytest.mark.parametrize("beta", SLOPES)
def test_the_slope_of_dpo_is_the_published_one(beta):
    assert preference("sigmoid", np.array([MARGIN]), beta)[1][0] == pytest.approx(
        SLOPES[beta], rel=1e-14)


def test_a_policy_that_is_its_reference_loses_ln_2():
    assert preference("sigmoid", np.zeros(1), 0.1)[0][0] == math.log(2) == 0.6931471805599453


@pytest.mark.parametrize("kind", PAIRWISE)
@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_every_slope_is_that_of_its_loss(kind, beta):
    margins, h = np.array([-300.0, -7.0, -0.4, 0.0, 0.3, 2.5, 9.0, 300.0]), 1e-5
    slopes = (preference(kind, margins + h, beta)[0] - preference(kind, margins - h, beta)[0]) / (
        2 * h)
    found = preference(kind, margins, beta)[1]
    assert np.all(np.isfinite(found))
    assert np.abs(found - slopes).max() < 1e-6 * max(1.0, np.abs(found).max())


def test_a_loss_nobody_knows_is_told_with_those_there_are():
    with pytest.raises(ConfigError, match="there is no loss 'dpo'; use sigmoid, conservative, ipo"):
        preference("dpo", np.zeros(1), 0.1)
