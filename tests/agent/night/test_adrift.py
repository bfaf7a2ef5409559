"""A night whose ledger is swapped ends with a sentence, and what it learnt is not lost."""

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.main import main
from agent.home import Home, only_one
from agent.home.lock import holder
from agent.ledger.ledger import Ledger
from agent.ledger.reader import faults
from agent.night.adrift import Harbour
from agent.night.daemon import Daemon
from agent.night.launch import Desk, desk
from agent.trial.job import STOPPED
from engine.errors import LedgerSwapped, UserError
from engine.text import corpus
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from tests.agent.night.test_night import Stage
from tests.support.parts import NOW, Listener, a_run, step
from tests.support.parts import write_events as write


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with one run in it, and beside it the ledger of another, which has none."""
    with Ledger.open(tmp_path / "other.db"):
        pass
    home = Home(tmp_path / "nights")
    with desk(home, Listener(), lambda *_: None) as at:
        a_run(at.ledger)
    return home


def removed(home: Home) -> None:
    home.ledger.unlink()


def replaced(home: Home) -> None:
    """As `git stash` does, or whoever puts a backup back."""
    shutil.copyfile(home.root.parent / "other.db", home.root / "new.db")
    os.replace(home.root / "new.db", home.ledger)


def renamed(home: Home) -> None:
    home.ledger.rename(home.root / "old.db")


def a_folder(home: Home) -> None:
    home.ledger.unlink()
    home.ledger.mkdir()


def home_removed(home: Home) -> None:
    shutil.rmtree(home.root)


SWAPS = pytest.mark.parametrize("swap", [removed, replaced, renamed, a_folder, home_removed])


def swapped(home: Home, swap: Callable[[Home], None]) -> str:
    """What is said where the ledger is swapped under a command that writes two runs."""
    def write_on(at: Desk) -> None:
        a_run(at.ledger, seed=1)
        swap(home)
        a_run(at.ledger, seed=2)

    with pytest.raises(UserError) as caught, desk(home, Listener(), lambda *_: None) as at:
        write_on(at)
    return str(caught.value)


@SWAPS
def test_what_was_learnt_is_kept_in_a_file_that_the_sentence_names(
        home: Home, swap: Callable[[Home], None]) -> None:
    said = swapped(home, swap)
    assert re.match(f"{home.ledger} was (removed|replaced) while it was in use; what was learnt is "
                    "kept in ", said)
    kept = Path(shlex.split(said.partition("`")[2].partition("`")[0])[-1])
    assert faults(kept) == []
    with Ledger.open(kept, read_only=True) as ledger:
        assert [run.seed for run in ledger.runs()] == [0, 1]
    assert not os.path.exists(f"{home.ledger}-wal")
    assert not os.path.exists(f"{home.ledger}-shm")


def test_the_file_that_lies_there_now_is_whole_and_takes_what_was_kept(home: Home) -> None:
    said = swapped(home, replaced)
    assert faults(home.ledger) == []
    command = shlex.split(said.partition("`")[2].partition("`")[0])
    done = CliRunner().invoke(main, command[1:])
    assert (done.exit_code, ": 2 runs, 1 text added\n" in done.stderr) == (0, True)
    with Ledger.open(home.ledger, read_only=True) as ledger:
        assert [run.seed for run in ledger.runs()] == [0, 1]


def test_the_projects_record_takes_it_as_the_record(home: Home) -> None:
    said = swapped(Home(home.root, is_record=True), replaced)
    assert "`agent --record merge " in said


@pytest.mark.parametrize("part", ["-wal", "-shm"])
def test_without_what_lies_beside_it_the_ledger_itself_has_all(home: Home, part: str) -> None:
    said = swapped(home, lambda home: os.unlink(f"{home.ledger}{part}"))
    assert said == (f"{home.ledger}{part} was removed while it was in use; all it holds is in "
                    f"{home.ledger}: the same command goes on")
    assert faults(home.ledger) == []
    with Ledger.open(home.ledger) as ledger:
        assert [run.seed for run in ledger.runs()] == [0, 1]


@pytest.mark.parametrize("is_new_there", [False, True])
def test_a_home_that_was_moved_is_whole_where_it_is(home: Home, is_new_there: bool) -> None:
    moved = Home(home.root.parent / "moved")

    def move(home: Home) -> None:
        home.root.rename(moved.root)
        if is_new_there:
            home.root.mkdir()
            shutil.copyfile(home.root.parent / "other.db", home.ledger)

    assert swapped(home, move) == (
        f"{home.root} was moved to {moved.root} while it was in use; nothing of it is lost: `agent "
        f"--home {moved.root} run` goes on there")
    with Ledger.open(moved.ledger) as ledger:
        assert [run.seed for run in ledger.runs()] == [0, 1]
    assert [path.name for path in home.root.glob("*")] == ["ledger.db"] * is_new_there


def test_a_home_without_room_has_its_ledger_kept_beside_it(
        home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Ledger.keep

    def full(ledger: Ledger, path: Path) -> None:
        if path.parent == home.root:
            raise OSError("full")
        keep(ledger, path)

    monkeypatch.setattr(Ledger, "keep", full)
    assert f"kept in {home.root.parent}/nights-ledger-kept-" in swapped(home, removed)


# --- a night ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    path = root / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    return corpus.prepare_tokens(corpus.from_file(root, path), 300)


@pytest.fixture
def stage(home: Home, tokens: TokenSet) -> Iterator[Stage]:
    with only_one(home.lock) as held, Ledger.open(home.ledger) as ledger:
        stage = Stage(home.root, ledger, tokens)
        stage.night.harbour = Harbour(home, held, ledger, NOW)
        yield stage
        stage.night.harbour.close()


@SWAPS
def test_a_night_saves_what_runs_notes_its_end_and_is_over(
        stage: Stage, home: Home, swap: Callable[[Home], None]) -> None:
    run, daemon = stage.queue(seed=5), Daemon(stage.night)
    stage.night.only = run.id
    daemon._tick_night()
    assert stage.night.runner.trial is not None
    swap(home)
    daemon._tick_night()
    assert isinstance(daemon.swapped, LedgerSwapped)
    assert not os.path.exists(f"{home.ledger}-wal")  # at once: somebody may look
    if home.run(run.uid).root.exists():
        write(home.run(run.uid), step(1), {"kind": "stopped", "step": 1})
    stage.spawn.processes[-1].status = STOPPED
    daemon._tick_night()
    assert stage.night.is_over
    assert home.root.exists() is (swap is not home_removed)  # and is not made again
    assert stage.ledger.run(run.id).state == "queued"
    assert stage.ledger.events()[0].kind == "night_over"
    assert stage.night.harbour is not None
    kept = shlex.split(stage.night.harbour.told("it was swapped").split("`")[1])[-1]
    with Ledger.open(kept, read_only=True) as ledger:
        assert ledger.events()[0].kind == "night_over"
        assert (ledger.run(run.id).state, ledger.run(run.id).attempts) == ("queued", 1)


def test_a_lock_that_was_removed_is_taken_again(stage: Stage, home: Home) -> None:
    home.lock.unlink()
    stage.night.tick()
    assert holder(home.lock) == os.getpid()
    assert not stage.night.is_stopping


def test_a_night_whose_lock_another_took_says_who_works_there(stage: Stage, home: Home) -> None:
    home.lock.unlink()
    with only_one(home.lock), pytest.raises(UserError, match="another agent .* works in "):
        stage.night.tick()
