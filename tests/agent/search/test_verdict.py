"""The arithmetic of decisions, against the formulas worked out with the statistics module."""

import math
import random
import statistics

import pytest

from agent.search.texts import Spread
from agent.search.verdict import (
    ALPHA,
    MAX_PAIRS,
    Decision,
    Noise,
    ablation,
    confirmation,
    interval,
    least_z,
    nearby,
    pooled,
    search_step,
    seed_correlation,
    seed_noise,
    unpaired,
)

BASELINE = [1.50, 1.53, 1.47, 1.52, 1.49]
NOISE = Noise(0.02, 4)


def word(gains: list[float], noise: Noise = NOISE, n_vain: int = 0) -> Decision | None:
    return confirmation(gains, noise, n_vain)


# --- noise -----------------------------------------------------------------------------------


def test_noise_is_the_sample_deviation_of_the_baselines() -> None:
    assert seed_noise(BASELINE) == pytest.approx(statistics.stdev(BASELINE))
    assert seed_noise([1.5]) is None


def test_a_difference_of_two_baselines_varies_by_root_two_of_one() -> None:
    noise = pooled(BASELINE)
    assert noise is not None
    assert noise.s_d == pytest.approx(math.sqrt(2) * statistics.stdev(BASELINE))
    assert noise.df == 4
    assert pooled([1.5]) is None


def test_every_pair_of_configurations_is_pooled_by_its_degrees_of_freedom() -> None:
    pairs = [[0.01, 0.05, 0.03], [-0.02, 0.02]]
    noise = pooled(BASELINE, pairs)
    assert noise is not None
    total = 4 * 2 * statistics.variance(BASELINE) + sum(
        (len(pair) - 1) * statistics.variance(pair) for pair in pairs)
    assert noise.s_d == pytest.approx(math.sqrt(total / 7))
    assert noise.df == 7


def test_what_a_seed_shares_shows_as_less_noise_between_pairs() -> None:
    variance = statistics.variance(BASELINE)
    reach = math.sqrt(variance / 2)  # of two: their variance is that of one run, so ρ is a half
    assert seed_correlation(BASELINE, [[reach, -reach]]) == pytest.approx(0.5)
    assert seed_correlation(BASELINE, []) is None


# --- the search tier -------------------------------------------------------------------------


@pytest.mark.parametrize(("challenger", "verdict"), [
    (1.4999, "kept"), (1.5, "discarded"), (1.6, "discarded")])
def test_a_step_is_kept_on_the_sign_of_one_difference(challenger: float, verdict: str) -> None:
    found = search_step(challenger, 1.5, None, 3)
    assert found.verdict == verdict
    assert found.evidence == {"bpb": challenger, "head_bpb": 1.5, "n": 1, "seed": 3, "head_seed": 3,
                              "gain_bpb": pytest.approx(1.5 - challenger)}


def test_a_kept_step_says_how_loud_the_noise_is_and_that_it_is_provisional() -> None:
    assert search_step(1.4, 1.5, NOISE, 3).reason == (
        "0.1000 bits/byte better than the head's 1.5000 on seed 3, with a noise of 0.0200: until "
        "fresh seeds confirm or refute it")
    assert search_step(1.6, 1.5, None, 3).reason == (
        "0.1000 bits/byte worse than the head's 1.5000 on seed 3")
    assert search_step(1.6, 1.5, NOISE, 3).evidence["s_d"] == 0.02


def test_a_step_against_another_seed_says_so_and_asks_for_more() -> None:
    found = search_step(1.49, 1.5, unpaired(NOISE, 0.03), 7, 3)
    assert found.verdict == "discarded"  # a pair on one seed, whose noise is 0.02, may differ less
    assert found.reason == (
        "0.0100 bits/byte better than the head's 1.5000 on seed 3, as it has no run on seed 7, "
        "with a noise of 0.0424: a step is over 0.0297")
    assert (found.evidence["seed"], found.evidence["head_seed"]) == (7, 3)
    assert unpaired(None, 0.03) is unpaired(NOISE, None) is None


# --- the confirmation tier -------------------------------------------------------------------


def test_bounds_are_the_sequential_ones_worked_out_by_hand() -> None:
    # t(0.9825; 4) = 3.1355: with x = t/√(4 + t²) its distribution is ½ + ¾·(x − x³/3).
    x = 3.1355 / math.sqrt(4 + 3.1355**2)
    assert 0.5 + 0.75 * (x - x**3 / 3) == pytest.approx(1 - ALPHA / 2, abs=1e-5)
    # √(5/2) at two pairs, 1 at five.
    assert least_z(5, 4, 0) == pytest.approx(3.1355, abs=1e-3)
    assert least_z(2, 4, 0) == pytest.approx(3.1355 * math.sqrt(2.5), abs=2e-3)
    assert least_z(5, 10**6, 0) == pytest.approx(
        statistics.NormalDist().inv_cdf(0.9825), abs=1e-3)
    assert least_z(5, 10**6, 0) >= 2.0


def test_chances_spent_on_batches_in_vain_never_add_up_to_more_than_alpha() -> None:
    assert sum(ALPHA / (k * (k + 1)) for k in range(1, 10_000)) < ALPHA
    assert least_z(5, 20, 3) > least_z(5, 20, 2) > least_z(5, 20, 0)


def test_one_pair_decides_nothing() -> None:
    assert word([1.0]) is None


