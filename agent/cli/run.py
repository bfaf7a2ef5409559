"""Commands that act: run, train, grid, import, and what is said to a running daemon."""

import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agent.cli.main import main
from agent.cli.options import complete_fields, complete_studies, complete_text
from agent.cli.progress import Screen
from agent.home import Home, holder, send_command
from agent.ledger import GENERATED, Ledger
from agent.machine import COOLER_C, Limits, guard, parse_window
from agent.night import Wish, desk, end_pause, queue_grid, run_night, train_once
from agent.trial import Source
from agent.words import typed as units
from engine.errors import UserError
from strategies.grid import parse_tokens

Command = Callable[..., Any]


def _text_options(command: Command) -> Command:
    """--corpus, --valid, --stories, --set, --seed, --max-ram: what every run depends on."""
    for option in reversed([
        click.option("--corpus", metavar="NAME|FILE", shell_complete=complete_text,
                     help="builtin, tinystories, or a .txt or .jsonl file.  "
                          "[default: the last study's, at first builtin]"),
        click.option("--valid", type=click.Path(path_type=Path),
                     help="File to validate on, instead of stories held out of the corpus."),
        click.option("--stories", type=click.IntRange(min=4),
                     help="How many stories to write or download."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                     shell_complete=complete_fields,
                     help="Change a field of the configuration; may be repeated."),
        click.option("--seed", type=click.IntRange(min=0),
                     help="Seed of initialisation, data order and proposals.  "
                          "[default: the last study's, at first 0]"),
        click.option("--replicas", "n_replicas", type=click.IntRange(1, 64),
                     help="Processes that share a run's training.  [default: cores]"),
        click.option("--max-ram", metavar="SIZE", help="End a run whose processes take more "
                     "memory.  [default: 3G, or half of the machine]"),
    ]):
        command = option(command)
    return command


def _wish(home: Home, options: dict[str, Any]) -> Wish:
    """The options of run, train and grid as one value."""
    is_text_given = any(options[name] is not None for name in ("corpus", "valid", "stories"))
    what = options["corpus"] or "builtin"
    if what not in GENERATED:
        what = str(Path(what).absolute())
    valid = options["valid"] and str(options["valid"].absolute())
    source = Source(str(home.data), what, valid, options["stories"])
    given = {name: options[name] for name in
             ("max_runs", "steps", "eval_every", "n_replicas", "study", "seed")
             if options.get(name) is not None}
    for name in ("night_s", "run_s"):
        if options.get(name):
            given[name] = units.seconds(options[name])
    if options.get("run_tokens"):
        given["run_tokens"] = parse_tokens(options["run_tokens"])
    max_ram = options["max_ram"]
    max_ram_mb = units.megabytes(max_ram) if max_ram else guard.default_max_ram_mb()
    return Wish(source, max_ram_mb, options["settings"], is_text_given=is_text_given,
                is_corpus_given=options["corpus"] is not None, is_seed_given="seed" in given,
                **given)


@main.command()
@click.option("--for", "night_s", metavar="TIME", help="How long, such as 8h; else until stopped.")
@click.option("--runs", "max_runs", type=click.IntRange(min=1), help="End after so many runs.")
@click.option("--once", is_flag=True, help="Do exactly one run.")
@click.option("--run-for", "run_s", metavar="TIME",
              help="Length of a run, which fixes the token budget.  [default: 10m at most]")
@click.option("--run-tokens", metavar="N", help="Token budget of a run, such as 2M.")
@click.option("--min-battery", type=float, default=30.0, show_default=True, metavar="PERCENT",
              help="Wait below this charge, unless it charges; 0 is no limit.")
@click.option("--max-heat", type=float, default=40.0, show_default=True, metavar="°C",
              help=f"Wait at this temperature of the battery; go on {COOLER_C:g} °C below.")
@click.option("--window", metavar="HH:MM-HH:MM", help="Work only in these hours: 22:00-07:00.")
@click.option("--only-charging", is_flag=True, help="Work only while the device charges.")
@click.option("--study", type=click.IntRange(min=1), metavar="N", shell_complete=complete_studies,
              help="Go on with this study, which `agent studies` lists.")
@click.option("--no-prior", is_flag=True,
              help="Find ideas without what other studies found.")
@_text_options
@click.pass_obj
def run(home: Home, /, once: bool, **options: Any) -> None:
    """Run experiments until the time is over or you say stop.

    Example:  agent run --for 8h --corpus tinystories
    """
    if options["run_s"] and options["run_tokens"]:
        raise click.UsageError("--run-for and --run-tokens both fix the budget; give one")
    if once:
        options["max_runs"] = 1
    window = options["window"]
    limits = Limits(min_battery=options["min_battery"], stop_c=options["max_heat"],
                    window=parse_window(window) if window else None,
                    only_charging=options["only_charging"])
    wish = dataclasses.replace(_wish(home, options), limits=limits,
                               with_prior=not options["no_prior"])
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        run_night(at, wish)


