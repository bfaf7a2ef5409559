"""A broken environment is no bad idea: no run is failed for it, and the night comes back."""

import errno
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import RunFolder
from agent.ledger.ledger import Ledger
from agent.night import launch
from agent.night.bulletin import of_night
from agent.night.ground import BACK_OFF_S, MAX_TRIES, Ground
from agent.trial.job import NO_GROUND, UNREADY
from agent.trial.prepare import ShortOfMemory
from agent.trial.runner import MAX_RETRIES
from engine.config import Config
from engine.errors import CorpusError, StorageError, UserError
from engine.text.corpus import TokenSet
from tests.agent.night.test_night import Stage
from tests.agent.night.test_night import tokens as tokens
from tests.support.parts import TINY, FakeProcess, done, step
from tests.support.parts import write_events as write

START = {"kind": "start", "pid": 1, "step": 0, "n_steps": 100}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def stage(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Stage:
    found = Stage(tmp_path, ledger, tokens)
    study = found.study()
    for seed in range(3):
        found.queue(seed=seed, strategy="baseline", study=study)
    found.queue(config=Config.from_dict(TINY.to_dict() | {"lr": 1e-3}), strategy="explore",
                study=study)
    found.night.tick()
    return found


def die(stage: Stage, status: int = 1, word: str = "No module named 'numpy'",
        *events: dict[str, Any]) -> None:
    """The worker ends before its first step."""
    trial = stage.night.runner.trial
    assert trial is not None
    trial.folder.output.write_text(f"{word}\n")
    write(trial.folder, *events)
    stage.spawn.processes[-1].status = status
    stage.night.tick()


def messages(stage: Stage, kind: str = UNREADY) -> list[str]:
    return [one.message for one in reversed(stage.ledger.events()) if one.kind == kind
            and one.run_id is None]


def test_the_pause_doubles_and_ends() -> None:
    ground = Ground()
    waits = list(itertools.takewhile(lambda wait: wait is not None,
                                     (ground.broke("no numpy") for _ in range(99))))
    assert waits == [0.0, *(BACK_OFF_S * 2**n for n in range(MAX_TRIES - 2))]
    assert ground.held()
    assert (ground.why, ground.word, ground.held()) == (None, None, False)
    assert ground.broke("no numpy") == 0.0


def test_a_worker_that_dies_before_it_begins_costs_no_run_and_two_in_a_row_pause(
        stage: Stage) -> None:
    die(stage)
    assert stage.states() == ["running", "queued", "queued", "queued"]  # again, at once
    die(stage)
    stage.night.tick()
    assert stage.states() == ["queued"] * 4
    assert messages(stage)[-1] == (
        "held up: No module named 'numpy' (exit status 1); waits 5 s after 2 tries in a row")
    word = of_night(stage.night)
    assert (word.word, word.cause, "numpy" in word.reason) == ("waits", "ground", True)


def test_where_it_is_mended_the_night_goes_on_with_the_same_run(stage: Stage) -> None:
    die(stage)
    die(stage)
    stage.time.now_s += BACK_OFF_S + 1
    stage.night.tick()
    assert stage.states() == ["running", "queued", "queued", "queued"]
    stage.finish(2.0, 0, START, step(1), done())
    assert messages(stage, "ready") == ["B1 computes: what held up this night is over"]
    assert (stage.night.ground.why, of_night(stage.night).word) == (None, "go")
    assert stage.verdicts() == ["baseline"]


def test_a_night_that_cannot_work_ends_with_the_reason_and_no_run_failed(stage: Stage) -> None:
    for _ in range(MAX_TRIES):
        if stage.night.runner.trial is None:
            stage.time.now_s += 1000.0
            stage.night.tick()
        die(stage)
    stage.night.tick()
    assert stage.night.is_over
    assert set(stage.states()) == {"queued"}
    assert stage.night.ground.why == "No module named 'numpy' (exit status 1)"


def test_the_end_of_a_held_up_night_is_a_status(stage: Stage,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    class Daemon:
        def __init__(self, night: object, asked: object, herald: object) -> None: ...

        def run(self) -> None: ...

    monkeypatch.setattr(launch, "Daemon", Daemon)
    at = launch.Desk(stage.home, stage.ledger, stage.night.observer, lambda *_: None)
    launch._tick_through(at, stage.night)
    stage.night.ground.lacks("no room")
    with pytest.raises(UserError, match="the night ended held up: no room; once that is mended"):
        launch._tick_through(at, stage.night)


@pytest.mark.parametrize(("status", "events"), [
    (-7, [START, step(1)]),  # a text was cut short under the worker's map of it
    (NO_GROUND, [START]), (NO_GROUND, [START, step(1)]),
    (1, [START, step(1), {"kind": UNREADY, "message": "no file to be had"}]),
    (-11, [START]), (1, []), (-11, []), (0, [])])
def test_what_says_nothing_of_the_configuration_queues_the_run_again(
        stage: Stage, status: int, events: list[dict[str, Any]]) -> None:
    die(stage, status, "gone", *events)
    assert stage.ledger.runs()[0].error is None
    assert messages(stage)
    assert "failed" not in stage.states()


@pytest.mark.parametrize(("status", "events"), [
    (1, [START]), (1, [START, step(1)]), (-11, [START, step(1)]),
    (1, [START, {"kind": "failed", "message": "MemoryError: no room for its size"}])])
def test_what_an_idea_does_itself_is_its_own(
        stage: Stage, status: int, events: list[dict[str, Any]]) -> None:
    die(stage, status, "MemoryError: no room for its size", *events)
    assert stage.states()[0] == "failed"
    assert messages(stage) == []


def test_a_network_that_crashes_again_and_again_while_it_is_built_is_to_blame(
        stage: Stage) -> None:
    for _ in range(MAX_RETRIES):
        die(stage, -11, "", START)
        stage.time.now_s += 1000.0
        stage.night.tick()
    assert stage.states()[0] == "running"
    die(stage, -11, "", START)
    assert stage.states()[0] == "failed"


@pytest.mark.parametrize("error", [
    CorpusError("there is no file t.txt"), OSError(errno.EMFILE, "Too many open files"),
    ModuleNotFoundError("No module named 'numpy'")])
def test_a_text_that_cannot_be_had_fails_nobody(stage: Stage, error: Exception) -> None:
    def prepare(vocab_size: int) -> TokenSet:
        raise error

    stage.night.prepare = prepare
    stage.finish(2.0)
    stage.night.tick()
    stage.night.tick()
    assert stage.states() == ["finished", "queued", "queued", "queued"]
    assert str(error) in messages(stage)[-1]
    assert "waits 5 s" in messages(stage)[-1]
    stage.night.prepare = stage.prepare
    stage.time.now_s += BACK_OFF_S + 1
    stage.night.tick()
    assert stage.states() == ["finished", "running", "queued", "queued"]


def test_a_vocabulary_for_which_memory_is_short_is_the_ideas_fault(stage: Stage) -> None:
    def prepare(vocab_size: int) -> TokenSet:
        raise ShortOfMemory("no memory to prepare it")

    stage.night.prepare = prepare
    stage.finish(2.0)
    assert stage.states()[1] == "failed"


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EAGAIN, errno.ENOENT])
def test_a_process_that_cannot_be_had_is_waited_for(stage: Stage, code: int) -> None:
    def refuse(folder: RunFolder) -> FakeProcess:
        raise OSError(code, "refused")

    stage.night.runner._spawn = refuse
    stage.finish(2.0)
    stage.night.tick()
    stage.night.tick()
    assert stage.states() == ["finished", "queued", "queued", "queued"]
    assert "waits 5 s" in messages(stage)[-1]
    stage.night.runner._spawn = stage.spawn
    stage.time.now_s += BACK_OFF_S + 1
    stage.night.tick()
    assert stage.states()[1] == "running"


