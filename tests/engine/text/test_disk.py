"""Hashes of files and words for a folder that cannot be made."""

import hashlib
import json
from pathlib import Path

import pytest

from engine.errors import StorageError
from engine.text.disk import hash_file, only_one, sealed, storage_told, unsealed


def test_a_file_is_known_by_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"once upon a time\n" * 9999)
    assert hash_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_sealed_file_is_read_as_it_was_written() -> None:
    value = {"name": "tales", "splits": {"train": 3}, "bits": 1.25, "remarks": ["ä"]}
    assert unsealed(sealed(value)) == value
    assert unsealed(json.dumps(value).encode()) == value  # of an earlier version


def test_any_bit_that_changes_what_it_says_is_noticed() -> None:
    data = sealed({"name": "tales", "n_tokens": 98_765, "remarks": []})
    said = unsealed(data)
    for place in range(8 * len(data)):
        other = bytearray(data)
        other[place // 8] ^= 1 << place % 8
        try:
            found = unsealed(bytes(other))
        except (ValueError, TypeError):
            continue
        assert {name: found.get(name) for name in said} == said  # white space, or the seal's name


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