@main.command()
@click.option("--run-tokens", metavar="N", help="Token budget, such as 2M.")
@click.option("--steps", type=click.IntRange(min=1), help="Token budget in optimizer steps.")
@click.option("--run-for", "run_s", metavar="TIME",
              help="Budget by this device's measured speed.  [default: 10m]")
@click.option("--eval-every", type=click.IntRange(min=1), metavar="STEPS",
              help="Steps between validations.  [default: a tenth of the training's cost]")
@click.option("--json", "as_json", is_flag=True, help="Print the finished run as JSON.")
@_text_options
@click.pass_obj
def train(home: Home, /, as_json: bool, **options: Any) -> None:
    """Train one configuration by hand, through the path every run takes.

    Example:  agent train --corpus stories.txt --steps 500 --set lr=1e-3
    """
    if sum(options[name] is not None for name in ("run_tokens", "steps", "run_s")) > 1:
        raise click.UsageError("--run-tokens, --steps and --run-for all fix the budget; give one")
    wish = _wish(home, options)
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        found = train_once(at, wish)
        report = _report(at.ledger, found.id)
    if as_json:
        click.echo(json.dumps(report))
    if found.state == "queued":
        raise UserError(f"{found.label} was stopped at a checkpoint; the same command goes on")
    if found.state != "finished":
        raise UserError(f"{found.label} {found.state}: {found.error}")
    if not as_json:
        click.echo(f"{found.label}: {found.val_loss:.4f} nats/token, {found.val_bpb:.4f} "
                   f"bits/byte; agent show {found.label} has the rest")


def _report(ledger: Ledger, run_id: int) -> dict[str, Any]:
    """A run's row, its corpus's yardsticks in nats/token and its validation curve."""
    found = ledger.run(run_id)
    corpus = ledger.corpus(found.corpus_id or 0)
    yardsticks = {name: getattr(corpus, f"{name}_nats")
                  for name in ("uniform", "unigram", "bigram", "trigram")}
    curve = [[metric.step, metric.val_loss] for metric in ledger.metrics(run_id)
             if metric.val_loss is not None]
    return {**dataclasses.asdict(found), "yardsticks": yardsticks,
            "corpus": dataclasses.asdict(corpus), "curve": curve}


@main.command()
@click.option("--sizes", required=True, metavar="LIST", help="Such as 64d/2L,128d/4L or 300k,1.3M.")
@click.option("--tokens", required=True, metavar="LIST", help="Such as 100k,400k,1.6M.")
@click.option("--dry-run", is_flag=True, help="Show the cells and queue nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@_text_options
@click.pass_obj
def grid(home: Home, /, sizes: str, tokens: str, dry_run: bool, as_json: bool,
         **options: Any) -> None:
    """Plan a size × data grid; agent run executes it before it mutates.

    Example:  agent grid --sizes 64d/2L,128d/4L --tokens 200k,800k
    """
    wish = _wish(home, options)
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        plan = queue_grid(at, wish, sizes.split(","), tokens.split(","), is_dry=dry_run)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(plan)))
        return
    for cell in plan.cells:
        click.echo(f"{cell.size:>10} {cell.budget_tokens:>12,}  {cell.config.describe()}")
    for skipped in plan.skipped:
        click.echo(f"{skipped.size:>10} {skipped.budget_tokens:>12,}  left out: {skipped.reason}")
    text = [word for name in ("corpus", "valid", "stories")
            if options[name] is not None
            for word in (f"--{name}", str(options[name]))]
    command = shlex.join(["agent", "run", *text])
    word = "would be queued" if dry_run else f"queued; `{command}` executes them"
    click.echo(f"{len(plan.cells)} cells {word}", err=True)


@main.command()
@click.pass_obj
def pause(home: Home) -> None:
    """Save what runs and wait, until agent resume.

    Example:  agent pause
    """
    _tell(home, "pause", "it saves what runs, then waits for `agent resume`")


@main.command()
@click.pass_obj
def resume(home: Home) -> None:
    """Go on after agent pause.

    Example:  agent resume
    """
    if holder(home.lock) is None and home.ledger.exists():
        with Screen() as screen, desk(home, screen, screen.stage) as at:
            if end_pause(at):
                click.echo("no agent runs; the next one will not be paused", err=True)
                return
    _tell(home, "resume", "it goes on from the checkpoint")


@main.command()
@click.pass_obj
def stop(home: Home) -> None:
    """End the running agent at a checkpoint.

    Example:  agent stop
    """
    _tell(home, "stop", "it saves what runs and ends; `agent run` goes on from there")


def _tell(home: Home, command: str, effect: str) -> None:
    pid = holder(home.lock)
    if pid is None:
        raise UserError(f"no agent runs in {home.root}, so there is nothing to {command}")
    send_command(home.control, command)
    click.echo(f"told the agent (pid {pid}): {effect}", err=True)


@main.command("import")
@click.argument("csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def import_(home: Home, csv: Path) -> None:
    """Add the rows of a published experiment table to the ledger.

    Example:  agent import published.csv
    """
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        n = at.ledger.import_published(csv.read_text(encoding="utf-8"), at.clock.stamp())
    click.echo(f"{n} rows added", err=True)
