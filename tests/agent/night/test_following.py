"""News of several trials: what fails of one keeps no other from being followed."""

from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.machine.guard import Word
from engine.errors import LedgerBusy
from engine.text.corpus import TokenSet
from tests.agent.night.test_night import tokens as tokens
from tests.agent.night.test_turns import Crew
from tests.agent.night.test_turns import ledger as ledger
from tests.support.parts import step, write_events


@pytest.fixture
def crew(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Crew:
    found = Crew(tmp_path, ledger, tokens, 2)
    found.tick()
    return found


def test_a_ledger_that_fails_of_one_trial_keeps_the_others_watched(
        crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = crew.night.slots.busy

    def busy(*, is_read: bool) -> None:
        raise LedgerBusy("it is locked")

    monkeypatch.setattr(first, "poll", busy)
    assert second.trial is not None
    write_events(second.trial.folder, step(3))
    with pytest.raises(LedgerBusy):
        crew.night.tick()
    assert second.trial.last["step"]["step"] == 3


def test_what_several_log_is_one_commit_and_what_fails_there_is_taken_in_alone(
        crew: Crew, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = crew.night.slots.busy
    assert first.trial is not None
    assert second.trial is not None
    began: list[str] = []
    ledger._connection.set_trace_callback(
        lambda sql: began.append(sql) if sql.startswith("BEGIN") else None)
    for runner in (first, second):
        write_events(runner.trial.folder, step(3))
    crew.tick()
    assert len(began) == 1
    assert [ledger.metrics(trial.run.id)[-1].step for trial in crew.night.slots.trials] == [3, 3]

    def spoilt(news: object) -> None:
        raise LedgerBusy("it is locked")

    monkeypatch.setattr(second, "write", spoilt)
    for runner in (first, second):
        write_events(runner.trial.folder, step(3), step(4))
    with pytest.raises(LedgerBusy):
        crew.tick()
    assert [ledger.metrics(trial.run.id)[-1].step for trial in crew.night.slots.trials] == [4, 3]


def test_what_ran_before_the_ground_broke_does_not_tell_that_it_holds_again(crew: Crew) -> None:
    write_events(crew.trials["B1"].folder, step(1))
    crew.tick()
    crew.end("B2", status=71)
    assert crew.night.ground.n_tries == 1
    write_events(crew.trials["B1"].folder, step(2))
    crew.tick()
    assert crew.night.ground.n_tries == 1
    assert "B2" in crew.trials  # tried again at once
    write_events(crew.trials["B2"].folder, step(1))
    crew.tick()
    assert crew.night.ground.n_tries == 0


def test_a_run_that_was_crowded_out_waits_a_little(crew: Crew) -> None:
    crew.night.slots.busy[1].set_aside(Word(False, "too much", may_pass=True))
    crew.end("B2", status=-9)
    assert crew.states()[1] == "queued"
    assert crew.night.wait_until_s > crew.time.now_s
