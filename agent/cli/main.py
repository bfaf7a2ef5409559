"""The command line: the group, its home folder and how errors are told.

Commands live in run (what acts), read (what only looks), compare, enqueue, simulate, status and
doctor; a module is imported when one of its commands is. Data goes to stdout, talk to stderr.
Exit status: 0 done, 1 failed with one sentence, 2 misused.
"""

import importlib
import io
import os
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

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
    "simulate": "agent.cli.simulate",
    **dict.fromkeys(("studies", "best"), "agent.cli.studies"),
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


class Misused(UserError):
    """What was typed contradicts itself: one sentence, exit 2."""


def _home_again(ctx: click.Context, _param: click.Parameter, typed: tuple[Path, ...]) -> None:
    """Take --home behind the command's name as the one before it; all may say the same."""
    if not typed:
        return
    root = ctx.find_root()
    is_typed = root.get_parameter_source("home") is ParameterSource.COMMANDLINE
    given = [root.params["home"], *typed] if is_typed else list(typed)
    if len({os.path.realpath(home) for home in given}) > 1:
        raise Misused(f"--home is given as {' and as '.join(map(str, given))}; give one of them")
    root.params["home"] = given[0]
    ctx.obj = home_at(given[0])


class Command(click.Command):
    """A command that takes --home, too, so that it may stand on either side of the name."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.params.append(click.Option(
            ["--home"], type=click.Path(file_okay=False, path_type=Path), multiple=True,
            expose_value=False, metavar="DIRECTORY", callback=_home_again,
            help="As before the command: the folder of the ledger."))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(_no_option(self, ctx, error.option_name), ctx) from error


def _no_option(command: click.Command, ctx: click.Context, typed: str) -> str:
    """That a command has no such option, and what is meant by it: an option or a field."""
    from agent.cli import meant
    from engine.meanings import MEANINGS, field_meant

    known = [name for one in command.params if isinstance(one, click.Option) for name in one.opts]
    said = f"No such option '{typed}'."
    field = field_meant(typed.strip("-"), MEANINGS)
    if field and "--set" in known:
        return f"{said} {field} is a field: --set {field}=…"
    found = meant.option(typed, known)
    return f"{said} Did you mean {found}?" if found else (
        f"{said} `{ctx.command_path} -h` lists them.")


class Group(click.Group):
    """A group whose commands may raise UserError: one sentence, exit 1."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(_no_option(self, ctx, error.option_name), ctx) from error

    def resolve_command(self, ctx: click.Context,
                        args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in MODULES or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from agent.cli import meant

        found = meant.command(name, MODULES)
        hint = f"Did you mean '{found}'?" if found else "`agent -h` lists them."
        raise click.UsageError(f"No such command '{name}'. {hint}", ctx)

    def _main_shell_completion(self, *words: Any, **options: Any) -> None:
        if any(name.endswith("_COMPLETE") for name in os.environ):  # a shell asks
            from agent.cli import completion
            completion.register()
        super()._main_shell_completion(*words, **options)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"agent: {error}", err=True)
            ctx.exit(2 if isinstance(error, Misused) else 1)
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
    ctx.obj = home_at(home)


def home_at(folder: Path) -> Home:
    """The home that a folder is, however it was named."""
    return Home(folder.absolute())


def home_of(ctx: click.Context) -> Home:
    """The home that was typed so far, for the shell's completion."""
    return home_at(Path(ctx.find_root().params.get("home") or "."))
