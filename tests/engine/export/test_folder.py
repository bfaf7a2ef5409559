"""A folder is put in its place whole: what was there stays until then, and where anything fails."""

import errno
import os
from collections.abc import Collection
from pathlib import Path

import pytest

from engine.errors import FolderBusy, StorageError
from engine.export.folder import written_whole

KNOWN = ("model", "card")


def is_ours(names: Collection[str]) -> bool:
    return "model" in names


def write(folder: Path, text: str, *, replaces: bool = False,
          fails: BaseException | None = None) -> None:
    with written_whole(folder, KNOWN, is_ours, 10, replaces=replaces) as part:
        (part / "model").write_text(text)
        assert folder.name in part.name
        if fails:
            raise fails


def inside(folder: Path) -> dict[str, str]:
    """Every file below a folder by its path, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_text()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_new_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", "new")
    assert inside(tmp_path) == {"a/b/model": "new"}
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "too")
    assert inside(tmp_path) == {"a/b/model": "new", "empty/model": "too"}


def test_an_older_one_is_replaced_only_where_that_was_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "m", "old")
    with pytest.raises(StorageError, match=r"m holds an exported model already; --force replaces"):
        write(tmp_path / "m", "new")
    assert inside(tmp_path) == {"m/model": "old"}
    write(tmp_path / "m", "new", replaces=True)
    assert inside(tmp_path) == {"m/model": "new"}


@pytest.mark.parametrize("names", [("notes.txt",), ("model", "notes.txt"), ("card",)])
def test_a_folder_that_holds_anything_else_is_never_replaced(
        names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for name in names:
        (tmp_path / "m" / name).write_text("mine")
    with pytest.raises(StorageError, match=f"holds {names[-1]} and is no exported model"):
        write(tmp_path / "m", "new", replaces=True)
    assert inside(tmp_path) == {f"m/{name}": "mine" for name in names}


def test_a_file_and_the_folder_one_is_in_are_no_places(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("mine")
    with pytest.raises(StorageError, match=r"f is a file; name a folder"):
        write(tmp_path / "f", "new", replaces=True)
    (tmp_path / "d" / "e").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "d" / "e")
    for place in (Path("."), Path("..")):
        with pytest.raises(StorageError, match="is the folder you are in"):
            write(place, "new")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_where_anything_fails_all_is_as_it_was(error: BaseException, tmp_path: Path) -> None:
    write(tmp_path / "m", "old")
    with pytest.raises((KeyboardInterrupt, StorageError)):
        write(tmp_path / "m", "new", replaces=True, fails=error)
    assert inside(tmp_path) == {"m/model": "old"}
    assert os.listdir(tmp_path) == ["m"]


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*m \(0\.0 MB\): No space left; what was "
                                           "there is kept"):
        write(tmp_path / "m", "new", fails=OSError(errno.ENOSPC, "No space left"))


def test_what_a_power_cut_left_is_put_right(tmp_path: Path) -> None:
    write(tmp_path / "m", "old")
    os.rename(tmp_path / "m", tmp_path / ".m.old")  # between the two renames
    (tmp_path / ".m.part").mkdir()
    (tmp_path / ".m.part" / "card").write_text("half")
    with pytest.raises(StorageError, match="holds an exported model already"):
        write(tmp_path / "m", "new")
    assert inside(tmp_path / "m") == {"model": "old"}
    (tmp_path / ".m.old").mkdir()  # after them
    (tmp_path / ".m.old" / "model").write_text("older")
    write(tmp_path / "m", "new", replaces=True)
    assert inside(tmp_path) == {"m/model": "new"}


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with written_whole(tmp_path / "m", KNOWN, is_ours, 10, replaces=False) as part:
        (part / "model").write_text("first")
        with pytest.raises(FolderBusy, match="another process is writing"):
            write(tmp_path / "m", "second")
    assert inside(tmp_path) == {"m/model": "first"}


def test_a_second_rename_that_fails_puts_the_old_folder_back(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "m", "old")
    rename = os.rename

    def refusing(source: Path, target: Path) -> None:
        if source.name.endswith(".part"):
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refusing)
    with pytest.raises(StorageError, match="Permission denied"):
        write(tmp_path / "m", "new", replaces=True)
    assert inside(tmp_path) == {"m/model": "old"}
