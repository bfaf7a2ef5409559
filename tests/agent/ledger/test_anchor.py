"""A ledger whose file was swapped is written no more, and what it holds can be kept."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.anchor import set_aside_foreign
from agent.ledger.ledger import Ledger
from agent.ledger.reader import faults
from engine.errors import LedgerBusy, LedgerSwapped, StorageError
from tests.support.parts import NOW, a_run, a_study

PARTS = ("", "-wal", "-shm")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        a_study(opened)
        yield opened


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    """As git does: another file of that name."""
    shutil.copyfile(path, f"{path}.new")
    os.replace(f"{path}.new", path)


def make_a_folder_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("swap", "word"), [
    (remove, "removed"), (replace, "replaced"), (make_a_folder_of, "replaced")])
def test_nothing_is_written_to_a_file_that_is_not_the_one_at_its_path(
        ledger: Ledger, part: str, swap: Callable[[Path], None], word: str) -> None:
    path = Path(f"{ledger.path}{part}")
    swap(path)
    with pytest.raises(LedgerSwapped, match=f"^{path} was {word} while it was in use$"):
        a_run(ledger)
    assert ledger.runs() == []


def test_a_ledger_that_stays_where_it_is_is_written(ledger: Ledger) -> None:
    ledger.settle()
    a_run(ledger)
    with closing(sqlite3.connect(ledger.path)) as other, other:  # of a person's shell, meanwhile
        other.execute("SELECT count(*) FROM runs").fetchone()
    other.close()
    a_run(ledger, seed=1)
    assert len(ledger.runs()) == 2


def test_what_is_kept_is_a_whole_ledger_that_needs_nothing_beside_it(
        ledger: Ledger, tmp_path: Path) -> None:
    a_run(ledger)
    ledger.path.unlink()
    kept = tmp_path / "elsewhere" / "kept.db"
    kept.parent.mkdir()
    ledger.keep(kept)
    assert [path.name for path in kept.parent.iterdir()] == ["kept.db"]
    assert faults(kept) == []
    with Ledger.open(kept, read_only=True) as again:
        assert [run.label for run in again.runs()] == ["T1"]


def test_a_place_without_room_keeps_nothing_and_says_so(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "full").touch()
    with pytest.raises(StorageError):
        ledger.keep(tmp_path / "full" / "kept.db")


def test_what_is_not_ours_beside_the_new_file_stays(ledger: Ledger, tmp_path: Path) -> None:
    for part in ("", "-wal"):
        replace(Path(f"{ledger.path}{part}"))
    ledger.anchor.take_away()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.db", "ledger.db-wal"]


def test_settled_everything_is_in_the_file_itself(ledger: Ledger, tmp_path: Path) -> None:
    ledger.event("night", "begun", NOW)
    Path(f"{ledger.path}-wal").unlink()
    assert ledger.settle()
    shutil.copyfile(ledger.path, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT message FROM events").fetchall() == [("begun",)]


def test_another_text_in_the_same_file_is_noticed_and_stays_whole(
        ledger: Ledger, tmp_path: Path) -> None:
    """As `cp backup ledger.db` does."""
    ledger.keep(tmp_path / "backup.db")
    backup = (tmp_path / "backup.db").read_bytes()
    for seed in range(60):
        a_run(ledger, seed=seed)
    ledger.settle()
    a_run(ledger, seed=60)
    ledger.path.write_bytes(backup)
    with pytest.raises(LedgerBusy, match="ledger.db is being written by another program; end it"):
        a_run(ledger, seed=61)
    with pytest.raises(LedgerSwapped, match="ledger.db was overwritten while it was in use"):
        a_run(ledger, seed=61)
    ledger.anchor.take_away()
    ledger.close()
    assert ledger.path.read_bytes() == backup
    assert faults(ledger.path) == []


def test_what_was_overwritten_can_still_be_kept(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        a_study(ledger)
        ledger.keep(tmp_path / "backup.db")
        for seed in range(60):
            a_run(ledger, seed=seed)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.hold_whole()
        a_run(ledger, seed=60)
        ledger.path.write_bytes((tmp_path / "backup.db").read_bytes())
        for error in (LedgerBusy, LedgerSwapped):
            with pytest.raises(error):
                a_run(ledger, seed=61)
        ledger.keep(tmp_path / "kept.db")
    with Ledger.open(tmp_path / "kept.db", read_only=True) as kept:
        assert len(kept.runs()) == 61


def test_a_person_who_writes_with_sqlite_meanwhile_is_no_stranger(ledger: Ledger) -> None:
    with closing(sqlite3.connect(ledger.path)) as shell:
        shell.execute("UPDATE corpora SET name = 'mine'")
        shell.commit()
        shell.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    with pytest.raises(LedgerBusy):
        a_run(ledger)
    a_run(ledger)
    assert ledger.corpora()[0].name == "mine"


# --- the log of another ledger ---------------------------------------------------------------


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The ledger of an agent that was killed, with its log; beside it `before.db`, as it began."""
    with Ledger.open(tmp_path / "first.db") as first:
        a_study(first)
        first.keep(tmp_path / "before.db")
        for seed in range(60):
            a_run(first, seed=seed)
        first.settle()  # into the file: from here on its log holds some pages alone
        a_run(first, seed=60)
        for part in ("", "-wal"):
            shutil.copyfile(f"{first.path}{part}", tmp_path / f"ledger.db{part}")
    return tmp_path / "ledger.db"


def test_a_backup_put_back_beside_the_log_of_a_killed_agent_is_not_spoilt(killed: Path) -> None:
    backup = killed.with_name("before.db")
    shutil.copyfile(backup, killed)
    log = Path(f"{killed}-wal").read_bytes()
    with Ledger.open(killed) as ledger:
        assert ledger.set_aside is not None
        assert ledger.set_aside.read_bytes() == log
        assert (ledger.runs(), len(ledger.studies())) == ([], 1)
        a_run(ledger)
    assert faults(killed) == []


def test_the_own_log_of_a_killed_agent_is_taken_up(killed: Path) -> None:
    with Ledger.open(killed) as ledger:
        assert ledger.set_aside is None
        assert len(ledger.runs()) == 61


def test_a_ledger_that_is_damaged_itself_keeps_its_log(killed: Path) -> None:
    data = killed.read_bytes()
    killed.write_bytes(data[:4096] + b"x" * (len(data) - 4096))
    assert set_aside_foreign(killed) is None
    assert os.path.exists(f"{killed}-wal")
