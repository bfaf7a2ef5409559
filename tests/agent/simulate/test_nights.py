"""Made-up nights: what the worlds are, and the lines by which the search is accepted."""

import functools
import math
import random
import statistics

import numpy as np
import pytest

from agent.search.search import Search
from agent.simulate import nights as simulation
from agent.simulate import surface
from agent.simulate.night import Night, greedy, night
from agent.simulate.nights import (
    LEAST_COVERED,
    LEAST_FOUND,
    LEAST_GAIN,
    MOST_COVERED,
    MOST_FALSE,
    MOST_OPTIMISM,
    Nights,
    Share,
    Suite,
    ratio,
    simulate,
)
from agent.simulate.surface import BASELINE, Synthetic, Table, some_help, synthetic, table

N_NIGHTS = {0.0: 300, 0.5: 100}  # by correlation; `agent simulate --suite` runs 1,000
LOSSES = {BASELINE: 1.5, **{f"c{i}": 1.5 - i / 100 for i in range(-4, 5)}}


def world(name: str = "mixed", *, sigma: float = 1.0, rho: float = 0.0,
          seed: int = 0) -> surface.World:
    return synthetic(name, sigma, rho)(random.Random(seed))


def a_night(name: str, n_runs: int = 60, seed: int = 0) -> Night:
    return night(Search(), world(name, seed=seed), n_runs, random.Random(seed))


# --- worlds ----------------------------------------------------------------------------------


def test_seeds_spread_by_sigma_on_every_shard() -> None:
    same = world(sigma=0.3)
    runs = [same.run(BASELINE, seed) for seed in range(4000)]
    for shard in ("search", "confirm", "test"):
        assert statistics.stdev(getattr(run, shard) for run in runs) == pytest.approx(0.3, rel=0.05)


def test_configurations_on_one_seed_correlate_by_rho() -> None:
    same = world("no-op", rho=0.6)
    other = same.propose(BASELINE)
    assert other is not None
    scores = [[same.run(key, seed).confirm for seed in range(4000)] for key in (BASELINE, other)]
    assert np.corrcoef(scores)[0, 1] == pytest.approx(0.6, abs=0.04)
    differences = [a - b for a, b in zip(*scores, strict=True)]
    assert statistics.stdev(differences) == pytest.approx(math.sqrt(2 * (1 - 0.6)), rel=0.05)


def test_blocks_are_the_score_that_confirms_and_the_same_when_asked_again() -> None:
    same = world("texts")
    key = same.propose(BASELINE)
    assert key is not None
    found = same.blocks(key, 3)
    assert found is not None
    assert sum(found.bits) / sum(found.n_bytes) == pytest.approx(same.run(key, 3).confirm)
    assert same.blocks(key, 3) == found != same.blocks(key, 4)
    assert world("mixed").blocks(BASELINE, 0) is None


def test_what_a_step_does_to_texts_is_the_same_on_every_seed() -> None:
    same = Synthetic(random.Random(0), 1.0, 0.0, lambda rng: 0.0, texts=50.0)
    key = same.propose(BASELINE)
    shifts = [same.run(key, seed).confirm - same.run(BASELINE, seed).confirm for seed in range(9)]
    assert abs(statistics.fmean(shifts)) > 5 > statistics.stdev(shifts)
    by_block = [found.bits for seed in range(9) if (found := same.blocks(key, seed))]
    assert np.corrcoef(by_block[0], by_block[8])[0, 1] > 0.99


def test_intervals_over_seeds_alone_miss_what_is_true_on_all_texts() -> None:
    found = simulate(synthetic("texts", 1.0, 0.0), 60, 100, 0, with_greedy=False)
    both, by_seeds = simulation.coverage(found), simulation.coverage_by_seeds(found)
    assert both is not None
    assert by_seeds is not None
    assert by_seeds.value < 0.9 < both.value
    assert simulation.coverage(Nights([Night()], [])) is None


def test_the_same_run_again_scores_the_same() -> None:
    same = world()
    assert same.run(BASELINE, 3) == same.run(BASELINE, 3) != same.run(BASELINE, 4)


def test_one_proposal_in_ten_helps_by_the_asked_mean() -> None:
    rng = random.Random(1)
    effects = [some_help(2.0)(rng) for _ in range(20_000)]
    assert sum(effect > 0 for effect in effects) / 20_000 == pytest.approx(0.1, abs=0.01)
    assert statistics.fmean(map(abs, effects)) == pytest.approx(2.0, rel=0.03)


def test_a_proposal_that_changes_nothing_is_truly_as_good() -> None:
    same = world("no-op")
    key = same.propose(BASELINE)
    assert key is not None
    assert (key != BASELINE, same.true(key)) == (True, same.true(BASELINE))


