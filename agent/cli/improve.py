"""`agent improve`: go on from a run's model with preferences, measured before and after."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agent.cli.given import SEED, Finite, GivenPath
from agent.cli.main import main
from agent.cli.options import complete_fields, run_argument, which_run
from agent.cli.progress import Screen
from agent.cli.status import as_json_option, show_json
from agent.home import Home
from agent.ledger import Ledger, Run, find_run, in_words, measures
from agent.machine import guard, machine
from agent.night import Improving, desk, improve_by_pairs
from agent.words import typed as units
from engine.alignment import PAIRWISE, Recipe, read_pairs
from engine.errors import UserError

_USUAL = Recipe()


def _how_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the model learns from, and how."""
    for option in reversed([
        click.option("--pairs", metavar="FILE", type=GivenPath(exists=True, dir_okay=False),
                     required=True, help='JSON lines: {"prompt": …, "chosen": …, "rejected": …}.'),
        click.option("--skip-broken", is_flag=True,
                     help="Pass over broken lines of the file, and say how many."),
        click.option("--loss", type=click.Choice(PAIRWISE), default=_USUAL.loss,
                     show_default=True, help="What is minimised on the pairs."),
        click.option("--beta", type=Finite(), default=_USUAL.beta, show_default=True,
                     help="How strongly it is held to the model it begins from."),
        click.option("--epochs", "n_epochs", type=Finite(min=0, min_open=True, max=1000),
                     default=1.0, show_default=True, help="Passes over what it learns from."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                     shell_complete=complete_fields,
                     help="Change a field of its training, such as lr; may be repeated."),
        click.option("--seed", type=SEED, default=0, show_default=True,
                     help="Seed of the order of what it learns from."),
        click.option("--replicas", "n_replicas", type=click.IntRange(1, 64),
                     help="Processes that share the training.  [default: cores]"),
        click.option("--max-ram", metavar="SIZE", help="End it where it takes more memory.  "
                     "[default: 3G, or half of the machine]"),
    ]):
        command = option(command)
    return command


@main.command()
@run_argument
@which_run
@click.option("--by", type=click.Choice(["dpo"]), required=True, help="dpo: pairs of answers.")
@_how_options
@as_json_option
@click.pass_obj
def improve(home: Home, /, by: str, as_json: bool, **options: Any) -> None:
    """Go on from the model of a run with preferences, measured before and after.

    Example:  agent improve best --by dpo --pairs pairs.jsonl
    """
    which = {name: options.pop(name) for name in ("key", "study", "of_all")}
    asked, remark = _asked(options)
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        if remark:
            screen.say(remark)
        found = improve_by_pairs(at, find_run(at.ledger, **which), asked)
        _tell(at.ledger, found, as_json=as_json)


def _asked(options: dict[str, Any]) -> tuple[Improving, str]:
    """The options as one value, and what is to be said of the file."""
    file: Path = options["pairs"]
    given = read_pairs(file.read_bytes(), str(file), skip_broken=options["skip_broken"])
    max_ram = options["max_ram"]
    asked = Improving(
        recipe=Recipe(options["loss"], options["beta"]), pairs=given.pairs, name=file.name,
        settings=options["settings"], n_epochs=options["n_epochs"], seed=options["seed"],
        n_replicas=options["n_replicas"] or machine.n_cores(),
        max_ram_mb=units.megabytes(max_ram) if max_ram else guard.default_max_ram_mb())
    return asked, "" if not given.n_broken else (
        f"{given.n_broken} broken lines passed over, the first: {given.first_broken}")


def _tell(ledger: Ledger, run: Run, *, as_json: bool) -> None:
    """What became of the run: its measures, or why it has none."""
    found = measures(ledger, run.id)
    if as_json:
        show_json({**dataclasses.asdict(run), "measures": found})
    if run.state == "queued":
        raise UserError(f"{run.label} was stopped at a checkpoint; the same command goes on")
    if run.state != "finished":
        raise UserError(f"{run.label} {run.state}: {run.error}")
    if not as_json:
        click.echo(f"{run.label}: " + in_words(found).replace("; ", "\n  "))
