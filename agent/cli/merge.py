"""`agent merge`: what other devices did, or what a swapped night had learnt, in this ledger."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from agent import words
from agent.cli.enqueue import taken_up
from agent.cli.given import GivenPath
from agent.cli.main import main
from agent.cli.progress import Screen
from agent.cli.status import show_json
from agent.cli.talk import tell
from agent.home import Home
from agent.ledger import (
    Taken,
    glance,
    is_ledger,
    new_rows,
    rehearse,
    require_other,
    table_text,
    take_in,
)
from agent.night import Desk, desk, inbox, remarks, withdrawal
from engine.errors import UserError

MOST = 6  # labels that are told; --json has all
NAMED = {"runs": "run", "decisions": "decision", "events": "event", "corpora": "text",
         "calibrations": "study", "grids": "grid", "metrics": "logged step", "remarks": "note"}
PLURALS = {"text": "texts", "study": "studies"}


@main.command("merge")
@click.argument("files", nargs=-1, required=True, metavar="OTHER.db...", type=GivenPath())
@click.option("--dry-run", is_flag=True, help="Say all that would change and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value and nothing else.")
@click.pass_obj
def merge_(home: Home, files: tuple[Path, ...], dry_run: bool, as_json: bool) -> None:
    """Take the ledgers of other devices into this one; the others are only read.

    Example:  agent merge phone/ledger.db laptop/ledger.db --dry-run
    """
    say_merged(home, files, is_dry=dry_run, as_json=as_json)


@main.command("import")
@click.argument("file", type=GivenPath(exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Say what would be added and add nothing.")
@click.pass_obj
def import_(home: Home, file: Path, dry_run: bool) -> None:
    """Add the rows of a published table, or of another ledger as agent merge does.

    Example:  agent import ledger-kept-20260324T231500Z.db
    """
    if is_ledger(file):
        say_merged(home, [file], is_dry=dry_run)
    elif dry_run:
        tell(f"{_rows(_n_new(home, file))} would be added; a dry run, so none was")
    else:
        with Screen() as screen, desk(home, screen, screen.stage) as at:
            tell(f"{_rows(at.ledger.import_published(table_text(file), at.clock.stamp()))} added")


def _n_new(home: Home, file: Path) -> int:
    """How many rows would come in; nothing is written, nor made where there is no ledger."""
    with glance(home.ledger) if home.ledger.exists() else nullcontext() as ours:
        return len(new_rows(home.ledger, table_text(file), ours.labels() if ours else {}))


def _rows(n: int) -> str:
    return f"{n} {'row' if n == 1 else 'rows'}"


def say_merged(home: Home, files: Sequence[Path], *, is_dry: bool, as_json: bool = False) -> None:
    """Merge these, or only say what would come of it."""
    paths = [path / "ledger.db" if os.path.isdir(path) else path for path in files]
    taken = _rehearsed(home, paths) if is_dry else _merged(home, paths)
    if as_json:
        show_json({"dry_run": is_dry, "ledgers": [as_dict(one) for one in taken]})
        return
    for one in taken:
        for line in in_words(one, is_dry=is_dry):
            tell(line)
    if is_dry:
        tell("a dry run, so nothing was merged")


def _rehearsed(home: Home, paths: Sequence[Path]) -> list[Taken]:
    with glance(home.ledger) if home.ledger.exists() else nullcontext() as ours:
        return rehearse(ours, paths)


def _merged(home: Home, paths: Sequence[Path]) -> list[Taken]:
    for path in paths:  # before a home is made for nothing
        require_other(path, home.ledger)
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        _empty_inbox(at)
        return take_in(at.ledger, paths)


def _empty_inbox(at: Desk) -> None:
    """Take up what names studies by numbers, which a merge may change."""
    now = at.clock.stamp()
    for take_up in (withdrawal.take_up, taken_up, remarks.take_up):
        for message in take_up(at.ledger, at.home, now):
            at.observer.say(message)
    if waiting := inbox.waiting(at.home):
        n = len(waiting)
        raise UserError(f"{n} {'idea waits' if n == 1 else 'ideas wait'} in {at.home.inbox} for a "
                        "vocabulary that no run here had yet; `agent run` takes them up, and a "
                        "merge, which numbers studies anew, comes after that")


def as_dict(taken: Taken) -> dict[str, Any]:
    """For JSON: the fields of Taken."""
    return dataclasses.asdict(taken)


def in_words(taken: Taken, *, is_dry: bool) -> Iterator[str]:
    """What came of one ledger, a sentence a line."""
    would, on = "would be " if is_dry else "", f" ({', '.join(taken.devices)})"
    came = [_counted(taken.new.get(table, 0), name) for table, name in NAMED.items()
            if taken.new.get(table)]
    if taken.n_renewed:
        came.append(f"news of {words.runs(taken.n_renewed)}")
    yield (f"{taken.path}{on if taken.devices else ''}: "
           + (f"{', '.join(came)} {would}added" if came else "nothing new"))
    if came:
        yield from _relabelled(taken.renamed, "there", is_dry)
    yield from _relabelled(taken.relabelled, "here", is_dry)
    for one in taken.conflicts:
        yield f"left alone: {one.what} {one.why}"
    if taken.own:
        yield f"of its own it has {', '.join(taken.own)}, which {_stay(len(taken.own))} there"
    if taken.n_left:
        yield (f"{_counted(taken.n_left, 'row')} {_stay(taken.n_left)} there, since what "
               f"{'it points' if taken.n_left == 1 else 'they point'} to was deleted by hand")


def _relabelled(labels: dict[str, str], where: str, is_dry: bool) -> Iterator[str]:
    if labels:
        told = ", ".join(f"{old} → {new}" for old, new in list(labels.items())[:MOST])
        more = f" and {len(labels) - MOST} more" if len(labels) > MOST else ""
        yield (f"labels {where} that {'would get' if is_dry else 'got'} a home's letter, since an "
               f"older home has them: {told}{more}")
        if where == "here":
            yield ("these are your own runs: the home that began first keeps its labels, whichever "
                   "is merged into which; only their names change, and `agent show` takes the new "
                   "ones")


def _counted(n: int, name: str) -> str:
    return f"{n:,} {name if n == 1 else PLURALS.get(name, name + 's')}"


def _stay(n: int) -> str:
    return "stays" if n == 1 else "stay"