def test_a_swapped_seed_is_the_same_configuration() -> None:
    assert world("seed-swap").propose("0.3") == "0.3"


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_the_plant_gains_two_deviations_of_a_pair(rho: float) -> None:
    same = world("planted", sigma=0.1, rho=rho)
    key = same.plant()
    assert key is not None
    assert same.true(BASELINE) - same.true(key) == pytest.approx(
        2 * 0.1 * math.sqrt(2 * (1 - rho)))


def test_a_configuration_without_a_step_lacks_its_gain_alone() -> None:
    same = Synthetic(random.Random(0), 1.0, 0.0, lambda rng: rng.choice([1.0, 4.0, 16.0]))
    first = same.propose(BASELINE)
    second = same.propose(first)
    third = same.propose(second)
    gain = same.true(first) - same.true(second)
    assert same.true(same.without(BASELINE, [first, third])) == same.true(third) + gain
    assert same.without(BASELINE, [first, second]) == second  # the same settings, the same name


def test_a_table_proposes_each_configuration_once_in_an_order_of_its_own() -> None:
    orders = []
    for seed in range(2):
        same = Table(random.Random(seed), 0.01, 0.0, LOSSES)
        orders.append([same.propose(BASELINE) for _ in range(len(LOSSES))])
    assert [order[-1] for order in orders] == [None, None]
    assert {*orders[0]} == {*orders[1]} == {*LOSSES, None} - {BASELINE}
    assert orders[0] != orders[1]


# --- nights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", simulation.SUITE)
def test_a_night_is_a_function_of_its_seed(name: str) -> None:
    assert a_night(name) == a_night(name)


def test_another_seed_is_another_night() -> None:
    assert a_night("mixed") != a_night("mixed", seed=1)


@pytest.mark.parametrize("n_runs", [6, 20, 60])
def test_a_night_uses_its_runs_and_no_more(n_runs: int) -> None:
    found = a_night("mixed", n_runs)
    assert (found.runs.total(), found.runs["baseline"]) == (n_runs, 5)
    assert found.reason == "all runs are used up"


def test_a_night_of_effects_far_beyond_noise_keeps_what_is_true() -> None:
    found = night(Search(), Synthetic(random.Random(0), 1e-6, 0.0, some_help(1.0)), 60,
                  random.Random(0))
    assert found.batches["confirmed"] > 0
    assert found.claimed == pytest.approx(found.true, abs=1e-4)
    assert found.silent == pytest.approx(found.true, abs=1e-4)


def test_steps_that_do_nothing_are_left_out_of_a_confirmed_batch() -> None:
    planted = synthetic("planted", 1.0, 0.9)
    found = [night(Search(other_share=1.0), planted(random.Random(i)), 100, random.Random(i))
             for i in range(540, 600)]  # it happens once in some 300 nights
    assert sum(one.runs["ablate"] for one in found) > 0
    assert sum(one.n_ablated for one in found) > 0


def test_the_first_batch_needs_the_head_alone_on_the_baselines_own_seeds() -> None:
    """Seed 0 is left out: the head's steps were selected on it."""
    same = Synthetic(random.Random(0), 1e-6, 0.0, lambda rng: 1.0)
    ran: list[tuple[str, int]] = []

    class Watched:
        swaps_seeds = False
        true, plant, idea, plain, without = (same.true, same.plant, same.idea, same.plain,
                                             same.without)
        blocks = same.blocks

        def run(self, key: str, seed: int, kind: str = "",
                strategy: str = "") -> surface.Scores:
            ran.append((key, seed))
            return same.run(key, seed)

    night(Search(other_share=1.0), Watched(), 30, random.Random(0))
    four = "0.1.2.3.4"
    assert ran[9:11] == [(four, 1), (four, 2)]
    assert ran[11] == (f"{four}.5", 1)  # confirmed after two pairs; the head goes on from one
    eight = f"{four}.5.6.7.8"  # those seeds were put to the test: now both arms run
    assert ran[15:19] == [(eight, 5), (four, 5), (four, 6), (eight, 6)]


def test_a_used_up_table_ends_the_night() -> None:
    found = night(Search(), table(LOSSES, 0.001, 0.0)(random.Random(0)), 200, random.Random(0))
    assert found.reason == "every recorded configuration has been tried"
    assert found.runs["search"] == len(LOSSES) - 1
    assert found.runs["ablate"] == 0  # nobody has run a configuration without a step


def test_a_plateau_ends_the_night_with_the_reason() -> None:
    found = night(Search(), Synthetic(random.Random(0), 1e-6, 0.0, lambda rng: -1.0), 100,
                  random.Random(0))
    assert found.reason.startswith("a plateau: 55 runs in a row")


