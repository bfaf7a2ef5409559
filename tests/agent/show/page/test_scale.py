"""Axes: where values lie, and which round values mark them."""

import math

import pytest

from agent.show.page.scale import Scale, linear_ticks, scale_of, short


def test_a_linear_and_a_logarithmic_axis_place_their_middles() -> None:
    assert Scale(10, 20).at(15) == pytest.approx(0.5)
    assert Scale(1, 100, kind="log").at(10) == pytest.approx(0.5)
    assert math.isnan(Scale(1, 100, kind="log").at(0))


@pytest.mark.parametrize(("low", "high"), [
    (0, 1), (-0.3, 0.07), (1.3, 1.87), (0, 7e9), (1e-5, 3e-5)])
def test_linear_ticks_are_round_inside_and_never_too_many(low: float, high: float) -> None:
    for most in range(2, 12):
        ticks = linear_ticks(low, high, most)
        assert 1 <= len(ticks) <= most
        assert all(low - 1e-9 <= tick <= high + 1e-9 * abs(high) for tick in ticks)
        steps = {round((b - a) / 10 ** math.floor(math.log10(b - a)), 6)
                 for a, b in zip(ticks, ticks[1:], strict=False)}
        assert steps <= {1.0, 2.0, 5.0, 10.0}


def test_a_short_logarithmic_axis_has_1_2_and_5_and_a_long_one_powers() -> None:
    assert [word for _, word in Scale(1e-4, 1e-2, kind="log").ticks(9)] == [
        "1e-4", "2e-4", "5e-4", "1e-3", "2e-3", "5e-3", "0.01"]
    assert [word for _, word in Scale(1, 1e9, kind="log").ticks(5)] == [
        "1", "100", "10k", "1M", "100M"]


def test_a_logarithmic_axis_within_a_factor_of_three_is_marked_evenly() -> None:
    assert [word for _, word in Scale(1000, 2000, kind="log").ticks(4)] == ["1,000", "1,500",
                                                                            "2,000"]


@pytest.mark.parametrize(("value", "step", "word"), [
    (0.005, 0.005, "0.005"), (0.1 + 0.2 - 0.3, 0.1, "0"), (20_000, 5000, "20k"),
    (3e-4, None, "3e-4"), (-0.05, 0.05, "-0.05"), (1.5e6, None, "1.5M"),
    (500, 100, "500"), (2e-5, 1e-5, "2e-5")])
def test_numbers_are_short(value: float, step: float | None, word: str) -> None:
    assert short(value, step) == word


def test_choices_are_their_own_ticks() -> None:
    assert Scale(-0.5, 1.5, names=("no", "yes")).ticks(1) == [(0.0, "no"), (1.0, "yes")]


def test_a_scale_holds_all_that_is_known_with_a_margin() -> None:
    found = scale_of([3.0, math.nan, 1.0, math.inf], margin=0.1)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.8, 3.2))
    assert scale_of([math.nan]) is None
    assert scale_of([0.0, -1.0], kind="log") is None
    one = scale_of([2.0])
    assert one is not None
    assert one.low < 2 < one.high


@pytest.mark.parametrize("ends", [(1, 1), (2, 1), (0, math.inf)])
def test_an_axis_without_length_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="has no length"):
        Scale(*ends)
    with pytest.raises(ValueError, match="cannot begin at 0"):
        Scale(0, 1, kind="log")


@pytest.mark.parametrize(("low", "high"), [(1.33, 1.9), (0.6, 1.9), (11, 19)])
def test_an_axis_with_room_for_two_has_two_marks_to_four(low: float, high: float) -> None:
    assert 2 <= len(Scale(low, high).ticks(2)) <= 4
