"""Commands that act: run, train, grid, import, and what is said to a running daemon."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agent.cli.clustered import cluster_option, clustered, settle
from agent.cli.families import family_options, settings_of, sizes_of
from agent.cli.given import COUNT, GivenPath, GivenText
from agent.cli.grid import crossing_of, crossing_options, say_grid
from agent.cli.limits import limit_options, limits_of
from agent.cli.main import main
from agent.cli.notify import hooks_of, notify_options
from agent.cli.options import (
    complete_families,
    complete_studies,
    complete_text,
    training_options,
)
from agent.cli.progress import Screen
from agent.cli.talk import show, tell
from agent.home import Home, holder, send_command
from agent.ledger import (
    GENERATED,
    Ledger,
    Reader,
    last_state,
)
from agent.machine import guard
from agent.night import (
    Wish,
    desk,
    end_pause,
    foresee_grid,
    queue_grid,
    run_night,
    train_once,
)
from agent.trial import Source
from agent.words import typed as units
from engine.errors import UserError
from strategies.families import FAMILIES
from strategies.grid import parse_tokens

Command = Callable[..., Any]


def text_options(command: Command) -> Command:
    """--corpus and how it is read, --set, --seed, --max-ram: what every run depends on."""
    command = training_options("Seed of initialisation, data order and proposals.  "
                               "[default: the last study's, at first 0]")(command)
    for option in reversed([
        click.option("--corpus", type=GivenText(), metavar="NAME|PATH",
                     shell_complete=complete_text,
                     help="builtin, sums, tinystories, a text, JSON lines, .parquet or a folder.  "
                          "[default: the last study's, at first builtin]"),
        click.option("--valid", type=GivenPath(),
                     help="File to validate on, instead of stories held out of the corpus."),
        click.option("--key", metavar="NAME",
                     help="Where the text is in JSON and .parquet.  [default: text]"),
        click.option("--skip-broken", is_flag=True,
                     help="Pass over broken lines of JSON, and say how many."),
        click.option("--stories", type=click.IntRange(4, COUNT.max),
                     help="How many stories to write or download."),
    ]):
        command = option(command)
    return command


def _talk_options(command: Command) -> Command:
    """--quiet and --verbose: how much is said on stderr."""
    for option in reversed([
        click.option("--quiet", is_flag=True,
                     help="Say only how it begins, what is confirmed, how it ends, and errors."),
        click.option("--verbose", is_flag=True,
                     help="Say the whole reason of every run, and when each begins."),
    ]):
        command = option(command)
    return command


def _screen(options: dict[str, Any]) -> Screen:
    """The screen that --quiet or --verbose asks for."""
    quiet, verbose = options.pop("quiet"), options.pop("verbose")
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other; give one")
    return Screen(level="always" if quiet else "verbose" if verbose else "usual")


def wish_of(home: Home, options: dict[str, Any]) -> Wish:
    """The options of run, train and grid as one value."""
    is_text_given = any(options[name] is not None for name in ("corpus", "valid", "stories"))
    what = options["corpus"] or "builtin"
    if what not in GENERATED:
        what = str(Path(what).absolute())
    valid = options["valid"] and str(options["valid"].absolute())
    source = Source(str(home.data), what, valid, options["stories"], key=options["key"],
                    skip_broken=options["skip_broken"])
    given = {name: options[name] for name in
             ("max_runs", "steps", "eval_every", "n_replicas", "n_trials", "study", "seed")
             if options.get(name) is not None}
    for name in ("night_s", "run_s", "harvest_s"):
        if options.get(name):
            is_none = name == "harvest_s" and options[name] in ("0", "0s", "0m", "0h")
            given[name] = 0.0 if is_none else units.seconds(options[name])
    if options.get("run_tokens"):
        given["run_tokens"] = parse_tokens(options["run_tokens"])
    max_ram = options["max_ram"]
    max_ram_mb = units.megabytes(max_ram) if max_ram else guard.default_max_ram_mb()
    settings = settings_of(options.get("family"), options.get("params"), options["settings"])
    return Wish(source, max_ram_mb, settings, is_text_given=is_text_given,
                is_corpus_given=options["corpus"] is not None, is_seed_given="seed" in given,
                is_replicas_given="n_replicas" in given,
                are_cores_given=bool(options.get("cores")), **given)


@main.command()
@click.option("--for", "night_s", metavar="TIME", help="How long, such as 8h; else until stopped.")
@click.option("--harvest", "harvest_s", metavar="TIME",
              help="Kept of its end to grow what is confirmed; 0 is none.  [default: a quarter, "
                   "from an hour on; none with --runs]")
@click.option("--runs", "max_runs", type=COUNT, help="End after so many runs.")
@click.option("--once", is_flag=True, help="Do exactly one run.")
@click.option("--trials", "n_trials", type=click.IntRange(1, 1000), metavar="K",
              help="Runs at once, which share the cores.  [default: what `agent doctor --bench` "
                   "found best, else 1]")
@click.option("--run-for", "run_s", metavar="TIME",
              help="Length of a run, which fixes the token budget.  [default: 10m at most]")
@click.option("--run-tokens", metavar="N", help="Token budget of a run, such as 2M.")
@limit_options
@click.option("--study", type=COUNT, metavar="N", shell_complete=complete_studies,
              help="Go on with this study, which `agent studies` lists.")
@click.option("--no-prior", is_flag=True,
              help="Find ideas without what other studies found.")
@click.option("--portable", is_flag=True,
              help="Only ideas whose models hf and gguf can say: llama.cpp runs them.")
@cluster_option
@notify_options
@_talk_options
@family_options
@text_options
@click.pass_obj
def run(home: Home, /, once: bool, **options: Any) -> None:
    """Run experiments until the time is over or you say stop.

    Example:  agent run --for 8h --corpus tinystories
    """
    if once:
        options["max_runs"] = 1
    cluster = settle(options)
    wish = require_sense(home, options)
    with _screen(options) as screen, desk(home, screen, screen.stage) as at, (
            clustered(at, cluster, wish)) as asked:
        run_night(at, asked)


def require_sense(home: Home, options: dict[str, Any]) -> Wish:
    """The options of a night as one value; one sentence where they make no sense."""
    if options["run_s"] and options["run_tokens"]:
        raise click.UsageError("--run-for and --run-tokens both fix the budget; give one")
    return dataclasses.replace(wish_of(home, options), limits=limits_of(options),
                               with_prior=not options["no_prior"],
                               is_portable=options["portable"],
                               hooks=hooks_of(home, options))


@main.command()
@click.option("--run-tokens", metavar="N", help="Token budget, such as 2M.")
@click.option("--steps", type=COUNT, help="Token budget in optimizer steps.")
@click.option("--run-for", "run_s", metavar="TIME",
              help="Budget by this device's measured speed.  [default: 10m]")
@click.option("--eval-every", type=COUNT, metavar="STEPS",
              help="Steps between validations.  [default: a tenth of the training's cost]")
@click.option("--json", "as_json", is_flag=True, help="Print the finished run as JSON.")
@_talk_options
@family_options
@text_options
@click.pass_obj
def train(home: Home, /, as_json: bool, **options: Any) -> None:
    """Train one configuration by hand, through the path every run takes.

    Example:  agent train --corpus stories.txt --steps 500 --set lr=1e-3
    """
    if sum(options[name] is not None for name in ("run_tokens", "steps", "run_s")) > 1:
        raise click.UsageError("--run-tokens, --steps and --run-for all fix the budget; give one")
    wish = wish_of(home, options)
    with _screen(options) as screen, desk(home, screen, screen.stage) as at:
        found = train_once(at, wish)
        report = _report(at.ledger, found.id)
    if as_json:
        click.echo(json.dumps(report))
    if found.state == "queued":
        raise UserError(f"{found.label} was stopped at a checkpoint; the same command goes on")
    if found.state != "finished":
        raise UserError(f"{found.label} {found.state}: {found.error}")
    if not as_json:
        show(f"{found.label}: {found.val_loss:.4f} nats/token, {found.val_bpb:.4f} bits/byte; "
             f"agent show {found.label} has the rest")


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
@click.option("--sizes", metavar="LIST", help="Such as 64d/2L,128d/4L or 300k,1.3M.")
@click.option("--families", metavar="LIST", shell_complete=complete_families,
              help=f"In place of --sizes, with --params: {', '.join(FAMILIES)}.")
@click.option("--params", metavar="LIST", help="Parameters of each family's models: 100k,1M.")
@click.option("--tokens", required=True, metavar="LIST", help="Such as 100k,400k,1.6M.")
@crossing_options
@click.option("--dry-run", is_flag=True, help="Show the cells and queue nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@text_options
@click.pass_obj
def grid(home: Home, /, tokens: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Plan a size × data grid; agent run executes it before it mutates.

    Example:  agent grid --sizes 64d/2L,128d/4L --tokens 200k,800k
    """
    sizes = sizes_of(options.pop("sizes"), options.pop("families"), options.pop("params"))
    crossed = crossing_of(options)
    wish = wish_of(home, options)
    with Screen() as screen:
        if dry_run:
            found = foresee_grid(home, wish, sizes, tokens.split(","), screen.stage, crossed)
        else:
            with desk(home, screen, screen.stage) as at:
                found = queue_grid(at, wish, sizes, tokens.split(","), crossed)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
    else:
        say_grid(found, options, dry_run)


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
                tell("no agent runs; the next one will not be paused")
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
    if already := _already(home, command):
        tell(f"the agent (pid {pid}) {already}")
        return
    send_command(home.control, command)
    tell(f"told the agent (pid {pid}): {effect}")


def _already(home: Home, command: str) -> str:
    """What makes a word to the agent one too many; nothing where it is not, or nobody knows."""
    if not home.ledger.exists() or home.control.exists():  # another word is on its way
        return ""
    with Reader.open(home.ledger) as ledger:
        last = last_state(ledger.events_of_night())
    if command == "pause" and last and last.kind == "pause":
        return "is paused already; `agent resume` goes on"
    if command == "resume" and last and last.kind in ("night", "resume"):
        return "is not paused; it is at work"
    return ""