def test_a_run_that_cannot_be_looked_at_is_looked_at_again(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*, is_read: bool) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(stage.night.runner, "poll", refuse)
        for _ in range(20):  # every half second; what is told is told seldom
            stage.night.tick()
    assert len(messages(stage)) == 2
    stage.finish(2.0, 0, START, step(1), done())
    assert stage.states()[0] == "finished"


def test_a_stop_that_cannot_be_followed_is_a_fault(stage: Stage,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*, is_read: bool) -> None:
        raise OSError(errno.ENOTDIR, "Not a directory")

    monkeypatch.setattr(stage.night.runner, "poll", refuse)
    stage.night.stop("asked to by SIGTERM")
    with pytest.raises(UserError, match="stopping, asked to by SIGTERM: NotADirectoryError"):
        stage.night.tick()


def test_room_on_the_disk_that_never_comes_is_the_reason_at_the_end(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(stage.night.runner, "write_job", full)
        with pytest.raises(StorageError):
            stage.finish(2.0)
        assert stage.night.ground.why == "the disk is full"
    stage.time.now_s += 1000.0
    stage.night.tick()
    stage.finish(2.0, 0, START, step(1), done())
    assert stage.night.ground.why is None


def test_a_baseline_that_comes_back_is_run_before_any_idea(stage: Stage) -> None:
    study = stage.ledger.calibrations(stage.text.corpus.sha256)[0].id
    stage.queue(seed=7, strategy="baseline", study=study)  # behind the idea
    for _ in range(4):
        stage.finish(2.0)
    assert [run.label for run in stage.ledger.runs() if run.state == "queued"] == []
    assert [run.label for run in stage.ledger.runs() if run.state == "running"] == ["E1"]


def test_somebody_who_waits_for_one_run_is_told_after_two_tries(stage: Stage) -> None:
    stage.night.only = stage.ledger.runs()[0].id
    die(stage)
    die(stage)
    stage.night.tick()
    assert stage.night.is_over
    assert stage.states()[0] == "queued"
