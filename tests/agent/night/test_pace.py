"""What is said of a run's time is corrected by what runs take, once for each change."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.night.pace import Pace, run_s
from tests.agent.ledger.test_pace import ended
from tests.support.parts import a_study


def a_night(ledger: Ledger, study: int, left_s: float | None, n_trials: int = 1) -> Any:
    return SimpleNamespace(ledger=ledger, study=ledger.calibration(study),
                           campaign=SimpleNamespace(left_s=lambda: left_s),
                           plan=SimpleNamespace(n_trials=n_trials))


@pytest.mark.parametrize(("took_s", "said"), [
    (12, None), (8, None),  # about the 10 s that were foreseen
    (35, "runs take about 35 s now, not 10 s: time for about 3 more"),
    (5, "runs take about 5 s now, not 10 s: time for about 24 more")])
def test_a_run_that_takes_longer_or_shorter_is_told_once(
        tmp_path: Path, took_s: int, said: str | None) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = a_study(ledger, device="a", run_s=10.0)
        night, pace = a_night(ledger, study, 120.0), Pace()
        pace.said(night.study, run_s(ledger, night.study))
        assert pace.news(night) is None  # before a run has ended
        ended(ledger, study, 0, 1, took_s, took_s - 1.0)
        assert pace.news(night) == said
        assert pace.news(night) is None
        assert run_s(ledger, night.study) == took_s


def test_several_runs_at_once_and_a_night_without_an_end(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = a_study(ledger, device="a", run_s=10.0)
        ended(ledger, study, 0, 1, 40, 39.0)
        assert Pace().news(a_night(ledger, study, 120.0, 2)) == (
            "runs take about 40 s now, not 10 s: time for about 6 more")
        assert Pace().news(a_night(ledger, study, None)) == (
            "runs take about 40 s now, not 10 s")


def test_a_corrected_budget_counts_as_said(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = a_study(ledger, device="a", run_s=40.0)
        ended(ledger, study, 0, 1, 40, 39.0)
        pace = Pace()
        pace.said(ledger.calibration(study), 5.0)
        ledger.update_calibration(study, budget_tokens=6400, run_s=40.0)
        assert pace.news(a_night(ledger, study, 100.0)) is None
