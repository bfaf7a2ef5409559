"""`agent note` and `agent star`: a person's words on runs, which every list then shows."""

import dataclasses

import click

from agent.cli.main import main
from agent.cli.options import complete_labels, run_argument
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import show, tell
from agent.cli.withdraw import emptied
from agent.home import Home
from agent.ledger import Reader, find_run, remark_on
from agent.night import remarks
from engine.errors import UserError

LATER = "left in the inbox: the agent at work writes it down"


@main.command()
@run_argument
@click.argument("text", nargs=-1)
@click.option("--replace", "replaces", is_flag=True, help="In place of what is noted there.")
@click.option("--clear", "clears", is_flag=True, help="Remove what is noted there.")
@as_json_option
@click.pass_obj
def note(home: Home, key: str, text: tuple[str, ...], replaces: bool, clears: bool,
         as_json: bool) -> None:
    """Note something on a run, a line below what is there; without TEXT, print the note.

    Example:  agent note E12 "the one to try with more data"
    """
    words = remarks.cleaned(" ".join(text))
    if clears and (words or replaces):
        raise click.UsageError("--clear removes the note; give it alone")
    if not (words or clears):
        if text or replaces:
            raise UserError("the note is empty; --clear removes what is there")
        _show(home, key, as_json)
        return
    _ask(home, (key,), remarks.Asked("", "", "clear" if clears else "replace" if replaces
                                     else "add", words))


@main.command()
@click.argument("keys", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_labels)
@click.option("--remove", "removes", is_flag=True, help="Take the star away.")
@click.pass_obj
def star(home: Home, keys: tuple[str, ...], removes: bool) -> None:
    """Mark runs, so that `agent runs --starred` finds them again.

    Example:  agent star E12 E15
    """
    _ask(home, keys, remarks.Asked("", "", is_starred=not removes))


def _show(home: Home, key: str, as_json: bool) -> None:
    with Reader.open(home.ledger) as ledger:
        run = find_run(ledger, key)
        remark = remark_on(ledger, run.id)
    if as_json:
        show_json({"label": run.label} | dataclasses.asdict(remark))
    elif remark.note:
        show(remark.note)
    else:
        tell(f"nothing is noted on {run.label}")


def _ask(home: Home, keys: tuple[str, ...], wanted: remarks.Asked) -> None:
    """Leave it for each run, and say what became of it; all are looked at before one is written."""
    home.require_writable()
    with Reader.open(home.ledger) as ledger:
        runs = {run.id: run for run in (find_run(ledger, key) for key in keys)}.values()
        asked = [dataclasses.replace(wanted, uid=run.uid, label=run.label) for run in runs]
        for run, one in zip(runs, asked, strict=True):
            one.on(remark_on(ledger, run.id))
    for one in asked:
        remarks.leave(home, one)
    for message in emptied(home, remarks.take_up) or [LATER]:
        tell(message)
