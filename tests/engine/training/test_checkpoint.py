"""A checkpoint is whole or it is refused, and the one before it is still there."""

import builtins
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from engine.errors import CheckpointError, StorageError
from engine.training import checkpoint
from engine.training.checkpoint import load, load_newest, previous, save

OLD = {"params": np.arange(6, dtype=np.float32), "optimizer.m": np.full(6, 0.1, np.float32)}
NEW = {name: array + 1 for name, array in OLD.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.npz"


@pytest.fixture
def two(path):
    """Two checkpoints were written; the newest is to be spoilt."""
    save(path, OLD, {"step": 1})
    save(path, NEW, {"step": 2})
    return path


def is_equal(arrays, wanted):
    return arrays.keys() == wanted.keys() and all(
        arrays[n].tobytes() == wanted[n].tobytes() and arrays[n].dtype == wanted[n].dtype
        for n in wanted)


def test_what_was_saved_is_loaded(path):
    scalars = {"step": 7, "loss": 0.1 + 0.2, "recent": [1e-300, 5.5], "config": {"tied": False},
               "nothing": None}
    save(path, OLD, scalars)
    arrays, loaded = load(path)
    assert is_equal(arrays, OLD)
    assert loaded == scalars
    assert sorted(os.listdir(path.parent)) == ["checkpoint.npz"]


def test_special_numbers_survive(path):
    odd = np.array([np.nan, np.inf, -0.0, 1e-45], np.float32)
    save(path, {"odd": odd}, {"first_loss": float("nan")})
    arrays, scalars = load(path)
    assert arrays["odd"].tobytes() == odd.tobytes()
    assert scalars["first_loss"] != scalars["first_loss"]


def test_the_checkpoint_before_the_last_is_kept(two):
    assert load(two)[1] == {"step": 2}
    assert load(previous(two))[1] == {"step": 1}
    assert sorted(os.listdir(two.parent)) == ["checkpoint.npz", "checkpoint.prev.npz"]


def test_the_newest_is_taken_and_none_where_there_is_none(two, tmp_path):
    assert load_newest(two)[1] == {"step": 2}
    assert load_newest(tmp_path / "other.npz") is None


def test_killed_between_the_two_renames_the_previous_one_is_found(two):
    os.replace(two, previous(two))
    assert load_newest(two)[1] == {"step": 2}


def test_a_checkpoint_is_on_the_disk_before_it_takes_its_name(two, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append("fsync") or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda a, b: calls.append((a.name, b.name)) or rename(a, b))
    save(two, OLD, {"step": 3})
    assert calls == ["fsync", ("checkpoint.npz", "checkpoint.prev.npz"),
                     ("checkpoint.part.npz", "checkpoint.npz"), "fsync"]


# --- torn files ------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_torn_checkpoint_falls_back_to_the_one_before(two, left):
    content = two.read_bytes()
    two.write_bytes(content[: int(left * len(content))])
    arrays, scalars = load_newest(two)
    assert scalars == {"step": 1}
    assert is_equal(arrays, OLD)


def flipped(path, mask):
    """What is loaded for every byte of the newest file that mask is applied to, one at a time."""
    content = path.read_bytes()
    for place in range(len(content)):
        spoilt = bytearray(content)
        spoilt[place] ^= mask
        path.write_bytes(spoilt)
        yield load_newest(path)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_a_flipped_byte_never_loads_anything_but_what_was_saved(two, mask):
    wanted = {1: OLD, 2: NEW}
    results = list(flipped(two, mask))
    assert all(is_equal(arrays, wanted[scalars["step"]]) for arrays, scalars in results)
    assert {scalars["step"] for _, scalars in results} == {1, 2}


@pytest.mark.parametrize("spoil", ["header", "data", "directory"])
def test_a_flipped_byte_that_matters_falls_back(two, spoil):
    content = bytearray(two.read_bytes())
    data = content.index(NEW["params"].tobytes())
    content[{"header": data - 70, "data": data + 3, "directory": len(content) - 8}[spoil]] ^= 0x10
    two.write_bytes(content)
    assert load_newest(two)[1] == {"step": 1}


def test_two_torn_checkpoints_are_refused_in_words(two):
    two.write_bytes(b"torn")
    previous(two).write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        load_newest(two)
    assert str(caught.value).startswith(f"{two} is not a whole checkpoint (")
    assert str(caught.value).endswith(", and no earlier one is; delete both to start again")


def test_a_missing_file_is_refused_in_words(path):
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} is not a whole checkpoint ([Errno 2]")


# --- foreign files ---------------------------------------------------------------------------


def meta(**values):
    return {checkpoint.META: np.frombuffer(json.dumps(values).encode(), np.uint8)}


def test_pickled_objects_are_never_loaded(path):
    np.savez(path, evil=np.array([{}], dtype=object),
             **meta(version=checkpoint.VERSION, scalars={}))
    with pytest.raises(CheckpointError, match="allow_pickle=False"):
        load(path)


@pytest.mark.parametrize("arrays", [
    {"params": OLD["params"]},
    meta(version=checkpoint.VERSION),
    {checkpoint.META: np.frombuffer(b"not json", np.uint8)},
    {checkpoint.META: np.frombuffer(b"[1]", np.uint8)},
    {checkpoint.META: np.frombuffer(b"\xff\xfe", np.uint8)},
], ids=["no meta", "no scalars", "no json", "a list", "no text"])
def test_an_archive_that_is_no_checkpoint_is_refused(path, arrays):
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        load(path)


def test_a_single_array_is_refused(path):
    with open(path, "wb") as file:
        np.save(file, OLD["params"])
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        load(path)


def test_another_version_is_refused_by_number(path):
    np.savez(path, **meta(version=99, scalars={}))
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(caught.value) == f"{path} has version 99, this program reads 2"


# --- full disks ------------------------------------------------------------------------------


def refuse_storage(path):
    """The sentence of a save that fails; the checkpoint before must be untouched."""
    before = {file: file.read_bytes() for file in (path, previous(path))}
    with pytest.raises(StorageError) as caught:
        save(path, OLD, {"step": 3})
    assert {file: file.read_bytes() for file in before} == before
    assert sorted(os.listdir(path.parent)) == ["checkpoint.npz", "checkpoint.prev.npz"]
    return str(caught.value)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_full_disk_at_the_last_moment_loses_nothing(two, monkeypatch, code):
    def fsync(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    sentence = refuse_storage(two)
    assert sentence.startswith("cannot write ")
    assert os.strerror(code) in sentence
    assert sentence.endswith("free some space or choose another folder, and start again")
    assert str(two) in sentence


def test_a_file_that_cannot_be_opened_loses_nothing(two, monkeypatch):
    def refuse(file, mode="r", *args, **kwargs):
        if "w" in mode:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(file, mode, *args, **kwargs)

    real = builtins.open
    monkeypatch.setattr(builtins, "open", refuse)
    assert "Read-only file system" in refuse_storage(two)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_disk_that_is_really_full_loses_nothing(two):
    two.with_suffix(".part.npz").symlink_to("/dev/full")
    assert "No space left on device" in refuse_storage(two)


def test_a_left_over_part_of_a_killed_save_is_replaced(two):
    two.with_suffix(".part.npz").write_bytes(b"half a checkp")
    save(two, OLD, {"step": 3})
    assert load(two)[1] == {"step": 3}
    assert sorted(os.listdir(two.parent)) == ["checkpoint.npz", "checkpoint.prev.npz"]


def test_another_failure_is_a_bug_and_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "missing" / "checkpoint.npz", OLD, {})
