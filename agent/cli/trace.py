"""`agent trace`: which layer broke a run, or how its blocks fared."""

from typing import Any

import click

from agent.cli.main import main
from agent.cli.options import run_argument, which_run
from agent.cli.read import page_width
from agent.cli.status import as_json_option, show_json
from agent.home import Home
from agent.ledger import Reader, find_run
from agent.show import trace_page, traced


@main.command()
@run_argument
@which_run
@as_json_option
@click.pass_obj
def trace(home: Home, /, as_json: bool, **which: Any) -> None:
    """Say which layer broke a run first and why, or how it fares.

    Example:  agent trace E12
    """
    with Reader.open(home.ledger) as ledger:
        found = traced(ledger, find_run(ledger, **which))
    if as_json:
        show_json(found.as_dict())
    else:
        click.echo(trace_page(found, page_width()))
