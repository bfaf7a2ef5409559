"""Thompson sampling: who earns is asked, nobody is forgotten, the past fades."""

import random
from collections import Counter

import pytest

from agent.search.bandit import DISCOUNT, FLOOR, LARGEST_REWARD, Bandit

NAMES = ("a", "b", "c", "d")


def asked(bandit: Bandit, n: int = 4000) -> Counter[str]:
    rng = random.Random(0)
    return Counter(bandit.order(NAMES, rng)[0] for _ in range(n))


def test_at_first_all_are_asked_alike() -> None:
    assert min(asked(Bandit()).values()) > 800  # of 1,000 expected


def test_who_earns_is_asked_most_and_nobody_less_than_the_floor() -> None:
    bandit = Bandit()
    for _ in range(60):
        bandit.reward("a", 3.0, 1.0, 1.0)
        for name in NAMES[1:]:
            bandit.reward(name, -1.0, 1.0, 1.0)
    counts = asked(bandit)
    assert counts["a"] > 0.6 * 4000
    assert min(counts.values()) > 0.8 * FLOOR * 4000


@pytest.mark.parametrize(("gain", "s_d", "cost", "expected"), [
    (1.0, 0.5, 1.0, 2.0),  # in units of the noise
    (9.0, 0.5, 1.0, LARGEST_REWARD),  # clipped
    (-1.0, 0.5, 1.0, 0.0),
    (1.0, 0.5, 2.0, 1.0),  # by cost
    (None, 0.5, 1.0, 0.0),  # a failure
    (1.0, None, 1.0, 0.0),  # the noise is not known yet
])
def test_a_reward_is_the_clipped_gain_in_units_of_noise_by_cost(
        gain: float | None, s_d: float | None, cost: float, expected: float) -> None:
    bandit = Bandit()
    before = bandit.expected("a")
    bandit.reward("a", gain, s_d, cost)
    assert bandit.expected("a") == pytest.approx((before + expected) / 2)


def test_the_past_fades() -> None:
    bandit = Bandit()
    bandit.reward("a", 2.0, 1.0, 1.0)
    for _ in range(3):
        bandit.reward("b", 0.0, 1.0, 1.0)
    kept = DISCOUNT**3
    assert bandit.expected("a") == pytest.approx((2 * kept + 0.5) / (kept + 1))


def test_the_same_chance_gives_the_same_order_of_all_names() -> None:
    bandit = Bandit()
    first, second = (bandit.order(NAMES, random.Random(3)) for _ in range(2))
    assert first == second
    assert sorted(first) == list(NAMES)
