"""The command line: the group, its home folder and how errors are told.

Commands live in run (what acts), read (what only looks), compare, enqueue, simulate, status and
doctor; a module is imported when one of its commands is. Data goes to stdout, talk to stderr.
Exit status: 0 done, 1 failed with one sentence, 2 misused.
"""

import importlib
import io
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import click

from agent.home import Home
from engine.errors import UserError

# Where each command lives.
MODULES = {
    **dict.fromkeys(("run", "train", "grid", "pause", "resume", "stop", "import"),
                    "agent.cli.run"),
    **dict.fromkeys(("table", "runs", "show", "log", "path", "sample", "baselines"),
                    "agent.cli.read"),
    **dict.fromkeys(("compare", "importance", "lineage"), "agent.cli.compare"),
    "enqueue": "agent.cli.enqueue",
    "service": "agent.cli.service",
    "simulate": "agent.cli.simulate",
    "status": "agent.cli.status",
    "doctor": "agent.cli.doctor",
}


class Commands(MutableMapping[str, click.Command]):
    """Every command by its name, its module imported at the first look at it."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            importlib.import_module(MODULES[name])  # which registers its commands
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)

    def __contains__(self, name: object) -> bool:
        return name in MODULES  # without importing it


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


@click.group(cls=Group, commands=Commands(),
             context_settings={"help_option_names": ["-h", "--help"]})
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
