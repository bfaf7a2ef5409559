"""The nights of tests.bench.search on file: a line of JSON each."""

import json
import lzma
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import UserError

Night = dict[str, Any]
FIELDS = {"key", "arm", "night", "fresh_bpb", "start_bpb", "head_bpb", "unigram_bpb", "anytime",
          "claimed_gain", "n_runs", "tokens", "tokens_by_kind", "wasted", "verdicts", "wall_s",
          "cpu_s", "text", "start_text"}


def read_file(path: Path | None) -> list[Night]:
    """Every night of a file; lines that are none are passed over."""
    if path is None or not path.exists():
        return []
    found = []
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    for line in data.decode("utf-8", errors="replace").splitlines():
        try:
            night = json.loads(line)
        except ValueError:
            continue  # a line that an interruption cut short
        if isinstance(night, dict) and night.keys() >= FIELDS:
            found.append(night)
    return found


def read_nights(path: Path | None, key: dict[str, Any]) -> list[Night]:
    """The nights of that key in a file, the first of each."""
    found: dict[tuple[str, int], Night] = {}
    for night in read_file(path):
        if night["key"] == key:
            found.setdefault((night["arm"], night["night"]), night)
    return list(found.values())


def read_all(paths: Sequence[Path], arms: Sequence[str], numbers: range | None) -> list[Night]:
    """The nights of those arms and numbers in all files. Raises UserError where there are none."""
    for path in paths:
        if not path.exists():
            raise UserError(f"there is no file {path}; name one that --out has written")
    found = [night for path in paths for night in read_file(path)
             if night["arm"] in arms and (numbers is None or night["night"] in numbers)]
    if not found:
        raise UserError(f"no such night in {', '.join(map(str, paths))}; --arms and --nights "
                        "choose among those that are there")
    return found


def append_night(path: Path | None, night: Night) -> None:
    """Add a line; one that was cut short before is ended first."""
    if path is None:
        return
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(night).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
