"""Student's t against printed tables and closed forms."""

import math

import pytest

from agent.search.student import cdf, f_tail, quantile

# Abramowitz and Stegun 1964, table 26.10: percentage points of the t-distribution.
TABLE = {
    0.90: {1: 3.078, 2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476, 10: 1.372, 30: 1.310, 120: 1.289},
    0.95: {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 15: 1.753, 30: 1.697, 120: 1.658},
    0.975: {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 15: 2.131, 30: 2.042, 120: 1.980},
    0.995: {1: 63.657, 2: 9.925, 3: 5.841, 4: 4.604, 5: 4.032, 15: 2.947, 30: 2.750, 120: 2.617},
}


@pytest.mark.parametrize(("share", "df", "expected"), [
    (share, df, value) for share, row in TABLE.items() for df, value in row.items()])
def test_quantiles_are_those_of_the_table(share: float, df: int, expected: float) -> None:
    assert round(quantile(share, df), 3) == expected


@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.5, 0.6, 0.9, 0.999, 0.999999])
def test_one_and_two_degrees_of_freedom_have_closed_forms(share: float) -> None:
    assert quantile(share, 1) == pytest.approx(math.tan(math.pi * (share - 0.5)), rel=1e-9)
    two = (2 * share - 1) / math.sqrt(2 * share * (1 - share))
    assert quantile(share, 2) == pytest.approx(two, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("t", [-30.0, -2.0, -0.1, 0.0, 0.5, 1.0, 3.0, 100.0])
def test_the_distribution_of_one_and_four_degrees_has_a_closed_form(t: float) -> None:
    assert cdf(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, rel=1e-10)
    s = t / math.sqrt(4 + t * t)
    four = 0.5 + s * (1.5 - 0.5 * s * s) / 2
    assert cdf(t, 4) == pytest.approx(four, rel=1e-9, abs=1e-14)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert cdf(1.0, 1e7) == pytest.approx(0.5 * (1 + math.erf(1 / math.sqrt(2))), abs=1e-7)
    assert quantile(0.975, 1e7) == pytest.approx(1.959964, abs=1e-5)


def test_degrees_of_freedom_need_not_be_whole() -> None:
    assert quantile(0.975, 4) < quantile(0.975, 3.4) < quantile(0.975, 3)


@pytest.mark.parametrize(("share", "df"), [(0.0, 4), (1.0, 4), (0.9, 0), (0.9, -1)])
def test_what_has_no_quantile_is_refused(share: float, df: float) -> None:
    with pytest.raises(ValueError, match=f"no quantile {share} of a t with {df} degrees"):
        quantile(share, df)


def test_the_end_of_the_range_is_no_endless_search() -> None:
    assert math.isfinite(quantile(1 - 1e-15, 0.05))



@pytest.mark.parametrize(("ratio", "df", "df_below", "share"), [
    (4.96, 1, 10, 0.05), (2.98, 10, 10, 0.05), (2.79, 15, 30, 0.00814), (1.0, 7, 7, 0.5)])
def test_the_tail_of_f_is_that_of_published_tables(ratio, df, df_below, share) -> None:
    assert f_tail(ratio, df, df_below) == pytest.approx(share, rel=0.02)
