"""Which home a command means: by --home or --record, on either side of the command's name."""

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from agent.cli.given import GivenPath
from agent.home import DEFAULT_HOME, Home
from engine.errors import UserError

TYPED, RECORD = "agent.homes", "agent.record"  # what stands behind a command's name, by context


class Misused(UserError):
    """What was typed contradicts itself: one sentence, exit 2."""


def home_of(ctx: click.Context) -> Home:
    """The home that was typed so far; Misused where two different ones were.

    UserError where it names no folder, or --record is given and there is no checkout.
    """
    root = ctx.find_root()
    before = root.params.get("home")
    is_typed = root.get_parameter_source("home") is ParameterSource.COMMANDLINE
    typed: list[Path] = [*([before] if before and is_typed else ()), *ctx.meta.get(TYPED, ())]
    is_record = root.params.get("record") or ctx.meta.get(RECORD, False)
    if typed and is_record:
        raise Misused("--record and --home both say where the ledger is; give one")
    if len({os.path.realpath(home) for home in typed}) > 1:
        raise Misused(f"--home is given as {' and as '.join(map(str, typed))}; give one of them")
    return Home.record() if is_record else Home.at(*typed[:1] or (before or DEFAULT_HOME,))


def _again(ctx: click.Context, _param: click.Parameter, typed: tuple[Path, ...]) -> None:
    if typed:
        ctx.meta[TYPED] = typed
        ctx.obj = home_of(ctx)


def _record_again(ctx: click.Context, _param: click.Parameter, is_record: bool) -> None:
    if is_record:
        ctx.meta[RECORD] = True
        ctx.obj = home_of(ctx)


def options_behind() -> list[click.Parameter]:
    """The options of a command that mean what they mean before its name."""
    how: dict[str, Any] = {"expose_value": False}
    return [
        click.Option(["--home"], type=GivenPath(file_okay=False), multiple=True,
                     metavar="DIRECTORY", callback=_again,
                     help="As before the command: the folder of the ledger.", **how),
        click.Option(["--record"], is_flag=True, callback=_record_again, hidden=True, **how)]
