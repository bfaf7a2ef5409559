"""One-dimensional laws against a published family of models."""

import pytest

from agent.analysis.scaling.power import knee, marginals, power_law

MILLIONS, PERPLEXITY = [125, 345, 603, 1005], [11.96, 8.98, 7.98, 7.17]  # of the sub-billion family


def test_the_published_family_of_models_is_a_power_law() -> None:
    law = power_law([n * 1e6 for n in MILLIONS], PERPLEXITY)
    assert law.exponent == pytest.approx(-0.246, abs=0.0005)
    assert law.factor == pytest.approx(1152, rel=0.01)
    assert law.r2 == pytest.approx(0.9935, abs=0.0001)


def test_what_a_hundred_million_parameters_more_gave() -> None:
    steps = marginals(MILLIONS, PERPLEXITY, 100)
    assert [step.gain_per_unit for step in steps] == pytest.approx([1.35, 0.38, 0.20], abs=0.01)
    assert knee(steps) == 345


def test_nothing_is_told_of_one_size() -> None:
    with pytest.raises(ValueError, match="two different"):
        power_law([5, 5], [1, 2])
    assert marginals([5], [1], 1) == []
    assert knee([]) is None
