"""A ledger that cannot be written and a disk without room: a night keeps what it has to say."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home.lock import only_one
from agent.ledger.ledger import Ledger
from agent.night.night import BACK_OFF_S, MAX_DOUBLED
from agent.show import status
from agent.trial.job import NO_STORAGE, STORAGE
from agent.trial.runner import RETRY
from engine.errors import FolderBusy, LedgerBusy, StorageError
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from tests.agent.night.test_night import Stage
from tests.support.parts import NOW, step
from tests.support.parts import write_events as write


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    path = root / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, path), 300)


@pytest.fixture
def stage(tmp_path: Path, tokens: TokenSet) -> Iterator[Stage]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.wait_at_most(0.0)
        yield Stage(tmp_path, ledger, tokens)


@pytest.fixture
def other(stage: Stage) -> Iterator[sqlite3.Connection]:
    """Another program that opens the ledger; BEGIN EXCLUSIVE locks it."""
    db = sqlite3.connect(stage.ledger.path, isolation_level=None)
    yield db
    db.close()


def kinds(stage: Stage) -> list[str]:
    return [event.kind for event in reversed(stage.ledger.events())]


def test_a_locked_ledger_is_one_sentence_and_nothing_is_written_twice(
        stage: Stage, other: sqlite3.Connection) -> None:
    stage.queue()
    stage.night.tick()
    assert stage.night.runner.trial is not None
    write(stage.night.runner.trial.folder, step(1))
    other.execute("BEGIN EXCLUSIVE")
    for _ in range(3):
        with pytest.raises(LedgerBusy, match="another program keeps .*ledger.db locked; end it"):
            stage.night.tick()
    other.execute("ROLLBACK")
    stage.finish()
    assert stage.states() == ["finished"]
    assert stage.verdicts() == ["recorded"]
    assert [metric.step for metric in stage.ledger.metrics(1)] == [1]


def test_what_a_night_says_meanwhile_reaches_the_ledger_afterwards_in_its_order(
        stage: Stage, other: sqlite3.Connection) -> None:
    other.execute("BEGIN EXCLUSIVE")
    stage.night.note("pause", "one")
    stage.night.note("resume", "two")
    assert stage.listener.said == ["one", "two"]
    other.execute("ROLLBACK")
    stage.queue()
    stage.night.tick()
    assert kinds(stage) == ["pause", "resume"]


def test_a_night_is_over_only_when_its_end_is_noted(
        stage: Stage, other: sqlite3.Connection) -> None:
    stage.night.stop("a test asked")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerBusy):
        stage.night.tick()
    assert not stage.night.is_over
    other.execute("ROLLBACK")
    stage.night.tick()
    assert stage.night.is_over
    assert kinds(stage) == ["night_over"]


@pytest.mark.parametrize("fault", [LedgerBusy("locked"), StorageError("full")])
def test_a_run_is_not_failed_for_what_passes(
        stage: Stage, fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(vocab_size: int) -> TokenSet:
        raise fault

    stage.queue()
    monkeypatch.setattr(stage.night, "prepare", prepare)
    with pytest.raises(type(fault)):
        stage.night.tick()
    assert stage.states() == ["queued"]
    stage.night.tick()  # not asked again at once: making a text takes a process
    monkeypatch.setattr(stage.night, "prepare", stage.prepare)
    stage.time.now_s += BACK_OFF_S
    stage.night.tick()
    assert stage.states() == ["running"]


def test_a_run_waits_for_a_worker_that_this_night_cannot_see(stage: Stage) -> None:
    """Of a daemon in another container, say: no pid tells, but it holds the lock of its run."""
    run = stage.queue()
    folder = stage.home.run(run.uid)
    folder.root.mkdir(parents=True)
    with open(folder.lock, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(FolderBusy, match=f"another worker still computes {run.label}; it leav"):
            stage.night.tick()
    assert (stage.states(), stage.spawn.processes) == (["queued"], [])
    stage.time.now_s += BACK_OFF_S
    stage.night.tick()
    assert stage.states() == ["running"]


def test_a_worker_without_room_is_tried_again_for_as_long_as_it_takes(stage: Stage) -> None:
    run = stage.queue()
    for n in range(10):
        stage.night.tick()
        stage.finish(NO_STORAGE, NO_STORAGE, {"kind": STORAGE, "message": "the disk is full"})
        assert stage.states() == ["queued"]
        stage.time.now_s += BACK_OFF_S * 2 ** min(n, MAX_DOUBLED - 1)
    assert stage.listener.said[-1] == f"{run.label} waits: the disk is full; goes on from its " \
        "checkpoint"
    assert stage.ledger.n_events(run.id, RETRY) == 0


def test_a_worker_that_had_no_room_even_to_say_so_is_known_by_its_status(stage: Stage) -> None:
    stage.queue()
    stage.night.tick()
    stage.finish(2.0, NO_STORAGE, step(1))
    assert stage.states() == ["queued"]
    assert "the disk had no room for it" in stage.listener.said[-1]


def test_without_room_for_a_worker_the_run_waits(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = stage.queue()
    monkeypatch.setattr(stage.night.runner, "_spawn", full)
    with pytest.raises(StorageError, match=f"^cannot start a worker for {run.label}: .*No space"):
        stage.night.tick()
    assert stage.states() == ["queued"]
    assert kinds(stage) == [STORAGE]


def test_without_room_for_a_worker_and_for_saying_so_the_run_is_not_left_running(
        stage: Stage) -> None:
    stage.queue()
    stage.ledger.claim(NOW)
    stage.night.tick()
    assert stage.night.runner.trial is not None
    assert stage.ledger.events()[0].message == "no worker could be started"
    assert stage.states() == ["running"]


def test_a_folder_that_cannot_be_made_is_told_as_storage(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = stage.queue()
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match="No space left"):
        stage.night.runner.write_job(run, stage.text)


def test_a_line_whose_names_are_spoilt_is_passed_over(stage: Stage) -> None:
    stage.queue()
    stage.night.tick()
    assert stage.night.runner.trial is not None
    write(stage.night.runner.trial.folder, {"kind": "step", "stfp": 1}, step(2))
    stage.night.tick()
    assert [metric.step for metric in stage.ledger.metrics(1)] == [2]


def test_a_home_whose_lock_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write in the folder .*file: .*; give it room"):
        only_one(tmp_path / "file" / "agent.lock").__enter__()


def test_status_counts_and_measures_a_night_whose_clock_was_set_back(stage: Stage) -> None:
    stage.ledger.finish(stage.queue(seed=1).id, "failed", NOW, error="before this night")
    stage.night.note("night", "begins", {
        "started_at": NOW, "deadline_at": "2026-11-20T18:00:00Z",
        "n_ended_before": stage.ledger.n_ended()})
    yesterday = NOW.replace("11-20", "11-19")
    stage.ledger.finish(stage.queue(seed=2).id, "failed", yesterday, error="set back")
    found = status.gather(stage.ledger, yesterday, is_daemon_alive=True, read_mb=lambda pid: None)
    assert found.night is not None
    assert (found.night.n_ended, found.night.left_s) == (1, 8 * 3600.0)
