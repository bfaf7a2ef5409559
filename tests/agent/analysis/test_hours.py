"""The clock of a study: hours of training, without the days between nights."""

from agent.analysis.hours import Hours
from tests.support.run_rows import row


def test_days_between_nights_take_no_time() -> None:
    first = row(1, ended_at="2026-01-01T01:00:00Z", duration_s=1800.0)
    second = row(2, ended_at="2026-03-01T01:00:00Z", duration_s=3600.0)
    hours = Hours([second, first, row(3, ended_at=None)])
    assert (hours.of(first), hours.of(second), hours.total) == (0.5, 1.5, 1.5)


def test_a_moment_lies_behind_what_had_ended_by_then() -> None:
    hours = Hours([row(1, ended_at="2026-01-01T01:00:00Z", duration_s=1800.0)])
    assert hours.at("2026-01-01T00:00:00Z") == 0.0
    assert hours.at("2026-01-01T01:00:00Z") == hours.at("2027-01-01T00:00:00Z") == 0.5
    assert Hours([]).at("2026-01-01T00:00:00Z") == 0.0
