"""The lock of a home is held as long as its file has its name, and after."""

import os
from pathlib import Path

import pytest

from agent.home.lock import holder, only_one
from engine.errors import UserError


def test_a_lock_whose_file_was_removed_is_held_again(tmp_path: Path) -> None:
    lock = tmp_path / "agent.lock"
    with only_one(lock) as held:
        held.again()
        lock.unlink()
        assert holder(lock) is None
        held.again()
        assert holder(lock) == os.getpid()
    assert holder(lock) is None


def test_where_another_was_quicker_that_one_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "agent.lock"
    with only_one(lock) as held:
        lock.unlink()
        with only_one(lock), pytest.raises(UserError, match=f"pid {os.getpid()}\\) works in"):
            held.again()


def test_a_folder_that_is_none_has_no_holder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert holder(tmp_path / "file" / "agent.lock") is None
