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

    def busy() -> None:
        raise LedgerBusy("it is locked")

    monkeypatch.setattr(first, "poll", busy)
    assert second.trial is not None
    write_events(second.trial.folder, step(3))
    with pytest.raises(LedgerBusy):
        crew.night.tick()
    assert second.trial.last["step"]["step"] == 3


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
