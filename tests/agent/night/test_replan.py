"""A night whose first baseline tells that the measured speed was far off."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.queries import Queries
from agent.night.recover import recover
from agent.night.replan import correct_budget, sweep
from agent.search import budget
from agent.trial.job import STOPPED
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from tests.agent.night.test_night import Stage, tokens  # noqa: F401 a fixture
from tests.agent.search.test_budget import TOKENS, a_plan
from tests.support.parts import done, settings
from tests.support.parts import write_events as write
from tests.support.patience import patience


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def stage(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Stage:  # noqa: F811 the fixture
    """A night at its first baseline, whose speed was measured as 3,000 tokens/s."""
    found = Stage(tmp_path, ledger, tokens)
    found.night.study = a_plan(ledger, text=tokens.corpus.sha256)
    found.night.tick()
    return found


def slow(n_tokens: int = 9000, tok_per_s: float = 1000.0) -> dict[str, Any]:
    return {"kind": "step", "step": 280, "tokens": n_tokens, "loss": 4.0, "lr": 1e-3,
            "grad_norm": 1.0, "tok_per_s": tok_per_s}


def budgets(ledger: Queries) -> set[int | None]:
    return {run.budget_tokens for run in ledger.runs()}


def tell(stage: Stage, *events: dict[str, Any]) -> None:
    assert stage.night.runner.trial is not None
    write(stage.night.runner.trial.folder, *events)
    stage.night.tick()


def leave(stage: Stage) -> None:
    """The worker, asked to stop, saves and leaves; the night sees it."""
    assert stage.night.runner.trial is not None
    write(stage.night.runner.trial.folder, {"kind": "stopped", "step": 280})
    stage.spawn.processes[-1].status = STOPPED
    stage.night.tick()


def test_a_slow_first_baseline_is_stopped_and_begins_anew_with_a_smaller_budget(
        stage: Stage) -> None:
    folder = stage.night.runner.trial.folder  # type: ignore[union-attr]
    tell(stage, slow())
    stage.night.tick()
    assert stage.night.runner.trial.asked_at_s is not None  # type: ignore[union-attr]
    assert budgets(stage.ledger) == {TOKENS}  # nothing changes while it still saves
    leave(stage)
    found = stage.night.study
    assert found is not None
    assert found.budget_tokens < TOKENS / 2
    assert budgets(stage.ledger) == {found.budget_tokens}
    assert stage.states() == ["running", "queued", "queued", "queued", "queued"]
    assert not folder.root.exists()
    trial = stage.night.runner.trial
    assert trial is not None
    assert json.loads(trial.folder.job.read_text())["budget_tokens"] == found.budget_tokens
    assert [said for said in stage.listener.said if said.startswith("the budget is corrected")]


def test_a_first_baseline_that_is_over_too_soon_is_kept_apart_and_the_budget_grows(
        stage: Stage) -> None:
    stage.finish(2.0, 0, done() | {"tok_per_s": 9000.0})
    found = stage.night.study
    assert found is not None
    assert found.budget_tokens > 2 * TOKENS
    first = stage.ledger.run("B1")
    assert (first.calibration_id, first.budget_tokens, first.val_bpb) == (None, TOKENS, 2.0)
    assert stage.verdicts() == ["recorded"]  # a measurement of its own
    assert stage.ledger.calibration(found.id).n == 0
    assert {run.budget_tokens for run in stage.ledger.study_runs(found.id)} == {
        found.budget_tokens}
    assert len(stage.ledger.study_runs(found.id)) == 5


def test_a_baseline_about_as_fast_as_measured_goes_on(stage: Stage) -> None:
    tell(stage, slow(tok_per_s=2500.0, n_tokens=25_000))
    stage.night.tick()
    assert stage.night.runner.trial.asked_at_s is None  # type: ignore[union-attr]
    stage.finish(2.0, 0, done() | {"tok_per_s": 2500.0})
    assert budgets(stage.ledger) == {TOKENS}
    assert stage.verdicts() == ["baseline"]


def test_the_second_baseline_of_a_corrected_study_corrects_nothing(stage: Stage) -> None:
    stage.finish(2.0, 0, done() | {"tok_per_s": 9000.0})
    once = stage.night.study
    stage.finish(2.0, 0, done() | {"tok_per_s": 100.0})
    stage.finish(2.1, 0, done() | {"tok_per_s": 100.0})
    assert stage.night.study is not None
    assert once is not None
    assert stage.night.study.budget_tokens == once.budget_tokens
    assert len(stage.ledger.events_of("budget")) == 1
    assert stage.verdicts() == ["recorded", "baseline", "baseline"]


def test_a_night_that_ends_before_its_baselines_says_how_many_wait(stage: Stage) -> None:
    stage.finish(2.0, 0, done() | {"tok_per_s": 3000.0})
    stage.night.stop("asked to")
    leave(stage)
    assert stage.night.is_over
    assert stage.listener.said[-1].endswith(
        "; 4 of 5 baseline runs wait before any idea: `agent run` goes on")


# --- kills -----------------------------------------------------------------------------------


def next_night(stage: Stage) -> Stage:
    """The daemon died; another one takes up the home."""
    found = Stage(stage.home.root, stage.ledger, stage.text)
    found.night.study = stage.ledger.calibration(1)
    recover(found.night, lambda left: None)
    correct_budget(found.night)
    sweep(found.night)
    found.night.tick()
    return found


def test_killed_before_the_baseline_was_saved_the_next_night_corrects_it(stage: Stage) -> None:
    tell(stage, slow())
    after = next_night(stage)
    assert len(after.ledger.events_of("budget")) == 1
    assert len(budgets(after.ledger)) == 1
    assert budgets(after.ledger) != {TOKENS}


def test_killed_once_the_baseline_waits_the_next_night_corrects_it(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(stage, slow())
    stage.night.tick()
    with monkeypatch.context() as killed:
        killed.setattr(stage.night.campaign, "correct", _killed)
        with pytest.raises(KeyboardInterrupt):
            leave(stage)
    assert budgets(stage.ledger) == {TOKENS}
    assert stage.ledger.run("B1").state == "queued"
    after = next_night(stage)
    assert len(after.ledger.events_of("budget")) == 1
    assert len(budgets(after.ledger)) == 1


def test_killed_behind_the_correction_it_is_not_made_twice_and_what_is_left_is_cleared(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stage.night.runner.trial.folder  # type: ignore[union-attr]
    tell(stage, slow())
    stage.night.tick()
    with monkeypatch.context() as killed:
        killed.setattr("agent.night.replan.sweep", _killed)
        with pytest.raises(KeyboardInterrupt):
            leave(stage)
    assert folder.job.exists()
    after = next_night(stage)
    assert not folder.root.exists()
    assert len(after.ledger.events_of("budget")) == 1
    (only,) = budgets(after.ledger)
    assert after.night.runner.trial is not None
    assert json.loads(after.night.runner.trial.folder.job.read_text())["budget_tokens"] == only


def test_killed_when_the_first_baseline_had_finished_the_next_night_judges_it_the_same(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(stage.night.campaign, "correct", _killed)
        with pytest.raises(KeyboardInterrupt):
            stage.finish(2.0, 0, done() | {"tok_per_s": 9000.0})
    assert stage.ledger.run("B1").state == "finished"
    after = next_night(stage)
    assert after.verdicts() == ["recorded"]
    assert stage.ledger.run("B1").calibration_id is None
    assert len(stage.ledger.study_runs(1)) == 5


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


# --- for real --------------------------------------------------------------------------------

# `agent` on a machine whose speed is measured as so many times what it is.
MISMEASURED = """
import dataclasses, sys
from agent.search import budget, study
own = study.measure
def measure(*arguments, **named):
    found = own(*arguments, **named)
    return dataclasses.replace(found, step_s=found.step_s / {factor})
