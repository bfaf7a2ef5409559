"""Files by their hash: in pieces from several sides, checked whole, kept a month."""

import hashlib
import os
from pathlib import Path

import pytest

from agent.trial.cluster.store import KEPT_S, Spoilt, Store, digest
from engine.errors import UserError

DATA = b"some text" * 100
SHA = hashlib.sha256(DATA).hexdigest()


def test_a_file_that_came_in_pieces_is_there_once_it_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.has(SHA)
    assert store.put(SHA, 0, DATA[:500], len(DATA)) == 500
    assert not store.has(SHA)
    assert store.put(SHA, 500, DATA[500:], len(DATA)) == len(DATA)
    assert store.has(SHA)
    assert store.path(SHA).read_bytes() == DATA
    assert digest(store.path(SHA)) == SHA


def test_two_homes_that_send_the_same_file_help_each_other(tmp_path: Path) -> None:
    one, other = Store(tmp_path), Store(tmp_path)
    one.put(SHA, 0, DATA[:300], len(DATA))
    assert other.put(SHA, 0, b"", len(DATA)) == 300  # where the next piece begins
    assert other.put(SHA, 0, DATA[:300], len(DATA)) == 300  # not taken twice
    other.put(SHA, 300, DATA[300:], len(DATA))
    assert one.put(SHA, 300, DATA[300:600], len(DATA)) == len(DATA)  # the other was quicker
    assert [path.name for path in tmp_path.iterdir()] == [SHA]


def test_what_is_another_file_is_not_taken(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Spoilt, match="is something else"):
        store.put(SHA, 0, DATA[::-1], len(DATA))
    assert not store.has(SHA)
    assert store.put(SHA, 0, DATA, len(DATA)) == len(DATA)  # and the right one is, afterwards


def test_a_file_that_was_spoilt_on_the_disk_is_asked_for_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(SHA, 0, DATA, len(DATA))
    assert store.has(SHA)
    store.path(SHA).write_bytes(DATA[:-1] + b"!")
    assert not store.has(SHA)
    assert not store.path(SHA).exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "", "0" * 63])
def test_a_name_that_is_no_hash_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no SHA-256"):
        Store(tmp_path).path(name)


def test_what_no_run_needed_for_a_month_goes(tmp_path: Path) -> None:
    now_s = 2e9
    store = Store(tmp_path, lambda: now_s)
    for name, age_s in (("a" * 64, KEPT_S + 1), ("b" * 64, KEPT_S - 1)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (now_s - age_s, now_s - age_s))
    store.tidy()
    assert [path.name for path in tmp_path.iterdir()] == ["b" * 64]
