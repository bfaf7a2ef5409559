"""The command line: the group, its home folder and how errors are told.

Commands live in run (what acts), read (what only looks), sample, export, compare, enqueue,
simulate, status and doctor; a module is imported when one of its commands is. Data goes to stdout,
talk to stderr. Exit status: 0 done, 1 failed with one sentence, 2 misused.
"""

import importlib
import io
import os
import sqlite3
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any

import click

from agent.cli.given import GivenPath, settle_terminal
from agent.cli.homes import Misused, home_of, options_behind
from agent.cli.talk import misuse_laid_out, tell
from agent.home import DEFAULT_HOME, Home
from agent.words import printable, signs
from engine.errors import UserError

# Where each command lives.
MODULES = {
    **dict.fromkeys(("run", "train", "grid", "pause", "resume", "stop"), "agent.cli.run"),
    **dict.fromkeys(("table", "runs", "show", "log", "path", "baselines"), "agent.cli.read"),
    **dict.fromkeys(("sample", "chat"), "agent.cli.sample"),
    **dict.fromkeys(("export", "import-model"), "agent.cli.export"),
    **dict.fromkeys(("compare", "importance", "lineage"), "agent.cli.compare"),
    "cluster": "agent.cli.cluster",
    "datasette-metadata": "agent.cli.datasette",
    "enqueue": "agent.cli.enqueue",
    "harvest": "agent.cli.harvest",
    "explain": "agent.cli.explain",
    "improve": "agent.cli.improve",
    "merge": "agent.cli.merge", "import": "agent.cli.merge",
    "replicate": "agent.cli.replicate",
    "scaling": "agent.cli.scaling",
    "service": "agent.cli.service",
    **dict.fromkeys(("note", "star"), "agent.cli.note"),
    **dict.fromkeys(("report", "export-runs"), "agent.cli.report"),
    "simulate": "agent.cli.simulate",
    **dict.fromkeys(("studies", "best"), "agent.cli.studies"),
    "status": "agent.cli.status",
    "trace": "agent.cli.trace",
    "doctor": "agent.cli.doctor",
    "serve": "agent.cli.serve",
    "withdraw": "agent.cli.withdraw",
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


class Command(click.Command):
    """A command that takes --home, too, so that it may stand on either side of the name."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.params += options_behind()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(_no_option(self, ctx, error.option_name), ctx) from error


def _no_option(command: click.Command, ctx: click.Context, typed: str) -> str:
    """That a command has no such option, and what is meant by it: an option or a field."""
    from agent.cli import meant
    from engine.fields import MEANINGS, field_meant

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

    def main(self, *arguments: Any, **how: Any) -> Any:
        settle_terminal(os.environ)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal without an arrow gets ->
                stream.reconfigure(errors=signs.register())
        return super().main(*arguments, **how)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(_no_option(self, ctx, error.option_name), ctx) from error

    def make_context(self, *words: Any, **options: Any) -> click.Context:
        with misuse_laid_out():
            return super().make_context(*words, **options)

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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from agent.cli import sections
        sections.write(self.commands, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with misuse_laid_out():
                return super().invoke(ctx)
        except UserError as error:
            _tell(str(error))
            ctx.exit(2 if isinstance(error, Misused) else 1)
        except MemoryError:
            _tell("there is not enough memory for that; ask for less, or close other programs")
            ctx.exit(1)
        except KeyboardInterrupt:
            tell("agent: stopped; the same command goes on")
            ctx.exit(1)
        except BrokenPipeError:  # `agent runs | head`
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:  # a file or folder that is not what it should be
            _tell(_in_words(error))
            ctx.exit(1)
        except sqlite3.Error as error:  # what no other place has words for
            _tell(f"{ctx.obj.ledger} gave no answer: {error}; `agent doctor` says whether it is "
                  "damaged")
            ctx.exit(1)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception:  # a bug, and keeps its traceback, unless the ledger was damaged
            told = _damage(ctx.obj)
            if told is None:
                raise
            _tell(told)
            ctx.exit(1)


def _damage(home: Home | None) -> str | None:
    """What is wrong with the ledger that a command broke on."""
    from agent.ledger import damage  # no command that succeeds pays for it
    return None if home is None else damage(home.ledger)


def _in_words(error: OSError) -> str:
    """What the system refused, and of which file where it says."""
    why = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"{why}; the system refused that, and the same command may go on later"
    return (f"{os.fsdecode(error.filename)}: {why}; mend that or move it away, or use another "
            "--home")


def _tell(sentence: str) -> None:
    """One line, whatever names a person gave that stand in it."""
    tell(f"agent: {printable(sentence.replace(chr(10), ' '))}")


@click.group(cls=Group, commands=Commands(),
             context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=GivenPath(file_okay=False), envvar="AGENT_HOME",
              show_default=f"{DEFAULT_HOME}, or AGENT_HOME",
              help="Folder with the ledger, runs/ and data/.")
@click.option("--record", is_flag=True,
              help="The project's published runs, in its checkout, in place of a home.")
@click.version_option(package_name="phi-auto")
@click.pass_context
def main(ctx: click.Context, /, **_options: Any) -> None:
    """Train tiny language models all night, and believe the numbers in the morning.

    Start with:  agent run --for 4m
    """
    ctx.obj = home_of(ctx)
