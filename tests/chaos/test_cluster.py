"""A night on a cluster: whoever dies, leaves or is out of reach, every run ends once and the same.
"""

from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[cluster]'")

from tests.chaos import apart
from tests.chaos.cluster import ClusterNight

WHY_NOT = apart.why_not()
apart_only = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.mark.chaos
def test_a_night_whose_scheduler_nannies_and_workers_are_killed_is_the_night_without_kills(
        tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kills = request.config.getoption("--kills")
    night = ClusterNight(tmp_path, seed=20)
    night.disturb(kills)
    found = night.finish()
    assert found.faults == []
    assert found.kills.total() == kills
    assert found.compared == found.runs["finished"] >= 3


@pytest.fixture
def by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster of several machines computes by numpy; so does what stands beside it here."""
    monkeypatch.setenv("AGENT_NATIVE", "0")


@pytest.mark.chaos
@apart_only
@pytest.mark.usefixtures("by_numpy")
def test_a_machine_that_was_out_of_reach_for_a_minute_neither_doubles_nor_loses_a_run(
        tmp_path: Path) -> None:
    night = apart.cut_off(tmp_path, 60.0)
    assert night.outcome.faults == []
    assert night.outcome.compared == night.outcome.runs["finished"] >= 3
    ((n_left,),) = night._ask("SELECT count(*) FROM events WHERE message LIKE 'machine-2 left%'")
    ((n_came,),) = night._ask("SELECT count(*) FROM events WHERE message LIKE 'machine-2 joins%'")
    assert (n_left, n_came) >= (1, 2)


@pytest.mark.chaos
@apart_only
@pytest.mark.usefixtures("by_numpy")
def test_a_machine_that_leaves_in_mid_night_changes_no_decision(tmp_path: Path) -> None:
    home = apart.begun(tmp_path / "begun")
    alone = apart.decided(tmp_path / "all", home, leaves=False)
    left = apart.decided(tmp_path / "one", home, leaves=True)
    assert alone == left
    assert len(alone) >= apart.ApartNight.n_runs
