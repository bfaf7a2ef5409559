"""events.jsonl of a run: what its workers wrote, line by line, torn lines left for later."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.home import RunFolder
from agent.ledger import Blocks, Measures


class Events:
    """Append-only JSON lines; a torn last line of a killed worker is cut off first."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            whole = path.read_bytes().rpartition(b"\n")
            if whole[2]:
                os.truncate(path, len(whole[0]) + len(whole[1]))
        self._file = open(path, "ab", buffering=0)  # closed with the process

    def write(self, kind: str, **values: Any) -> None:
        line = json.dumps({"kind": kind, **values}).encode() + b"\n"
        while line:  # a disk that fills up takes a part, and refuses the rest
            line = line[self._file.write(line):]

    def sync(self) -> None:
        os.fsync(self._file.fileno())


def read_events(folder: RunFolder, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Whole lines behind offset, and the offset behind them; a line being written waits.

    A line that a power cut spoilt is passed over: the worker logs its steps again on resuming.
    """
    try:
        with open(folder.events, "rb") as file:
            if offset > os.fstat(file.fileno()).st_size:
                offset = 0  # a power cut took lines the ledger knows; to read twice is harmless
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    return [event for event in map(_event, whole.split(b"\n")) if event], offset + len(whole)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def this_attempt(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """The newest event of each kind since the last worker began."""
    newest: dict[str, dict[str, Any]] = {}
    for event in read_events(folder, 0)[0]:
        note(newest, event)
    return newest


def note(newest: dict[str, dict[str, Any]], event: dict[str, Any]) -> None:
    """Take an event into the newest of each kind; a new worker makes the old one's words void."""
    if event["kind"] == "start":
        newest.clear()
    newest[event["kind"]] = event


def measures_in(event: Mapping[str, Any]) -> Measures:
    """What a last event tells of a model before and after; what of it is spoilt is left out."""
    found = []
    for row in event.get("measures") or ():
        with suppress(TypeError, ValueError):
            one = dict(zip(("name", "step", "value", "low", "high", "n"), row, strict=True))
            known = (one["step"], one["value"], *(x for x in row[3:] if x is not None))
            if isinstance(one["name"], str) and all(map(math.isfinite, known)):
                found.append(one)
    return found


def blocks_in(event: Mapping[str, Any], shard: str) -> Blocks | None:
    """What a last event tells of the blocks of a shard; None where it does not, or is spoilt."""
    bits, n_bytes = event.get(f"{shard}_blocks"), event.get(f"{shard}_block_bytes")
    if not (isinstance(bits, list) and isinstance(n_bytes, list) and len(bits) == len(n_bytes)):
        return None
    if not all(isinstance(one, float) and math.isfinite(one) for one in bits) or not all(
            isinstance(one, int) for one in n_bytes):
        return None
    return Blocks(tuple(bits), tuple(n_bytes))
