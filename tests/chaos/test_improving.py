"""Whoever is killed while a model is improved, whenever: no result differs by a bit."""

from pathlib import Path

import pytest

from tests.chaos.improving import Improving


@pytest.mark.chaos
def test_rounds_with_random_kills_are_the_rounds_without_them(
        tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kills = request.config.getoption("--kills")
    work = Improving(tmp_path, seed=20)
    work.disturb(kills)
    found = work.finish()
    assert found.faults == []
    assert found.kills.total() == kills
    assert found.compared == found.runs["finished"] >= 3
