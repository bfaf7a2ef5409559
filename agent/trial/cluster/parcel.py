"""What a machine is sent to compute a run: its job, and each file by the hash of its content."""

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from agent.home import RunFolder
from agent.trial import Job
from agent.trial.cluster.store import Store, digest
from engine.errors import UserError
from engine.files import write_atomically

# What a run begins from besides its job, where it is there; and what comes back as it grows.
GOING = ("checkpoint.npz", "start.npz", "writer.npz", "pairs.jsonl", "making.jsonl")
COMING = ("checkpoint.npz", "pairs.jsonl", "making.jsonl", "output.log")
FILES = ("train_tokens", "valid_tokens", "tokenizer")  # fields of a job that name a file
ORPHAN_S = 2.0  # a worker whose machine has left the cluster is nobody's: its run goes on elsewhere
SAVE_S = 40.0  # between two checkpoints: with the way back, a lost machine costs a minute
UID = re.compile(r"[0-9A-Za-z_-]{1,80}")


@dataclass(frozen=True, slots=True)
class Parcel:
    """One run for one machine, in plain values."""

    uid: str  # of the run
    job: dict[str, Any]  # as job.json holds it, a hash where that names a file
    files: dict[str, str]  # names in the run's folder, and the hash of each
    n_bytes: dict[str, int]  # of every file, by its hash

    @classmethod
    def of(cls, values: Any) -> Self:
        """From what a home sent; UserError where it is none of ours."""
        try:
            found = cls(**values)
            if not UID.fullmatch(found.uid) or not set(found.files) <= set(GOING):
                raise ValueError(f"{found.uid[:40]!r} with {sorted(found.files)[:9]}")
        except (TypeError, ValueError) as error:
            raise UserError(f"this is no run that a home of this version sends: {error}") from error
        return found

    def values(self) -> dict[str, Any]:
        return {"uid": self.uid, "job": self.job, "files": self.files, "n_bytes": self.n_bytes}

    def missing(self, store: Store) -> list[str]:
        """Hashes of what the machine does not have."""
        return [sha256 for sha256 in self.n_bytes if not store.has(sha256)]

    def unpack(self, store: Store, folder: RunFolder) -> None:
        """Lay the run's folder out: its job, and a copy of what it goes on from."""
        folder.root.mkdir(parents=True)
        for name, sha256 in self.files.items():
            shutil.copyfile(store.path(sha256), folder.root / name)
        values = self.job | {name: str(store.path(self.job[name])) for name in FILES}
        values["shards"] = {name: one | {"path": str(store.path(one["path"]))}
                            for name, one in self.job.get("shards", {}).items()}
        values |= {"orphan_s": ORPHAN_S, "checkpoint_every_s": SAVE_S}
        write_atomically(folder.job, json.dumps(values).encode())


@dataclass(slots=True)
class Digests:
    """Hashes of files by how they look, so that none is read twice unchanged."""

    _known: dict[Path, tuple[tuple[int, int, int], str]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)  # of what was hashed, by its hash

    def of(self, path: Path) -> tuple[str, int]:
        """Hash and size of a file. Raises OSError."""
        stat = path.stat()
        looks = stat.st_size, stat.st_mtime_ns, stat.st_ino
        if self._known.get(path, (None,))[0] != looks:
            self._known[path] = looks, digest(path)
        sha256 = self._known[path][1]
        self.paths[sha256] = path
        return sha256, stat.st_size


def pack(folder: RunFolder, digests: Digests) -> Parcel:
    """A run as it lies in its home. Raises OSError, and UserError where its job is torn."""
    job = Job.read(folder.job)
    n_bytes: dict[str, int] = {}

    def name(path: str | Path) -> str:
        sha256, size = digests.of(Path(path))
        n_bytes[sha256] = size
        return sha256

    values: dict[str, Any] = json.loads(folder.job.read_bytes())
    values |= {field: name(getattr(job, field)) for field in FILES}
    values["shards"] = {shard: {"path": name(one.path), "n_bytes": one.n_bytes}
                        for shard, one in job.shards.items()}
    files = {one: name(folder.root / one) for one in GOING if os.path.exists(folder.root / one)}
    return Parcel(folder.root.name, values, files, n_bytes)
