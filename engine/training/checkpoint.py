"""Checkpoints: one .npz of plain arrays and a JSON text, written whole or not at all.

Nothing is ever unpickled. The file before the last is kept, so a torn one costs a minute.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engine.errors import CheckpointError
from engine.files import storage_in_words, sync_folder
from engine.model import Array

VERSION = 2  # 1 had qkv and gate_up transposed, and averages in AdamW's slots
META = "meta.json"  # key of the JSON part, stored as bytes


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_suffix(".prev.npz")


def save(path: Path, arrays: dict[str, Array], scalars: dict[str, Any]) -> None:
    """Write arrays and JSON-able scalars to path; the file there before becomes `previous`.

    Raises StorageError where the disk is full or may not be written; what was there stays.
    """
    text = json.dumps({"version": VERSION, "names": list(arrays), "scalars": scalars})
    meta = np.frombuffer(text.encode(), np.uint8)
    part = path.with_suffix(".part.npz")
    with storage_in_words(path, part, sum(array.nbytes for array in arrays.values())):
        with open(part, "wb") as file:
            _write(file, {META: meta, **arrays})
        if path.exists():
            os.replace(path, previous(path))
        os.replace(part, path)
        sync_folder(path.parent)


def _write(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub reads ** as allow_pickle
    file.flush()
    os.fsync(file.fileno())


def load(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and scalars of a checkpoint; CheckpointError where it is torn or foreign.

    Every member carries a CRC-32, which zipfile checks on reading.
    """
    try:
        # Opened here, because np.load leaves the file open where the archive is torn.
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays.pop(META).tobytes())
        version, scalars = meta["version"], meta["scalars"]
        if version == VERSION and meta["names"] != list(arrays):
            raise ValueError("arrays are missing")  # the zip's directory has no checksum
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError,
            zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint ({error})") from error
    if version != VERSION:
        raise CheckpointError(f"{path} has version {version}, this program reads {VERSION}")
    return arrays, scalars


def load_newest(path: Path) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """The checkpoint at path, or the one before where that is torn; None where there is none.

    Raises CheckpointError where files exist but none of them is whole.
    """
    failure: CheckpointError | None = None
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            return load(candidate)
        except CheckpointError as error:
            failure = failure or error
    if failure:
        raise CheckpointError(f"{failure}, and no earlier one is; delete both to start again")
    return None
