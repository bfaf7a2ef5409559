"""What a machine is sent of a run: its job and its files, by what is in them."""

import hashlib
import json
from pathlib import Path

import pytest

from agent.trial.cluster.parcel import ORPHAN_S, Digests, Parcel, pack
from agent.trial.cluster.store import Store
from agent.trial.job import Job
from engine.errors import UserError
from tests.agent.trial.cluster.test_station import a_run_at_home


def test_a_parcel_names_no_place_of_its_home(tmp_path: Path) -> None:
    folder = a_run_at_home(tmp_path / "home")
    (folder.root / "start.npz").write_bytes(b"model")
    (folder.root / "events.jsonl").write_bytes(b"what happened here stays here")
    parcel = pack(folder, Digests())
    assert str(tmp_path) not in json.dumps(parcel.values())
    assert parcel.files == {"start.npz": hashlib.sha256(b"model").hexdigest()}
    assert parcel.job["tokenizer"] == hashlib.sha256(b"tokenizer" * 10).hexdigest()
    assert sorted(parcel.n_bytes.values()) == [5, 50, 50, 90]
    assert Parcel.of(json.loads(json.dumps(parcel.values()))) == parcel


def test_an_unpacked_run_leaves_soon_where_its_machine_does(tmp_path: Path) -> None:
    folder, store = a_run_at_home(tmp_path / "home"), Store(tmp_path / "files")
    digests = Digests()
    parcel = pack(folder, digests)
    for sha256 in parcel.missing(store):
        data = digests.paths[sha256].read_bytes()
        store.put(sha256, 0, data, len(data))
    there = a_run_at_home(tmp_path / "there").home.run("uid2")
    parcel.unpack(store, there)
    assert Job.read(there.job).orphan_s == ORPHAN_S


def test_a_file_is_read_again_where_it_has_changed_alone(tmp_path: Path) -> None:
    digests, path = Digests(), tmp_path / "text"
    path.write_bytes(b"one")
    first = digests.of(path)
    assert digests.of(path) == first
    path.write_bytes(b"another")
    assert digests.of(path) == (hashlib.sha256(b"another").hexdigest(), 7)


def test_a_torn_job_is_told_as_one(tmp_path: Path) -> None:
    folder = a_run_at_home(tmp_path)
    folder.job.write_bytes(b"{")
    with pytest.raises(UserError, match="is not a job this program wrote"):
        pack(folder, Digests())
