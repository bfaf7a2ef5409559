"""Quantities in words."""

import pytest

from agent import words


@pytest.mark.parametrize(("seconds", "text"), [
    (None, "-"), (-5.0, "0 s"), (0.4, "0 s"), (42, "42 s"), (59.6, "1 min"),
    (90 * 60, "1 h 30 min"), (3600, "1 h"), (3599, "1 h"), (26 * 3600, "1 d 2 h"),
    (48 * 3600, "2 d"),
])
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


def test_seconds_between_two_stamps_cross_midnight() -> None:
    assert words.seconds_between("2026-03-24T23:59:30Z", "2026-03-25T00:00:10Z") == 40.0


@pytest.mark.parametrize(("n", "text"), [
    (None, "-"), (393_800, "393.8k"), (999_949, "999.9k"), (999_950, "1.0M"), (1_311_872, "1.3M")])
def test_sizes_are_written_as_in_the_published_table(n: int | None, text: str) -> None:
    assert words.size(n) == text


def test_what_is_unknown_is_a_dash() -> None:
    assert [words.count(None), words.decimal(None, 3), words.megabytes(None), words.percent(None),
            words.clock(None)] == ["-"] * 5


def test_known_values_keep_their_unit() -> None:
    assert words.count(2048000) == "2,048,000"
    assert words.megabytes(1234.4) == "1,234 MB"
    assert words.percent(-0.013) == "-1.3%"
    assert words.clock("2026-03-24T22:05:00Z") == "2026-03-24 22:05 UTC"


def test_text_cannot_steer_the_terminal() -> None:
    assert words.printable("a\x1b[2Jb\n\tc\x00é") == "a\ufffd[2Jb\n\tc\ufffdé"


def test_cut_text_shows_that_it_was_cut() -> None:
    assert words.cut("abcdef", 4) == "abc…"
    assert words.cut("abcd", 4) == "abcd"


def test_what_foreign_code_says_is_one_short_line() -> None:
    assert words.one_line(" two\nlines\x07 ") == "two lines\ufffd"
    assert len(words.one_line("x" * 999)) == 160


@pytest.mark.parametrize(("error", "text"), [
    (ValueError("no\nway"), "ValueError: no way"), (KeyError("a"), "KeyError: 'a'"),
    (ValueError(), "ValueError"), (type("Mute", (Exception,), {"__str__": 3})(), "Mute")])
def test_an_exception_is_told_by_its_kind_and_message(error: Exception, text: str) -> None:
    assert words.told_error(error) == text


@pytest.mark.parametrize(("n", "cluster", "told"), [
    (1, None, "one run at a time (--trials K)"), (4, None, "4 runs at once"),
    (4, "local:4", "4 runs at once on cluster local:4"),
    (1, "tcp://10.0.0.5:8786", "1 run at once on cluster tcp://10.0.0.5:8786"),
    (2, "/a" * 40, f"2 runs at once on cluster {'/a' * 19}/…")])
def test_how_many_runs_go_at_once_and_where(n: int, cluster: str | None, told: str) -> None:
    assert words.at_once(n, cluster) == told
