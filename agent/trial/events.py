"""events.jsonl of a run: what its workers wrote, line by line, torn lines left for later."""

import json
import os
from typing import Any

from agent.home import RunFolder


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
