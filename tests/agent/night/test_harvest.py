"""The last part of a night: when it begins, what is written before, how it is taken up again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger import find_run, newest_harvest, prediction_of
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.night.harvest import LEAST_NIGHT_S, at_end, kept_s
from agent.trial.job import STOPPED
from engine.errors import LedgerError, UserError
from engine.text.corpus import TokenSet
from tests.agent.night.test_night import Stage
from tests.agent.night.test_night import tokens as tokens
from tests.agent.night.test_turns import BPB, Crew
from tests.support.parts import done, step

START_S, NIGHT_S, KEPT_S = 1000.0, 400.0, 100.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def a_night(root: Path, ledger: Ledger, tokens: TokenSet) -> Stage:
    stage = Stage(root, ledger, tokens, deadline_s=START_S + NIGHT_S)
    stage.night.harvest.keep(KEPT_S)
    return stage


@pytest.fixture
def stage(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Stage:
    """A night whose search has a baseline that has just ended, and no time for more."""
    stage = a_night(tmp_path, ledger, tokens)
    study = stage.study()
    stage.queue(strategy="baseline", study=study)
    stage.night.tick()
    stage.time.now_s = START_S + NIGHT_S - KEPT_S - 1
    stage.finish(2.0, 0, done(confirm_bpb=2.0, test_bpb=2.0))
    return stage


def grown(stage: Stage) -> Run:
    label = newest_harvest(stage.ledger)
    assert label is not None
    return stage.ledger.run(label)


def test_the_prediction_is_in_the_ledger_before_the_run_begins(stage: Stage) -> None:
    run = grown(stage)
    its = prediction_of(stage.ledger, run.id)
    assert (run.label, run.state, run.strategy) == ("H1", "running", "harvest")
    assert its is not None
    assert its.low_bpb < its.mean_bpb < its.high_bpb < 2.2
    assert (run.budget_tokens or 0) > 2 * 3200
    assert run.calibration_id is None
    assert stage.ledger.run(run.parent_id or 0).label == "B1"
    kinds = [event.kind for event in stage.ledger.events(run_id=run.id)]
    assert kinds == ["harvest"]  # what is said of it


def test_it_is_judged_and_the_night_ends_with_it(stage: Stage) -> None:
    its = prediction_of(stage.ledger, grown(stage).id)
    assert its is not None
    stage.time.now_s = START_S + NIGHT_S - 5
    stage.finish(its.mean_bpb)
    assert stage.verdicts()[-1] == "as predicted"
    assert stage.home.run(grown(stage).uid).root.exists()  # its model stays
    stage.night.tick()
    assert stage.night.is_over
    assert f"measured {its.mean_bpb:.3f}: as predicted" in " ".join(stage.listener.said)
    assert at_end(stage.night)[0].startswith("harvest H1: ")
    stage.night.only = 1  # a run by hand, later
    assert at_end(stage.night) == []


def test_a_harvest_cut_short_is_first_in_the_next_night_on_its_own_schedule(
        stage: Stage, tmp_path: Path, tokens: TokenSet) -> None:
    before = grown(stage)
    stage.night.stop("asked to")
    stage.finish(0.0, STOPPED, step(10), {"kind": "stopped", "step": 10, "tokens": 320})
    assert grown(stage).state == "queued"
    later = a_night(tmp_path, stage.ledger, tokens)
    later.night.study = stage.night.study
    later.night.tick()
    after = grown(later)
    assert (after.label, after.state) == ("H1", "running")
    assert (after.config, after.budget_tokens, after.uid) == (
        before.config, before.budget_tokens, before.uid)


def test_it_waits_for_a_test_on_fresh_seeds_and_not_beyond_the_night(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    stage = a_night(tmp_path, ledger, tokens)
    study = stage.study()
    stage.queue(strategy="baseline", study=study)
    stage.queue(strategy="confirm", study=study, seed=7)
    stage.night.tick()
    stage.time.now_s = START_S + NIGHT_S - KEPT_S - 1
    stage.finish(2.0, 0, done(confirm_bpb=2.0, test_bpb=2.0))
    assert stage.night.harvest.state == "settling"
    assert [run.state for run in ledger.runs() if run.strategy == "confirm"] == ["running"]
    stage.finish(2.0, 0, done(confirm_bpb=2.0, test_bpb=2.0))
    assert stage.night.harvest.state in ("settling", "harvest")
    assert "waits until the test" in " ".join(stage.listener.said)


def test_a_pause_puts_it_off_and_the_end_of_the_night_leaves_it_out(
        tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    stage = a_night(tmp_path, ledger, tokens)
    stage.queue(strategy="baseline", study=stage.study())
    stage.night.tick()
    stage.night.pause("paused")
    stage.time.now_s = START_S + NIGHT_S - KEPT_S + 5
    stage.finish(2.0, 0, done(confirm_bpb=2.0, test_bpb=2.0))
    assert newest_harvest(ledger) is None
    stage.night.is_paused = False
    stage.night.tick()
    assert newest_harvest(ledger) == "H1"
    assert not stage.night.is_over


def test_one_that_will_be_late_says_so_once_and_keeps_its_schedule(stage: Stage) -> None:
    run = grown(stage)
    trial = stage.night.runner.trial
    assert trial is not None
    budget = run.budget_tokens or 0
    trial.last["step"] = step(1) | {"tokens": budget // 10, "tok_per_s": budget / 1000}
    stage.night.harvest.look()
    stage.night.harvest.look()
    said = [one for one in stage.listener.said if "longer than this night" in one]
    assert len(said) == 1
    assert grown(stage).budget_tokens == budget


def test_a_night_that_keeps_none_searches_to_its_end(tmp_path: Path, ledger: Ledger,
                                                    tokens: TokenSet) -> None:
    stage = Stage(tmp_path, ledger, tokens, deadline_s=START_S + NIGHT_S)
    stage.study()
    assert stage.night.plan.deadline_s == START_S + NIGHT_S
    assert not stage.night.harvest.takes_over()
    with pytest.raises(LedgerError, match="no harvest yet; `agent harvest --for 10m`"):
        find_run(ledger, "harvest")


def test_a_quarter_of_a_long_night_is_kept_and_what_is_asked_for_of_any() -> None:
    assert kept_s(8 * 3600.0, None) == 2 * 3600
    assert kept_s(LEAST_NIGHT_S - 1, None) == kept_s(None, None) == kept_s(8 * 3600.0, 0.0) == 0
    assert kept_s(600.0, 120.0) == kept_s(None, 120.0) == 120
    with pytest.raises(UserError, match="--harvest 3m leaves no search of --for 3m"):
        kept_s(180.0, 180.0)


# --- several runs at once ----------------------------------------------------------------------


@pytest.fixture
def crew(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Crew:
    """Two at once whose noise is known: E1 and E2 run, E3 was asked ahead and waits."""
    found = Crew(tmp_path, ledger, tokens, 2, deadline_s=START_S + NIGHT_S)
    found.night.harvest.keep(KEPT_S)
    found.tick()
    found.end("B1", "B2")
    found.end("B3")
    assert list(found.trials) == ["E1", "E2"]
    return found


def test_of_several_at_once_it_begins_when_all_have_ended_and_runs_alone(crew: Crew) -> None:
    crew.time.now_s = START_S + NIGHT_S - KEPT_S
    crew.end("E2")
    assert list(crew.trials) == ["E1"]  # nothing more begins; what runs may end
    assert crew.decided() == ["B1", "B2", "B3"]
    crew.end("E1")
    assert crew.decided()[3:5] == ["E1", "E2"]
    assert list(crew.trials) == ["H1"]
    asked = crew.asked()
    crew.tick(4)
    assert list(crew.trials) == ["H1"]  # with a slot that is free
    assert crew.asked() == asked
    assert crew.ledger.run("E3").state == "queued"  # for the next night
    its = prediction_of(crew.ledger, crew.ledger.run("H1").id)
    assert its is not None
    BPB["H1"] = its.mean_bpb
    crew.time.now_s = START_S + NIGHT_S - 5
    crew.end("H1")
    assert crew.night.is_over
    assert crew.verdicts()[-1] == "as predicted"


def test_of_several_at_once_both_arms_are_finished_first_and_no_idea_that_was_asked_ahead(
        crew: Crew) -> None:
    for seed in (7, 8, 9):
        crew.queue(strategy="confirm", seed=seed, study=crew.ledger.newest_study().id)
    crew.time.now_s = START_S + NIGHT_S - KEPT_S
    crew.end("E1", "E2")
    assert crew.night.harvest.state == "settling"
    arms = list(crew.trials)
    assert [crew.ledger.run(label).strategy for label in arms] == ["confirm", "confirm"]
    crew.end(*arms)
    assert {trial.run.strategy for trial in crew.night.slots.trials} == {"confirm"}  # the rest
    assert crew.ledger.run("E3").state == "queued"


def test_of_several_at_once_one_cut_short_goes_on_first_and_alone(
        crew: Crew, tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> None:
    crew.time.now_s = START_S + NIGHT_S - KEPT_S
    crew.end("E1", "E2")
    crew.night.stop("asked to")
    crew.end("H1", status=STOPPED)
    assert crew.night.is_over
    later = Crew(tmp_path, ledger, tokens, 2, deadline_s=START_S + 2 * NIGHT_S)
    later.night.harvest.keep(KEPT_S)
    later.tick(4)
    assert list(later.trials) == ["H1"]
    later.end("H1")
    later.tick(4)
    assert "E3" in later.trials
