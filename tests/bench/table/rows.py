"""The file of runs that `make` writes: one JSON line a run, one that says of which texts.

A row has text, slot, kind, seed, config (what differs from OLDEST), state, seconds of training,
and bits per byte: rungs [3], short, search, confirm, test, all None where the run diverged.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.simulate.surface import TABLES
from agent.simulate.tunnel import RUNGS
from engine.config import Config

OLDEST = Config.from_dict({})  # what a row without any field of its own is
SCORES = ("short", "search", "confirm", "test")  # at the end


@dataclass(frozen=True, slots=True)
class Row:
    """One real run; scores in bits per byte, None where it diverged."""

    text: str
    slot: int  # the configuration's number in its text
    kind: str  # start, whole, sensible, near, noise, asked, again: how it was drawn
    seed: int
    config: Config
    state: str  # finished, diverged
    seconds: float  # of training, without scoring
    rungs: tuple[float | None, ...] = (None,) * len(RUNGS)  # on the short text
    short: float | None = None  # at the end, on the text of the rungs
    search: float | None = None
    confirm: float | None = None
    test: float | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        return self.text, self.slot, self.seed

    def line(self) -> dict[str, Any]:
        return asdict(self) | {"config": differing(self.config)}

    @classmethod
    def of(cls, line: dict[str, Any]) -> "Row":
        return cls(**line | {"config": Config.from_dict(line["config"]),
                             "rungs": tuple(line["rungs"])})


def differing(config: Config) -> dict[str, Any]:
    """The fields that a reader would not add by itself."""
    return {name: own for name, (own, _) in config.difference(OLDEST).items()}


def read_rows(path: Path) -> list[Row]:
    """The runs of a file, the first of each; a line that an interruption cut short is no run."""
    found: dict[tuple[str, int, int], Row] = {}
    for line in read_lines(path):
        if "slot" in line:
            row = Row.of(line)
            found.setdefault(row.key, row)
    return list(found.values())


def centres_of(rows: Sequence[Row]) -> tuple[list[Config], list[int], list[list[Row]]]:
    """The configurations that finished, the number of each one's text, and its runs."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.search is not None:
            found.setdefault((row.text, row.config.hash), []).append(row)
    return ([runs[0].config for runs in found.values()],
            [TABLES.index(text) for text, _ in found], list(found.values()))


def read_texts(path: Path) -> dict[str, Any]:
    """What a file says of its texts; empty where there is no file yet."""
    return next((line["texts"] for line in read_lines(path) if "texts" in line), {})


def read_lines(path: Path) -> Iterable[dict[str, Any]]:
    """What a file's lines hold; one that an interruption cut short is passed over."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
