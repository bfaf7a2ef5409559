"""One made-up night: several runs side by side confirm what is true, in less time."""

import random
import statistics

import pytest

from agent.search.search import Search
from agent.search.verdict import N_BASELINE_SEEDS
from agent.simulate.night import Night, night
from agent.simulate.nights import MOST_FALSE, false_confirms, plants_found, simulate
from agent.simulate.surface import synthetic

N_NIGHTS, N_RUNS = 200, 100


def a_night(n_at_once: int, seed: int = 0) -> Night:
    world = synthetic("mixed", 1.0, 0.0)(random.Random(seed))
    return night(Search(), world, N_RUNS, random.Random(seed), n_at_once)


def test_one_at_a_time_takes_as_long_as_there_are_runs() -> None:
    found = a_night(1)
    assert found.length == sum(found.runs.values())


@pytest.mark.parametrize("n_at_once", [4, 16, 64])
def test_several_at_once_are_as_many_runs_in_less_time(n_at_once: int) -> None:
    nights = [a_night(n_at_once, seed) for seed in range(10)]
    assert max(sum(found.runs.values()) for found in nights) <= N_RUNS
    length = statistics.fmean(found.length for found in nights)
    n_waves = (N_RUNS - N_BASELINE_SEEDS) / n_at_once
    assert length < 1.5 * n_waves + 8  # the night's last batch and its baseline are waited for


def test_a_night_of_several_at_once_is_a_function_of_its_seed() -> None:
    assert a_night(16) == a_night(16)
    assert a_night(16) != a_night(16, seed=1)


@pytest.mark.parametrize("n_at_once", [4, 16, 64])
def test_side_by_side_no_more_is_confirmed_that_changes_nothing(n_at_once: int) -> None:
    found = simulate(synthetic("no-op", 1.0, 0.0), N_NIGHTS, N_RUNS, 3, with_greedy=False,
                     n_at_once=n_at_once)
    assert false_confirms(found).span[0] <= MOST_FALSE


@pytest.mark.parametrize("n_at_once", [4, 16, 64])
def test_side_by_side_a_planted_gain_is_found(n_at_once: int) -> None:
    found = simulate(synthetic("planted", 1.0, 0.0), N_NIGHTS, N_RUNS, 3, with_greedy=False,
                     n_at_once=n_at_once)
    assert plants_found(found).value >= 0.9
