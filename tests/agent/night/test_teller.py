"""A night whose listener is gone: every run ends in one attempt, and the ledger knows why."""

import errno
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.machine.guard import Reading
from agent.night.night import Night
from agent.night.teller import Teller
from agent.search.campaign import Plan
from agent.trial.runner import Runner
from tests.support.parts import (
    FakeSpawn,
    FakeTime,
    Listener,
    a_folder,
    a_run,
    done,
    write_events,
)


class Gone:
    """A listener whose terminal closed."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def say(self, message: str) -> None:
        raise self.error

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None:
        raise self.error


class Deaf(Listener):
    """A listener that takes everything and knows that nobody hears."""

    def unheard(self) -> str | None:
        return "nobody there"


ERRORS = [OSError(errno.EIO, "Input/output error"), BrokenPipeError(errno.EPIPE, "Broken pipe"),
          OSError(errno.ENOSPC, "No space left on device"), ValueError("I/O on closed file"),
          UnicodeEncodeError("ascii", "→", 0, 1, "ordinal not in range")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_cannot_be_said_is_dropped_and_its_first_reason_kept(error: Exception) -> None:
    teller = Teller(Gone(error))
    teller.say("hello")
    teller.progress(None, {})  # type: ignore[arg-type]  # it is not looked at
    assert str(error) in str(teller.unheard())


def test_an_observer_that_knows_itself_unheard_is_believed() -> None:
    assert Teller(Deaf()).unheard() == "nobody there"
    assert Teller(Listener()).unheard() is None


@pytest.mark.parametrize("observer", [*map(Gone, ERRORS), Deaf()])
def test_a_night_without_a_listener_ends_each_run_in_one_attempt_and_notes_it_once(
        tmp_path: Path, observer: Any) -> None:
    spawn, time = FakeSpawn(), FakeTime()
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        runner = Runner(ledger, Home(tmp_path), time.clock(), 3000.0, spawn=spawn,
                        read=lambda pid: Reading(50.0, 8000.0))
        night = Night(runner, Plan(3000.0, max_runs=3), prepare=lambda size: pytest.fail("asked"),
                      observer=observer, read_free_mb=lambda: 8000.0)
        night._tokens_of = lambda run: None  # type: ignore[assignment,method-assign,return-value]
        folders = [a_folder(Home(tmp_path), a_run(ledger, seed=seed)) for seed in range(3)]
        night.tick()
        for folder, process in zip(folders, spawn.processes, strict=False):  # it grows
            write_events(folder, {"kind": "start", "pid": 1, "step": 0, "n_steps": 100}, done())
            process.status = 0
            night.tick()
        assert night.is_over
        assert [(run.state, run.attempts) for run in ledger.runs()] == [("finished", 1)] * 3
        assert len([one for one in ledger.events() if one.kind == "unheard"]) == 1
