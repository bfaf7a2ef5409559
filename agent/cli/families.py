"""Shapes by a family and a parameter count: --family of one run, --families of a grid."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from agent.cli.options import complete_families
from engine.config import Config
from strategies.families import FAMILIES
from strategies.grid import of_family

Command = Callable[..., Any]
GIVEN = ("vocab_size", "tied", "n_hidden", "mixer", "lr")


def family_options(command: Command) -> Command:
    """--family and --params, which give a run its shape."""
    for option in reversed([
        click.option("--family", metavar="NAME", shell_complete=complete_families,
                     help=f"Shape with --params: {', '.join(FAMILIES)}; --set changes it."),
        click.option("--params", metavar="N", help="About so many parameters, such as 300k."),
    ]):
        command = option(command)
    return command


def settings_of(family: str | None, params: str | None, settings: Sequence[str]) -> Sequence[str]:
    """What is set, behind what the family sets: a field said by a person stays theirs."""
    if family is None and params is None:
        return settings
    if params is None:
        raise click.UsageError(f"--family {family} needs --params, such as --params 300k")
    base = Config().assign(_in_base(settings))
    found = of_family(family or "balanced", params, base)
    shape = [f"{name}={_typed(value)}" for name, (value, _) in found.difference(base).items()]
    return [*shape, *settings]


def _in_base(settings: Sequence[str]) -> list[str]:
    """Those that a family goes by, and that stand on their own beside the default's shape."""
    return [text for text in settings if text.partition("=")[0].strip() in GIVEN]


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def sizes_of(sizes: str | None, families: str | None, params: str | None) -> list[str]:
    """The sizes of a grid: those named, or every family at every count."""
    if sizes is not None:
        if families is not None or params is not None:
            raise click.UsageError("--sizes and --families with --params both give the sizes; "
                                   "give one")
        return sizes.split(",")
    if params is None:
        raise click.UsageError("what sizes? give --sizes 64d/2L,128d/4L, or --families "
                               "balanced,deep --params 100k,1M")
    return [f"{family.strip()} {count.strip()}" for count in params.split(",")
            for family in (families or "balanced").split(",")]
