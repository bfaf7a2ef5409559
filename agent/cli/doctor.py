"""`agent doctor`: what on this machine will spoil a night."""

import dataclasses

import click
from rich.console import Console

from agent.cli.main import main
from agent.cli.read import PAGE_WIDTH
from agent.cli.status import as_json_option, show_json
from agent.doctor import Probe, examine, render, steps, told_failures
from agent.home import Home
from engine.errors import UserError


@main.command()
@as_json_option
@click.pass_obj
def doctor(home: Home, as_json: bool) -> None:
    """Check what on this machine could spoil a night.

    Example:  agent doctor
    """
    checks = examine(steps(Probe(), home))
    if as_json:
        show_json([dataclasses.asdict(check) for check in checks])
    else:
        click.echo(render(checks, min(PAGE_WIDTH, Console().width)))
    if told := told_failures(checks):
        raise UserError(told)
