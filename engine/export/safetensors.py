"""Tensors in a .safetensors file: a length, a header in JSON, and the bytes.

Format: https://github.com/huggingface/safetensors, "Format". A file is not trusted: every length,
type, shape and offset is checked before an array is made of it.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engine.errors import CheckpointError
from engine.model import Array

MAX_HEADER_BYTES = 16 << 20  # a name and some numbers for each tensor
MAX_AXES = 8
# Bytes of an entry by its type, of those that are read; float32 holds each of them exactly.
ENTRY_BYTES = {"F32": 4, "F16": 2, "BF16": 2}

Tell = Callable[[int], object]  # bytes that have been written since it was last told


def write(file: BinaryIO, tensors: Mapping[str, Array], tell: Tell) -> None:
    """Write float32 tensors of any memory order, one after the other, in theirs."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, tensor in tensors.items():
        end = start + 4 * tensor.size
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data are aligned
    file.write(len(text).to_bytes(8, "little") + text)
    for tensor in tensors.values():
        file.write(np.ascontiguousarray(tensor, "<f4").data)
        tell(4 * tensor.size)


def read(path: Path) -> dict[str, Array]:
    """The tensors of a file by name, as float32; CheckpointError where it is no such file."""
    try:
        with open(path, "rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size
            entries, start = _header(file, n_bytes)
            return {name: _tensor(file, start, entry) for name, entry in entries.items()}
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no whole .safetensors file: {error}; export or download "
                              "it again") from error


Entry = tuple[str, tuple[int, ...], int, int]  # type, shape, first byte and the one after the last


def _header(file: BinaryIO, n_bytes: int) -> tuple[dict[str, Entry], int]:
    """Entries by name and where their data start; ValueError in words for a file that is wrong."""
    length = int.from_bytes(file.read(8), "little")
    if n_bytes < 8 or length > min(MAX_HEADER_BYTES, n_bytes - 8):
        raise ValueError(f"its header of {length if n_bytes >= 8 else 0:,} bytes does not fit into "
                         f"its {n_bytes:,}")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_no_twins)
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    entries = {name: _entry(name, value) for name, value in header.items()}
    at = 0
    for name, (_, _, first, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if first != at:
            raise ValueError(f"tensor '{name:.60}' begins at byte {first:,} where {at:,} is due")
        at = end
    if at != n_bytes - 8 - length:
        raise ValueError(f"its tensors take {at:,} bytes and it holds {n_bytes - 8 - length:,}")
    return entries, 8 + length


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in its header")
    return found


def _entry(name: str, value: Any) -> Entry:
    """What the header says of a tensor; ValueError where it cannot be so."""
    told = f"tensor '{name:.60}'"
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{told} lacks dtype, shape or data_offsets, or has more")
    kind, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(kind, str) or kind not in ENTRY_BYTES:
        raise ValueError(f"{told} is of type {repr(kind):.60}, and {', '.join(ENTRY_BYTES)} are "
                         "read")
    if not _are_counts(shape) or len(shape) > MAX_AXES:
        raise ValueError(f"{told} has the shape {repr(shape):.60}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{told} has the offsets {repr(offsets):.60}")
    n_bytes = math.prod(shape) * ENTRY_BYTES[kind]
    if offsets[1] - offsets[0] != n_bytes:
        raise ValueError(f"{told} of shape {shape} takes {n_bytes:,} bytes, not "
                         f"{offsets[1] - offsets[0]:,}")
    return kind, tuple(shape), offsets[0], offsets[1]


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(one) is int and 0 <= one < 2**53
                                            for one in values)


def _tensor(file: BinaryIO, start: int, entry: Entry) -> Array:
    kind, shape, first, end = entry
    file.seek(start + first)
    data = file.read(end - first)
    if len(data) != end - first:
        raise ValueError("it was cut while it was read")
    if kind == "BF16":  # the upper half of a float32
        found = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        found = np.frombuffer(data, "<f4" if kind == "F32" else "<f2").astype(np.float32)
    return found.reshape(shape)