def test_a_large_gain_is_confirmed_after_two_pairs_with_its_interval() -> None:
    found = word([0.10, 0.12])
    assert found is not None
    assert found.verdict == "confirmed"
    assert found.evidence["gain_bpb"] == pytest.approx(0.11)
    assert found.evidence["z"] == pytest.approx(0.11 * math.sqrt(2) / 0.02)
    # t(0.975; 4) = 2.7764, tabulated
    assert found.evidence["low_bpb"] == pytest.approx(0.11 - 2.7764 * 0.02 / math.sqrt(2), abs=1e-5)
    assert found.reason == ("0.1100 bits/byte better over 2 fresh seeds, z 7.78, at least 4.96 "
                            "(95 % over seeds alone: +0.0707 to +0.1493)")


def test_a_claim_whose_texts_are_known_says_how_far_it_hangs_on_them() -> None:
    found = confirmation([0.10, 0.12], NOISE, 0, lambda: Spread(4e-4, 30))
    alone = word([0.10, 0.12])
    assert found is not None
    assert alone is not None
    assert (alone.evidence["n_blocks"], found.evidence["n_blocks"]) == (None, 30)
    for end in ("low_bpb", "high_bpb"):
        assert found.evidence[f"seeds_{end}"] == alone.evidence[f"seeds_{end}"]
        assert alone.evidence[f"seeds_{end}"] == alone.evidence[end]
    # variances 2e-4 of 4 and 4e-4 of 29 degrees of freedom: together of 23.2, whose t is 2.0675
    assert found.evidence["high_bpb"] == pytest.approx(0.11 + 2.0675 * math.sqrt(6e-4), abs=1e-5)
    assert found.reason.endswith(" (95 %: +0.0594 to +0.1606)")


@pytest.mark.parametrize("gains", [[0.10, 0.12], [0.02, -0.03], [0.01, 0.02, 0.01, 0.02, 0.01]])
def test_texts_move_the_interval_and_no_verdict(gains: list[float]) -> None:
    found = confirmation(gains, NOISE, 0, lambda: Spread(1.0, 30))
    alone = word(gains)
    assert found is not None
    assert alone is not None
    assert (found.verdict, found.evidence["z"]) == (alone.verdict, alone.evidence["z"])


def test_texts_are_not_asked_before_a_word_falls() -> None:
    assert confirmation([0.01, 0.02], NOISE, 0, lambda: pytest.fail("asked")) is None


def test_a_head_that_is_worse_on_fresh_seeds_is_refuted() -> None:
    found = word([0.02, -0.03])
    assert found is not None
    assert found.verdict == "refuted"
    assert found.reason == ("0.0050 bits/byte worse over 2 fresh seeds, z -0.35: rolled back to "
                            "what was confirmed before")


def test_between_the_bounds_another_pair_is_asked_for_until_the_last() -> None:
    gains = [0.01, 0.02, 0.01, 0.02, 0.01]
    assert [word(gains[:n]) for n in range(1, MAX_PAIRS)] == [None] * 4
    found = word(gains)
    assert found is not None
    assert found.verdict == "undecided"
    assert found.reason == ("0.0140 bits/byte better over 5 fresh seeds, z 1.57, under 3.14 after "
                            "5 pairs: it stays provisional")


def test_the_interval_narrows_with_the_root_of_the_pairs() -> None:
    low, high = interval(0.1, 4, NOISE)
    wide_low, wide_high = interval(0.1, 1, NOISE)
    assert (wide_high - wide_low) == pytest.approx(2 * (high - low))


# --- simpler wins ----------------------------------------------------------------------------


def test_a_step_is_dropped_where_its_removal_surely_costs_less_than_half_a_sigma() -> None:
    # t(0.90; 4) = 1.5332: the most is mean + 1.5332 · 0.02 / √2 = mean + 0.02168
    assert ablation([-0.02, -0.02], NOISE, 0.014).verdict == "ablated"
    stays = ablation([-0.01, -0.01], NOISE, 0.014)
    assert stays.verdict == "confirmed"
    assert stays.evidence["most_bpb"] == pytest.approx(0.01168, abs=1e-5)
    assert stays.reason == ("without it 0.0100 bits/byte better, at most +0.0117 (90 %): the step "
                            "stays")


def test_a_dropped_step_says_that_simpler_wins() -> None:
    assert ablation([-0.02, -0.02], NOISE, 0.014).reason == (
        "without it 0.0200 bits/byte better, at most +0.0017 (90 %), less than half the spread of "
        "a seed: dropped, simpler wins")


# --- noise by the place ----------------------------------------------------------------------


def test_the_noise_near_a_configuration_is_that_of_its_own_seeds() -> None:
    """Three scores 0.005 apart beside a noise of 0.077: a newcomer's night."""
    found = nearby(Noise(0.0768, 6), [0.8077, 0.8021, 0.7981])
    assert 0.007 < found.s_d < 0.03
    assert found.df == 6


def test_one_score_says_nothing_of_the_noise() -> None:
    assert nearby(Noise(0.05, 4), [1.0]) == Noise(0.05, 4)


def test_more_noise_than_all_say_is_not_believed() -> None:
    assert nearby(Noise(0.01, 4), [1.0, 2.0, 3.0]) == Noise(0.01, 4)


def test_equal_scores_are_chance() -> None:
    assert nearby(Noise(0.03, 4), [1.0, 1.0]).s_d > 0.03 / 30


@pytest.mark.parametrize("n", [3, 4, 6])  # of two the floor is part
def test_of_equal_noise_the_logarithm_is_right_in_the_mean(n: int) -> None:
    """The noise of all is set so high that its bound does not bind."""
    rng, much = random.Random(n), 1e3
    logs = [math.log(nearby(Noise(much, 4), [rng.gauss(0, 100) for _ in range(n)]).s_d)
            for _ in range(4000)]
    df = n - 1
    wanted = (df * math.log(math.sqrt(2) * 100) + math.log(much)) / (df + 1)
    assert statistics.fmean(logs) == pytest.approx(wanted, abs=0.05)
