"""The guard's present word: a small file that the daemon leaves for those who ask.

The ledger keeps the changes of mind. This is what holds between them, and no record.
"""

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.files import write_atomically

Value = float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The word, what it rests on, and when that was read."""

    at: str
    word: str  # go or waits
    cause: str  # which limits spoke; empty where none did
    reason: str
    told: str  # the readings in words
    readings: dict[str, Value]  # by name, each ending in its unit; None where unknown
    search: str = ""  # where the search stands


def write(path: Path, present: Present) -> None:
    """Raises StorageError where the disk is full or may not be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(dataclasses.asdict(present)).encode())


def read(path: Path) -> Present | None:
    """None where there is no such file, or it was not written by this program."""
    try:
        found = json.loads(path.read_bytes())
        return _parse(found) if isinstance(found, dict) else None
    except (OSError, ValueError, KeyError, RecursionError):
        return None


def _parse(found: dict[str, Any]) -> Present | None:
    texts = {name: found[name] for name in ("at", "word", "cause", "reason", "told")}
    texts["search"] = found.get("search", "")  # a word of an older version has none
    readings = found["readings"]
    is_sound = (all(isinstance(text, str) for text in texts.values())
                and texts["word"] in ("go", "waits") and isinstance(readings, dict)
                and dt.datetime.fromisoformat(texts["at"]).tzinfo is not None)
    if not is_sound:
        return None
    return Present(**texts, readings={
        name: value for name, value in readings.items()
        if value is None or (isinstance(value, int | float) and abs(value) < float("inf"))})
