"""A person's words on a run: files on their way to the ledger, as ideas and withdrawals are.

What is asked for is checked where a person still listens; who may write the ledger carries it out.
"""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from agent import words
from agent.home import Home
from agent.ledger import Ledger, Remark, remark_on, set_remark
from engine.errors import LedgerError, UserError
from engine.files import write_atomically

SUFFIX = ".remark"
MOST = 10_000  # letters of all that is noted on one run
MAX_BYTES = 100_000  # of a file
How = Literal["add", "replace", "clear", "keep"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants to stand beside a run."""

    uid: str
    label: str
    how: How = "keep"  # the note: a line more, another text, none, or as it is
    text: str = ""
    is_starred: bool | None = None  # None: as it is

    def on(self, old: Remark) -> Remark:
        """What stands there afterwards; UserError where a note became too long."""
        note = old.note
        if self.how in ("replace", "clear"):
            note = None
        if self.how in ("add", "replace"):
            note = "\n".join(filter(None, (note, self.text)))
        if note and len(note) > MOST:
            raise UserError(f"the note on {self.label} would have {len(note):,} letters; "
                            f"{MOST:,} are the most, and --replace or --clear makes room")
        is_starred = old.is_starred if self.is_starred is None else self.is_starred
        return Remark(note, is_starred)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """ValueError where this program did not write it."""
        values: dict[str, Any] = json.loads(text)
        found = cls(**values)
        if not (isinstance(found.uid, str) and re.fullmatch("[!-~]{1,200}", found.uid)
                and isinstance(found.label, str) and isinstance(found.text, str)
                and found.how in get_args(How)
                and (found.is_starred is None or isinstance(found.is_starred, bool))):
            raise ValueError
        return found


def cleaned(text: str) -> str:
    """A note as it is kept: lines without blanks at their ends, nothing that steers a terminal."""
    lines = (words.printable(line).rstrip() for line in text.strip().splitlines())
    return "\n".join(lines)


def leave(home: Home, asked: Asked) -> None:
    """Write down what is wanted, where who writes the ledger finds it."""
    home.inbox.mkdir(exist_ok=True)
    write_atomically(home.inbox / f"{uuid.uuid4().hex}{SUFFIX}", json.dumps(asdict(asked)).encode())


def take_up(ledger: Ledger, home: Home, now: str) -> Iterator[str]:
    """Carry out what was left, the first first, and say what became of it."""
    for path in _files(home):
        try:
            with open(path, "rb") as file:
                asked = Asked.from_json(file.read(MAX_BYTES))
        except FileNotFoundError:  # taken up this very moment
            continue
        except (ValueError, TypeError, RecursionError):
            message = words.printable(f"{path.name} in the inbox was refused: it is none that this "
                                      "program wrote")
        else:
            message = _carried_out(ledger, asked, now)
        path.unlink(missing_ok=True)
        yield message


def _files(home: Home) -> list[Path]:
    found = []
    for path in home.inbox.glob(f"*{SUFFIX}"):
        try:
            found.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue
    return [path for _, path in sorted(found)]


def _carried_out(ledger: Ledger, asked: Asked, now: str) -> str:
    known = ledger.rows("SELECT id, label FROM runs WHERE uid = ?", asked.uid)
    if not known:
        return words.printable(f"nothing was noted on {words.cut(asked.label, 40)}: it is no run "
                               "of this ledger")
    run_id, label = known[0]["id"], known[0]["label"]
    was = remark_on(ledger, run_id)
    try:
        set_remark(ledger, run_id, asked.on(was), now)
    except LedgerError:
        raise
    except UserError as error:  # two notes in the inbox were too long together
        return str(error)
    return f"{label}: {told(asked, was)}"


def told(asked: Asked, was: Remark) -> str:
    """What was done, in words; the note itself is a person's own."""
    star = {True: "starred", False: "no longer starred" if was.is_starred else "had no star",
            None: ""}[asked.is_starred]
    note = {"add": "noted", "replace": "note replaced", "clear": "note removed"}.get(asked.how, "")
    return ", ".join(filter(None, (note, star)))
