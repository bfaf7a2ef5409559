"""Ideas on their way to the ledger: files that `agent enqueue` leaves for whoever may write it.

One file an idea, written atomically. It is taken up exactly once: queued first, then removed; a
file whose idea the ledger knows by its uid, since the taker died in between, is only removed.
"""

import datetime as dt
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from agent import words
from agent.home import Home
from agent.ledger import BLOCKED, Ledger, Run, current_study
from agent.search import study
from agent.trial import ShortOfMemory
from engine.config import Config
from engine.errors import CorpusError, UserError
from engine.files import write_atomically
from engine.text import TokenSet

VERSION = 1
MAX_BYTES = 65_536  # an idea has about one thousand

Prepare = Callable[[int], TokenSet]  # token files for a vocabulary size


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """A run somebody wants, before the ledger has it."""

    uid: str  # of the run it becomes
    created_at: str
    config: Config
    seed: int
    calibration_id: int  # the study that judges it
    parent_id: int | None  # the run it departs from
    replicas: int
    reason: str

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"version": VERSION}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """UserError where a field is missing, unknown or of another kind."""
        try:
            values: dict[str, Any] = json.loads(text)
            if values.pop("version") != VERSION:
                raise ValueError(f"its version is not {VERSION}")
            if values.keys() != {field.name for field in fields(cls)}:
                raise ValueError("its fields are others")
            dt.datetime.strptime(values["created_at"], "%Y-%m-%dT%H:%M:%S%z")
            if not re.fullmatch("[0-9a-f]{32}", values["uid"]):
                raise ValueError(f"uid={values['uid']!r} is none")
            _require_whole(values)
            return cls(**values | {"config": Config.from_dict(values["config"]),
                                   "reason": words.printable(values["reason"])})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError,
                UserError) as error:
            raise UserError(f"it is no idea that this program wrote: {error}") from error


def _require_whole(values: dict[str, Any]) -> None:
    for name, least in {"seed": 0, "calibration_id": 1, "replicas": 1, "parent_id": 1}.items():
        value = values[name]
        if name == "parent_id" and value is None:
            continue
        if type(value) is not int or not least <= value < 2**63:
            raise ValueError(f"{name}={value!r} is not a whole number from {least} on")


def leave(home: Home, idea: Idea) -> Path:
    """Write an idea where the next taker finds it."""
    home.inbox.mkdir(exist_ok=True)
    path = home.inbox / f"{idea.uid}.json"
    write_atomically(path, idea.to_json().encode())
    return path


def waiting(home: Home) -> list[Idea]:
    """The ideas that nobody has taken up yet; a file that is none is for the taker to report."""
    found = []
    for path in _files(home):
        try:
            found.append(_read(path))
        except (UserError, FileNotFoundError):  # taken up this very moment
            continue
    return found


def take_up(ledger: Ledger, home: Home, now: str, prepare: Prepare | None) -> Iterator[str]:
    """Queue what waits, and say of each idea what became of it.

    An idea whose vocabulary this ledger has not seen on its text needs `prepare`; without it, or
    where it prepares another text, the idea stays.
    """
    for path in _files(home):
        try:
            idea = _read(path)
            if ledger.has_uid(idea.uid):
                path.unlink()
                continue
            corpus_id = _corpus_id(ledger, idea, now, prepare)
            if corpus_id is None:
                continue
            run = _queue(ledger, idea, corpus_id)
            last = current_study(ledger)
            place = f" for study {idea.calibration_id}" if (
                last and last.id != idea.calibration_id) else ""
            message = f"{run.label} on seed {run.seed}, queued{place}: {idea.reason}"
        except BLOCKED:
            raise  # it passes, and the idea is not to blame
        except CorpusError as error:
            if not isinstance(error, ShortOfMemory):
                raise  # nor for a text that cannot be had now
            message = words.printable(f"{path.name} in the inbox was refused: {error}")
        except UserError as error:
            if isinstance(error.__cause__, sqlite3.Error):
                raise  # nor for a ledger that is not sound
            message = words.printable(f"{path.name} in the inbox was refused: {error}")
        path.unlink()
        yield message


def _files(home: Home) -> list[Path]:
    """What may be an idea, the first written first."""
    found = []
    for path in home.inbox.glob("*.json"):
        with suppress(FileNotFoundError):  # taken up this very moment
            if path.is_file():
                found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def _read(path: Path) -> Idea:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except PermissionError as error:
        raise UserError("it may not be read") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"it has over {MAX_BYTES:,} bytes, so it is no idea")
    return Idea.from_json(data.decode(errors="replace"))


def _queue(ledger: Ledger, idea: Idea, corpus_id: int) -> Run:
    found = ledger.calibration(idea.calibration_id)
    if idea.parent_id is not None:
        ledger.run(idea.parent_id)  # LedgerError where there is none
    new = study.new_run(
        ledger, idea.config, idea.seed, found.budget_tokens, corpus_id, idea.created_at,
        study.Origin("hand", idea.reason, calibration_id=found.id, parent_id=idea.parent_id),
        idea.replicas)
    return ledger.queue(replace(new, uid=idea.uid))


def _corpus_id(ledger: Ledger, idea: Idea, now: str, prepare: Prepare | None) -> int | None:
    """The corpus of an idea's text and vocabulary; None where it is to be had another time."""
    found = ledger.calibration(idea.calibration_id)
    known = next((corpus.id for corpus in reversed(ledger.corpora())
                  if corpus.text_sha256 == found.text_sha256
                  and corpus.vocab_size == idea.config.vocab_size), None)
    if known is not None or prepare is None:
        return known
    tokens = prepare(idea.config.vocab_size)
    if tokens.corpus.sha256 != found.text_sha256:
        return None
    return study.register_corpus(ledger, tokens, now)
