"""Nights on looked-up runs: their ideas are the search's own, and no more is claimed than is so."""

import itertools
import random

import pytest

from agent.search.search import Search
from agent.simulate.night import night
from agent.simulate.nights import MOST_FALSE, false_confirms, optimism, plants_found, simulate
from agent.simulate.surface import BASELINE, TABLES
from agent.simulate.tunnel import Tunnel
from agent.simulate.tunnel_world import STARTS, TunnelWorld, start_of, worlds
from strategies.base import why_not


@pytest.fixture(scope="module")
def tunnel() -> Tunnel:
    return Tunnel.open("builtin")


def world(tunnel: Tunnel, kind: str = "mixed", seed: int = 0) -> TunnelWorld:
    return TunnelWorld(random.Random(seed), tunnel, start_of(0), kind)


def test_starts_are_legal_and_all_different(tunnel: Tunnel) -> None:
    starts = [start_of(number) for number in range(STARTS)]
    assert len({start.hash for start in starts}) == STARTS
    for start in starts:
        assert why_not(start, TunnelWorld(random.Random(0), tunnel, start, "mixed").limits) is None


def test_nights_that_judge_begin_where_none_that_develops_does() -> None:
    seen = [{worlds("builtin", half, "mixed")(random.Random(i)).start.hash  # type: ignore[attr-defined]
             for i in range(60)} for half in ("develop", "judge")]
    assert not seen[0] & seen[1]
    assert len(seen[1]) > 10


@pytest.mark.parametrize("text", TABLES)
def test_no_run_of_the_text_is_known_before(text: str) -> None:
    found = world(Tunnel.open(text))._elsewhere
    assert found
    assert not [row for row in found if row.study.startswith(text)]


def test_an_idea_is_new_legal_and_a_function_of_what_was_seen(tunnel: Tunnel) -> None:
    asked = []
    for _ in range(2):
        same = world(tunnel)
        for seed in range(3):
            same.run(BASELINE, seed, "baseline")
        asked.append(same.idea(BASELINE, ["explore", "learning_rate"], []))
    assert asked[0] == asked[1]
    assert asked[0] is not None
    assert why_not(same._configs[asked[0].key], same.limits) is None
    assert asked[0].key != BASELINE


def test_what_a_step_changed_can_be_left_out(tunnel: Tunnel) -> None:
    same = world(tunnel)
    for seed in range(3):
        same.run(BASELINE, seed, "baseline")
    first = same.plain(BASELINE)
    assert first is not None
    same.run(first, 0, "search", "random")
    second = same.plain(first)
    assert second is not None
    assert same.without(BASELINE, [first, second]) == second
    assert same.without(BASELINE, [first]) == first


def test_a_night_finds_what_is_truly_better(tunnel: Tunnel) -> None:
    rng = random.Random(0)
    found = night(Search(), world(tunnel), 40, rng)
    assert found.true > 0
    assert found.runs["search"] > 20
    assert night(Search(), world(tunnel), 40, random.Random(0)) == found


def test_runs_given_up_leave_their_tokens_to_others(tunnel: Tunnel) -> None:
    found = (night(Search(), world(tunnel, seed=seed), 40, random.Random(seed))
             for seed in range(3))
    assert any(sum(one.runs.values()) > 40 for one in found)


@pytest.mark.parametrize("text", TABLES)
def test_with_the_noise_of_real_runs_what_does_nothing_is_seldom_confirmed(text: str) -> None:
    for kind in ("no-op", "seed-swap"):
        found = simulate(worlds(text, "develop", kind), 200, 60, 1, with_greedy=False)
        assert false_confirms(found).span[0] <= MOST_FALSE


@pytest.mark.parametrize("text", TABLES)
def test_with_the_noise_of_real_runs_a_plant_is_found(text: str) -> None:
    found = simulate(worlds(text, "develop", "planted"), 200, 60, 1, with_greedy=False)
    assert plants_found(found).value >= 0.9


def test_claims_on_real_runs_are_what_is_true() -> None:
    found = simulate(worlds("tinystories", "develop", "mixed"), 5, 40, 1, with_greedy=False)
    claimed = optimism(found.nights)
    assert claimed.value is not None
    assert abs(claimed.value) < 0.15


def test_the_plant_gains_what_it_is_said_to(tunnel: Tunnel) -> None:
    same = world(tunnel, "planted")
    plant = same.plant()
    assert plant is not None
    gain = same.true(BASELINE) - same.true(plant)
    pairs = [same.run(BASELINE, seed).search - same.run(plant, seed).search
             for seed in itertools.islice(itertools.count(), 2000)]
    assert gain > 0
    assert sum(pairs) / len(pairs) == pytest.approx(gain, rel=0.1)
