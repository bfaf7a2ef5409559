"""Hashes of files and words for a folder that cannot be made."""

import hashlib
from pathlib import Path

import pytest

from engine.errors import StorageError
from engine.text.disk import hash_file, only_one, storage_told


def test_a_file_is_known_by_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"once upon a time\n" * 9999)
    assert hash_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_in_place_of_a_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageError, match="cannot make the folder .*texts: .*another --home"), \
            only_one(tmp_path / "data" / "texts"):
        pass


def test_what_goes_well_is_left_alone(tmp_path: Path) -> None:
    with storage_told(tmp_path):
        (tmp_path / "x").mkdir()
    with only_one(tmp_path / "x" / "y"):
        assert (tmp_path / "x" / "y" / "lock").exists()
