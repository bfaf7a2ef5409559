"""Whether another rate than the rule's is better, and by more than seeds differ."""

import pytest

from agent.analysis.scaling.rates import RateCheck, rate_checks, seed_sigma, told_of_rates
from agent.analysis.scaling.rows import Ground
from agent.ledger.reader import Reader


def check(best: float, lead: float) -> RateCheck:
    return RateCheck(size="16d/1L", n_params=9000, tokens=1000, lr=1e-2,
                     losses={1.0: 2.0, best: 2.0 * (1 - lead)})


def test_each_size_is_held_against_its_run_at_the_rules_rate(
        ledger: Reader, ground: Ground) -> None:
    assert rate_checks(ledger, []) == []
    small, large = rate_checks(ledger, ground.corpora)
    assert (small.size, large.size) == ("8d/1L", "128d/3L")
    assert list(small.losses) == [0.5, 1.0, 2.0]
    assert small.best == 1.0
    assert large.lead > 0.1


@pytest.mark.parametrize(("lead", "sigma", "holds"), [
    (0.01, 0.01, True), (0.03, 0.01, False), (0.01, None, False)])
def test_a_lead_within_what_two_seeds_differ_is_none(
        lead: float, sigma: float | None, holds: bool) -> None:
    assert check(0.5, lead).holds(sigma) is holds


def test_the_rules_own_rate_being_best_needs_no_noise() -> None:
    assert check(2.0, -0.1).holds(None)


def test_noise_is_that_of_seeds_alone(ground: Ground) -> None:
    sigma = seed_sigma(ground.runs)
    assert sigma is not None
    assert 0.002 < sigma < 0.03  # of 0.01, over three pairs
    assert seed_sigma([run for run in ground.runs if run.seed == 0]) is None


def test_nothing_is_said_of_a_rule_that_was_not_checked() -> None:
    assert told_of_rates([], 0.01) is None
    assert "holds (seeds differ by 1.0 %)" in (told_of_rates([check(0.5, 0.01)], 0.01) or "")
