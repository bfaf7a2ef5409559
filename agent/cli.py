"""The command line: the group, its home folder and how errors are told.

Commands live in cli_run (what acts), cli_read (what only looks) and cli_doctor. Data goes to
stdout, talk to stderr. Exit status: 0 done, 1 failed with one sentence, 2 misused.
"""

import io
import sys
from pathlib import Path
from typing import Any

import click

from agent.paths import Home
from engine.errors import UserError


class Group(click.Group):
    """A group whose commands may raise UserError: one sentence, exit 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"agent: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("agent: stopped; the same command goes on", err=True)
            ctx.exit(1)
        except BrokenPipeError:  # `agent runs | head`
            sys.stderr.close()
            ctx.exit(0)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), default=Path("."),
              envvar="AGENT_HOME", show_default="current directory, or AGENT_HOME",
              help="Folder with the ledger, runs/ and data/.")
@click.version_option(package_name="phi-auto")
@click.pass_context
def main(ctx: click.Context, home: Path) -> None:
    """Train tiny language models all night, and believe the numbers in the morning.

    Start with:  agent run --for 4m
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a sign gets "?"
            stream.reconfigure(errors="replace")
    ctx.obj = Home(home.absolute())


def register() -> None:
    """Add every command to the group."""
    from agent import cli_doctor, cli_read, cli_run
    assert all((cli_doctor, cli_read, cli_run))


register()