study.measure = measure
from agent.cli.main import main
main()
"""


@pytest.mark.parametrize("factor", [8.0, 0.1])
def test_a_real_night_that_measured_wrong_ends_with_one_budget(
        tmp_path: Path, factor: float) -> None:
    text = tmp_path / "stories.txt"
    text.write_text("\n<|endoftext|>\n".join(write_stories(120, 0)))
    words = [sys.executable, "-c", MISMEASURED.format(factor=factor), "--home",
             str(tmp_path / "home"), "run", "--run-for", "3s", "--runs", "3", "--corpus",
             str(text), *settings()]
    found = subprocess.run(words, capture_output=True, text=True, timeout=patience(120),
                           check=False, env=os.environ)
    assert found.returncode == 0, found.stderr
    assert found.stderr.count("the budget is corrected once") == 1
    with Ledger.open(tmp_path / "home" / "ledger.db") as ledger:
        (study,) = ledger.studies()
        assert {run.budget_tokens for run in ledger.study_runs(study.id)} == {study.budget_tokens}
        assert study.budget_tokens == (ledger.events_of("budget")[0].data or {})["budget_tokens"]
        assert budget.look(ledger, study, 0) == (True, None)
        folders = {path.name for path in (tmp_path / "home" / "runs").iterdir() if path.is_dir()}
        assert folders <= {run.uid for run in ledger.runs()} | {"measure"}
