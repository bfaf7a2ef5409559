"""`agent improve`: go on from a run's model with preferences, measured before and after."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from agent.cli.given import Finite, GivenPath
from agent.cli.main import main
from agent.cli.options import Command, run_argument, training_options, which_run
from agent.cli.progress import Screen
from agent.cli.read import page_width
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import show
from agent.home import Home
from agent.ledger import Run, find_run, measures
from agent.machine import guard
from agent.night import Improving, desk, improve_in_rounds
from agent.show import before_and_after
from agent.words import typed as units
from engine.alignment import PAIRWISE, Recipe, read_pairs
from engine.errors import UserError

_USUAL = Recipe()
MADE = "made"  # instead of a file: pairs of the model's own stories


def _how_options(command: Command) -> Command:
    """What the model learns from, and how."""
    command = training_options(
        "Seed of what is drawn and of the order it is learnt in.  [default: 0]")(command)
    for option in reversed([
        click.option("--pairs", metavar="FILE|made", type=GivenPath(dir_okay=False),
                     help='JSON lines {"prompt": …, "chosen": …, "rejected": …}; made: of its own '
                          "stories the one with fewer faults."),
        click.option("--skip-broken", is_flag=True,
                     help="Pass over broken lines of the file, and say how many."),
        click.option("--loss", type=click.Choice(PAIRWISE), default=_USUAL.loss,
                     show_default=True, help="What is minimised on the pairs."),
        click.option("--beta", type=Finite(), default=_USUAL.beta, show_default=True,
                     help="How strongly it is held to the model it begins from."),
        click.option("--epochs", "n_epochs", type=Finite(min=0, min_open=True, max=1000),
                     help="Passes over what it learns from.  [default: 1, of star 3]"),
        click.option("--n", type=click.IntRange(20, 1_000_000), default=500, show_default=True,
                     help="Pairs that are made, or problems that are worked, each round."),
        click.option("--rounds", "n_rounds", type=click.IntRange(1, 100), default=3,
                     show_default=True, help="Rounds of spin, at most, or of star."),
    ]):
        command = option(command)
    return command


@main.command()
@run_argument
@which_run
@click.option("--by", type=click.Choice(["dpo", "spin", "star"]), required=True,
              help="dpo: pairs of answers; spin: the text against the model's own; star: its own "
                   "right answers to --corpus sums.")
@click.option("--loop", "loops", is_flag=True, help="Rounds of dpo or spin, each kept only where "
              "held-out stories are better beyond the noise.")
@_how_options
@as_json_option
@click.pass_obj
def improve(home: Home, /, by: str, loops: bool, as_json: bool, **options: Any) -> None:
    """Go on from a run's model with preferences or its own right answers.

    Example:  agent improve best --by dpo --pairs made
    """
    which = {name: options.pop(name) for name in ("key", "study", "of_all")}
    if (by == "dpo") != (options["pairs"] is not None):
        raise click.UsageError("--by dpo needs --pairs, and no other takes them: give FILE or made")
    asked, remark = _asked(by, options)
    if loops and (asked.pairs or by == "star"):
        raise click.UsageError("--loop goes with --pairs made or --by spin, whose pairs are new "
                               "each round")
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        if remark:
            screen.say(remark)
        run = find_run(at.ledger, **which)
        runs = improve_in_rounds(at, run, dataclasses.replace(asked, loops=loops))
        found = [{**dataclasses.asdict(one), "measures": measures(at.ledger, one.id)}
                 for one in runs]
    _tell(found, runs[-1], as_json=as_json)  # once the bars are gone


def _asked(by: str, options: dict[str, Any]) -> tuple[Improving, str]:
    """The options as one value, and what is to be said of the file."""
    file: Path | None = options["pairs"]
    pairs, broken = ([], None) if file is None or str(file) == MADE else read_pairs(
        _bytes_of(file), str(file), skip_broken=options["skip_broken"])
    max_ram = options["max_ram"]
    asked = Improving(
        by=by, recipe=Recipe(options["loss"], options["beta"]), pairs=pairs,
        name=file.name if file else "", settings=options["settings"],
        n_epochs=options["n_epochs"] or (1.0 if by != "star" else 3.0), n=options["n"],
        n_rounds=options["n_rounds"], seed=options["seed"] or 0,
        n_replicas=options["n_replicas"] or 0,
        max_ram_mb=units.megabytes(max_ram) if max_ram else guard.default_max_ram_mb())
    return asked, "" if not broken or not broken.n else (
        f"{broken.n} broken lines passed over, the first: {broken.first}")


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; give a file of pairs, or made "
                        "for pairs of the model's own stories") from error


def _tell(found: list[dict[str, Any]], run: Run, *, as_json: bool) -> None:
    """What became of the last run, and the measures of each."""
    if as_json:
        show_json(found[0] if len(found) == 1 else found)
    if run.state == "queued":
        raise UserError(f"{run.label} was stopped at a checkpoint; the same command goes on")
    if run.state != "finished":
        raise UserError(f"{run.label} {run.state}: {run.error}")
    for one in [] if as_json else found:
        show(f"{one['label']}: {one['reason']}")
        click.echo("\n".join(before_and_after(one["measures"], page_width())))
