"""Durations and amounts of memory as people type them."""

import pytest

from agent.words.typed import megabytes, seconds
from engine.errors import UserError


@pytest.mark.parametrize(("text", "expected"), [
    ("90s", 90), ("4m", 240), ("8h", 28800), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86400)])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "4", "4 m", "m", "4x", "-4m", "1h-3m"])
def test_a_malformed_duration_names_itself_and_the_form(text: str) -> None:
    with pytest.raises(UserError, match="is not a duration; write 90s, 4m, 8h or 1h30m"):
        seconds(text)


@pytest.mark.parametrize("text", ["0s", "0m"])
def test_no_time_at_all_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="leaves no time"):
        seconds(text)


@pytest.mark.parametrize(("text", "expected"), [
    ("3G", 3000), ("3gb", 3000), ("800M", 800), ("1.5g", 1500), ("500k", 0.5), ("1T", 1e6)])
def test_memory(text: str, expected: float) -> None:
    assert megabytes(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["3", "G", "0G", "-1G", "3 G", "lots"])
def test_malformed_memory_names_itself_and_the_form(text: str) -> None:
    with pytest.raises(UserError, match="is not an amount of memory; write 3G or 800M"):
        megabytes(text)
