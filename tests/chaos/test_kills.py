"""Whoever is killed, whenever: nothing is lost, nothing doubled, no loss differs by a bit."""

from pathlib import Path

import pytest

from tests.chaos.night import Night


@pytest.mark.chaos
def test_a_night_with_random_kills_is_the_night_without_them(
        tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kills = request.config.getoption("--kills")
    night = Night(tmp_path, seed=20, trials=request.config.getoption("--trials"))
    night.disturb(kills)
    found = night.finish()
    assert found.faults == []
    assert found.kills.total() == kills
    assert found.compared == found.runs["finished"] >= 3
