"""`agent status`, which is asked so often that it imports only what it shows with."""

import dataclasses
import json
from typing import Any

import click

from agent.cli.main import main
from agent.home import Home, holder
from agent.ledger import Reader, Run
from agent.machine import present, utc_stamp
from agent.show import Status, gather, run_log
from agent.words import PLAIN
from engine.errors import UserError

as_json_option = click.option("--json", "as_json", is_flag=True,
                              help="Print one JSON value and nothing else.")


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, allow_nan=False))


@main.command()
@click.option("--watch", is_flag=True, help="Refresh every 2 seconds until Ctrl-C.")
@as_json_option
@click.pass_obj
def status(home: Home, watch: bool, as_json: bool) -> None:
    """Show what runs now, the best so far and the last decisions.

    Example:  agent status --watch
    """
    if as_json and not watch:
        show_json(dataclasses.asdict(_status(home)))
        return
    from rich.console import Console  # --json does without

    from agent.show import dashboard
    console = Console()
    if console.width < 1:  # COLUMNS=0, for which rich shows nothing
        console.width = PLAIN
    if watch and (as_json or not console.is_terminal):
        raise click.UsageError("--watch draws on a terminal; leave it out for --json or a pipe")
    if watch:
        dashboard.watch(lambda: _status(home), console)
    else:
        console.print(dashboard.render(_status(home), console.width))


def _status(home: Home) -> Status:
    def read_sample(run: Run) -> str | None:
        try:
            return run_log.last_sample(home.run(run.uid))
        except UserError:
            return None  # it cannot be read, and the rest can

    with Reader.open(home.ledger) as ledger:
        return gather(ledger, utc_stamp(), is_daemon_alive=holder(home.lock) is not None,
                      read_mb=_group_mb, present=present.read(home.guard), home=str(home.root),
                      read_sample=read_sample)


def _group_mb(pid: int) -> float | None:
    from agent.machine import guard  # and psutil, only where something runs

    return guard.group_mb(pid)