def test_greedy_claims_the_luck_it_selected() -> None:
    plain = [greedy(world("no-op", seed=seed), 60) for seed in range(50)]
    assert {one.true for one in plain} == {0.0}
    assert statistics.fmean(one.claimed for one in plain) > 1


def test_greedy_without_noise_gains_what_it_claims() -> None:
    same = Table(random.Random(0), 1e-9, 0.0, LOSSES)
    assert greedy(same, 60).true == pytest.approx(0.04)
    assert greedy(Table(random.Random(0), 1e-9, 0.0, LOSSES), 60).claimed == pytest.approx(0.04)


def test_more_nights_begin_with_the_same_ones() -> None:
    few, more = (simulate(synthetic("mixed", 1, 0), n, 30, 5) for n in (2, 4))
    assert (few.nights, few.plain) == (more.nights[:2], more.plain[:2])


def test_every_night_is_told() -> None:
    told: list[int] = []
    simulate(synthetic("mixed", 1, 0), 3, 10, 0, lambda: told.append(1))
    assert len(told) == 3


# --- the statistics --------------------------------------------------------------------------


def test_shares_have_wilsons_interval() -> None:
    low, high = Share(81, 263).span  # Newcombe 1998, table I, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert Share(0, 20).span == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_a_ratio_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    n_covered = 0
    for _ in range(400):
        under = rng.normal(4, 2, 100)
        low, high = ratio(list(0.5 * under + rng.normal(1, 1, 100)), list(under)).span
        assert low is not None
        assert high is not None
        n_covered += low < (0.5 * 4 + 1) / 4 < high
    assert 0.91 < n_covered / 400 < 0.985


def test_a_ratio_to_nothing_is_none() -> None:
    assert (ratio([1.0, 2.0], [0.0, 0.0]).value, ratio([1.0], [2.0])) == (
        None, simulation.Ratio(0.5))


def test_optimism_of_nights_without_gain_is_none() -> None:
    found = Nights([Night(), Night()], [])
    assert simulation.optimism(found.nights) == simulation.Ratio(None)


# --- acceptance: SEARCH, last paragraph ------------------------------------------------------


@functools.cache
def accepted(rho: float) -> Suite:
    return simulation.suite(simulation.made_up(rho=rho), N_NIGHTS[rho])


def three_errors(share: float, rho: float) -> float:
    return 3 * math.sqrt(share * (1 - share) / N_NIGHTS[rho])


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_what_changes_nothing_is_seldom_confirmed(rho: float) -> None:
    assert accepted(rho).confirmed_noop <= MOST_FALSE + three_errors(MOST_FALSE, rho)
    assert accepted(rho).confirmed_seed_swap <= MOST_FALSE + three_errors(MOST_FALSE, rho)


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_a_planted_gain_is_mostly_confirmed(rho: float) -> None:
    assert accepted(rho).confirmed_planted >= LEAST_FOUND - three_errors(LEAST_FOUND, rho)


def test_a_night_gains_most_of_what_greedy_does_and_claims_no_more_than_is_true() -> None:
    found = accepted(0.0)
    low, high = found.spread["true_gain_vs_greedy"]
    assert found.true_gain_vs_greedy is not None
    assert found.optimism is not None
    assert low is not None
    assert high is not None
    assert found.true_gain_vs_greedy >= LEAST_GAIN - 3 * (high - low) / (2 * simulation.Z_95)
    assert abs(found.optimism) <= MOST_OPTIMISM


def test_a_search_that_confirms_at_random_is_not_accepted() -> None:
    found = Suite(1000, 0.3, 0.2, 0.5, 0.4, 0.57, 0.6, {})
    assert found.failures() == [
        "no-op proposals were confirmed", "swapped seeds were confirmed",
        "a planted gain was missed", "too little was gained", "claims are not what is true",
        "claimed intervals do not hold the truth as often as they say"]
    assert Suite(1000, 0.05, 0.0, 0.9, 0.75, -0.15, 0.92, {}).failures() == []
    assert Suite(1000, 0.0, 0.0, 1.0, None, None, None, {}).failures() == found.failures()[3:]
    assert Suite(1000, 0.0, 0.0, 1.0, 1.0, 0.0, 0.99, {}).failures() == found.failures()[5:]


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_claimed_intervals_hold_what_is_true_on_all_texts(rho: float) -> None:
    found, (low, high) = accepted(rho).coverage, accepted(rho).spread["coverage"]
    assert found is not None
    assert low is not None
    assert high is not None
    assert low <= MOST_COVERED
    assert high >= LEAST_COVERED
    assert found > 0.9
