"""Commands that only look: table, runs, show, log, path, baselines.

The ledger is opened read-only, and nothing is written but by `agent table --write`.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console

from agent.cli.given import COUNT, GivenPath
from agent.cli.main import main
from agent.cli.options import complete_studies, run_argument, which_run
from agent.cli.sought import Sought, sought
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import tell
from agent.home import Home
from agent.ledger import (
    ENDED,
    Reader,
    Remark,
    Run,
    State,
    find_run,
    remarks,
    study_of,
    with_remarks,
)
from agent.show import detail, markdown, report, run_log, uniform_bpb, write_table
from agent.trial import sampler
from agent.words import printable
from engine.errors import UserError

PAGE_WIDTH = 100  # longer lines of prose are hard to read


def page_width() -> int:
    return min(PAGE_WIDTH, Console().width)


@main.command()
@click.option("--write", "path", type=GivenPath(dir_okay=False), metavar="FILE",
              help="Replace the table between the markers of a Markdown file.")
@as_json_option
@click.pass_obj
def table(home: Home, path: Path | None, as_json: bool) -> None:
    """Print the experiment table in Markdown.

    Example:  agent table --write DEVLOG.md
    """
    if path and as_json:
        raise click.UsageError("--write writes Markdown; leave out --json")
    with Reader.open(home.ledger) as ledger:
        rows = with_remarks(ledger, ledger.experiments())
    if path:
        is_new = write_table(path, rows)
        tell(f"{path}: {len(rows)} rows, {'updated' if is_new else 'as before'}")
    elif as_json:
        show_json(rows)
    else:
        click.echo(markdown(rows))


@main.command()
@click.option("--state", type=click.Choice(get_args(State)), help="Only runs in this state.")
@click.option("--search", "text", metavar="TEXT",
              help="Only runs with all these words in label, note, reason or configuration.")
@click.option("--starred", is_flag=True, help="Only runs of `agent star`.")
@click.option("--limit", type=COUNT, metavar="N", help="Only the newest N.")
@click.option("--study", type=COUNT, metavar="N", shell_complete=complete_studies,
              help="Only runs of this study.")
@as_json_option
@click.pass_obj
def runs(home: Home, /, study: int | None, as_json: bool, **which: Any) -> None:
    """List the runs, the newest last.

    Example:  agent runs --state finished --limit 10
    """
    with Reader.open(home.ledger) as ledger:
        noted = remarks(ledger)
        # Oldest first, so that the newest verdict on a run is the one that stays.
        verdicts = {one.run_id: one.verdict for one in reversed(ledger.decisions())}
        found = _runs(ledger, study, sought(noted, verdicts, **which))
    if as_json:
        show_json([dataclasses.asdict(run)
                   | dataclasses.asdict(noted.get(run.id, Remark())) for run in found])
    else:
        click.echo(report.run_list(found, verdicts, Console().width, noted))


def _runs(ledger: Reader, study: int | None, wanted: Sought) -> list[Run]:
    """Those of all runs that are wanted, or of a study's, the newest last."""
    if study is None and not wanted.is_narrow:
        return ledger.runs(wanted.state, wanted.limit, newest_first=True)[::-1]
    number = None if study is None else study_of(ledger, study).id
    found = [run for run in ledger.runs(wanted.state)
             if number in (None, run.calibration_id) and wanted.has(run)]
    return found[-wanted.limit:] if wanted.limit else found


@main.command()
@run_argument
@which_run
@as_json_option
@click.pass_obj
def show(home: Home, /, as_json: bool, **which: Any) -> None:
    """Show one run whole, with its decision and why.

    Example:  agent show best
    """
    with Reader.open(home.ledger) as ledger:
        found = detail(ledger, find_run(ledger, **which))
    if as_json:
        show_json(found.as_dict())
        return
    sample_text = run_log.last_sample(home.run(found.run.uid))
    click.echo(report.run_page(found, sample_text, page_width()))


@main.command()
@run_argument
@which_run
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on until the run ends.")
@as_json_option
@click.pass_obj
def log(home: Home, /, follows: bool, as_json: bool, **which: Any) -> None:
    """Print what a run logged, or follow it.

    Example:  agent log E12 -f
    """
    if follows and as_json:
        raise click.UsageError("-f prints lines as they come; leave out --json")
    with Reader.open(home.ledger) as ledger:
        run = find_run(ledger, **which)
    if follows and run.state not in ENDED:
        follow_log(home, run, click.echo)
        return
    events, printed = _log_of(home, run)
    if as_json:
        show_json(events)
        return
    for text in _lines(events, printed):
        click.echo(text)


def _log_of(home: Home, run: Run) -> tuple[list[run_log.LogEvent], str]:
    """Events and printed output of a run; UserError where it left neither."""
    folder = home.run(run.uid)
    events, printed = run_log.read(folder)[0], run_log.output(folder)
    if not events and not printed:
        raise UserError(f"{run.label} ({run.state}) has no log at {folder.events}; a run has one "
                        "once it was started, on the device that ran it")
    return events, printed


def _lines(events: Iterable[run_log.LogEvent], printed: str) -> Iterator[str]:
    width = page_width()
    for event in events:
        yield run_log.line(event, width)
    if printed:
        yield f"output\n{printable(printed)}"


def follow_log(home: Home, run: Run, say: Callable[[str], Any],
               sleep: Callable[[float], None] = time.sleep) -> None:
    """Say each line as it comes, until the run ends or Ctrl-C."""
    folder = home.run(run.uid)

    def has_ended() -> bool:
        with Reader.open(home.ledger) as ledger:
            return ledger.run(run.id).state in ENDED

    if run.state == "queued":
        tell(f"{run.label} is queued; waiting until it starts, Ctrl-C ends this")
    try:
        for text in _lines(run_log.follow(folder, has_ended, sleep), ""):
            say(text)
        for text in _lines([], run_log.output(folder)):
            say(text)
    except KeyboardInterrupt:
        return


@main.command("path")
@run_argument
@which_run
@as_json_option
@click.pass_obj
def model_path(home: Home, /, as_json: bool, **which: Any) -> None:
    """Print where the model of a run lies, to load it in Python.

    Example:  agent path best
    """
    with Reader.open(home.ledger) as ledger:
        run = find_run(ledger, **which)
    folder = home.run(run.uid)
    sampler.require_model(run, folder)
    if as_json:
        show_json({"label": run.label, "path": str(folder.root)})
    else:
        click.echo(folder.root)


@main.command()
@as_json_option
@click.pass_obj
def baselines(home: Home, as_json: bool) -> None:
    """Print the n-gram yardsticks of each corpus.

    Example:  agent baselines
    """
    with Reader.open(home.ledger) as ledger:
        found = ledger.corpora()
    if as_json:
        show_json([dataclasses.asdict(corpus) | {"uniform_bpb": uniform_bpb(corpus)}
                    for corpus in found])
    else:
        click.echo(report.baselines(found))
