"""Runs and studies that a person takes back: files on their way to the ledger, as ideas are.

What is asked for is checked where a person still listens; who may write the ledger carries it out.
A run that has begun by then goes on.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import words
from agent.home import Home
from agent.ledger import (
    Calibration,
    Ledger,
    Queries,
    Run,
    by_use,
    current_study,
    is_on_text,
    study_of,
    withdraw,
    withdraw_study,
    withdrawn_runs,
    withdrawn_studies,
)
from agent.night import inbox
from engine.errors import UserError
from engine.files import write_atomically

SUFFIX = ".withdraw"
MAX_BYTES = 10_000_000  # a thousand runs have about 40,000
WHY = "taken back by a person before it ran"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is taken back."""

    runs: tuple[Run, ...]  # queued ones
    ideas: tuple[Path, ...] = ()  # of a study, in the inbox
    study: int | None = None

    @property
    def begun(self) -> list[Run]:
        """Runs of which a part is computed already."""
        return [run for run in self.runs if run.tokens]


def planned(ledger: Queries, home: Home, keys: Sequence[str], number: int | None, *,
            is_agent_at_work: bool) -> Withdrawal:
    """What was named, checked; UserError says what cannot be taken back, and what helps."""
    if number is None:
        return Withdrawal(tuple({run.id: run for run in (
            _waiting(ledger, key) for key in keys)}.values()))
    study, current = study_of(ledger, number), current_study(ledger)
    if is_agent_at_work and current and current.id == study.id:
        raise UserError(f"an agent works on study {study.id}; `agent stop` first")
    cells = _of_text_alone(ledger, study)
    runs = tuple(run for run in ledger.runs("queued")
                 if run.calibration_id == study.id or run.id in cells)
    ideas = tuple(home.inbox / f"{idea.uid}.json" for idea in inbox.waiting(home)
                  if idea.calibration_id == study.id)
    if study.id in withdrawn_studies(ledger) and not runs and not ideas:
        raise UserError(f"study {study.id} is withdrawn already; `agent run --study {study.id}` "
                        "takes it up again")
    return Withdrawal(runs, ideas, study.id)


def _of_text_alone(ledger: Queries, study: Calibration) -> set[int]:
    """Queued cells of grids on a study's text, where no night with another study would run them."""
    others = {one.text_sha256 for one in by_use(ledger) if one.id != study.id}
    return set() if study.text_sha256 in others else {
        run.id for run in ledger.runs("queued")
        if run.strategy == "grid" and run.calibration_id is None
        and is_on_text(ledger, run, study.text_sha256)}


def _waiting(ledger: Queries, key: str) -> Run:
    run = ledger.run(key)
    if run.id in withdrawn_runs(ledger):
        raise UserError(f"{run.label} is withdrawn already; `agent enqueue` queues an idea anew")
    if run.state != "queued":
        raise UserError(f"{run.label} is {run.state}; only runs that are queued can be withdrawn, "
                        "and `agent runs --state queued` lists them")
    if run.id not in {one.id for one in ledger.runs("queued")}:
        raise UserError(f"{run.label} waits in another home; withdraw it there")
    if run.strategy == "baseline" and run.calibration_id is not None:
        raise UserError(f"{run.label} is a seed of the start of study {run.calibration_id}, which "
                        f"`agent run` would queue anew; `agent withdraw --study "
                        f"{run.calibration_id}` takes the whole study back")
    return run


def leave(home: Home, asked: Withdrawal) -> None:
    """Write down what is taken back, where who writes the ledger finds it."""
    for path in asked.ideas:
        path.unlink(missing_ok=True)
    home.inbox.mkdir(exist_ok=True)
    text = json.dumps({"runs": [run.uid for run in asked.runs], "study": asked.study})
    write_atomically(home.inbox / f"{uuid.uuid4().hex}{SUFFIX}", text.encode())


def take_up(ledger: Ledger, home: Home, now: str) -> Iterator[str]:
    """Carry out what was left, and say what became of it."""
    for path in sorted(home.inbox.glob(f"*{SUFFIX}")):
        try:
            uids, number = _read(path)
        except FileNotFoundError:  # taken up this very moment
            continue
        except ValueError:
            message = words.printable(f"{path.name} in the inbox was refused: it is none that this "
                                      "program wrote")
        else:
            message = _carried_out(ledger, uids, number, now)
        path.unlink(missing_ok=True)
        yield message


def _read(path: Path) -> tuple[list[str], int | None]:
    with open(path, "rb") as file:
        values = json.loads(file.read(MAX_BYTES))
    uids, number = (values.get("runs"), values.get("study")) if isinstance(values, dict) else (0, 0)
    if not (isinstance(uids, list) and all(isinstance(uid, str) for uid in uids)
            and (number is None or type(number) is int)):
        raise ValueError
    return uids, number


def _carried_out(ledger: Ledger, uids: Sequence[str], number: int | None, now: str) -> str:
    known = {run.uid: run for run in ledger.runs("queued")}
    with ledger.deciding():
        labels = withdraw(ledger, [known[uid] for uid in uids if uid in known], WHY, now)
        told = f"withdrew {', '.join(labels)}" if labels else "no run was withdrawn"
        if n_begun := len(uids) - len(labels):
            told += f"; {words.runs(n_begun)} had begun meanwhile and {_go(n_begun)} on"
        if number is None or number not in {one.id for one in ledger.studies()}:
            return told
        told = f"withdrew study {number}" + (f" with {', '.join(labels)}" if labels else "")
        withdraw_study(ledger, number, told, now)
    return told


def _go(n: int) -> str:
    return "goes" if n == 1 else "go"
