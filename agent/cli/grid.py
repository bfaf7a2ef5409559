"""What `agent grid` says of the grid it has planned."""

import shlex
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from agent import words
from agent.cli.talk import tell
from agent.night import Crossing, Forecast
from agent.show import grid as grid_table

Command = Callable[..., Any]


def crossing_options(command: Command) -> Command:
    """--unique, --seeds, --tune-lr, --trunk: what a grid crosses beside sizes and tokens."""
    for option in reversed([
        click.option("--unique", default="all", metavar="LIST", show_default=True,
                     help="Different text: stories as 5s, tokens as 200k, or all."),
        click.option("--seeds", "n_seeds", type=click.IntRange(1, 100), default=1, metavar="N",
                     help="Seeds of the corners and the centre: the noise."),
        click.option("--tune-lr", "n_rates", type=click.IntRange(1, 9), default=1, metavar="N",
                     help="Rates of the smallest and the largest size, such as 3."),
        click.option("--trunk", "is_trunk", is_flag=True,
                     help="Train what the runs of a row have in common once: wsd."),
    ]):
        command = option(command)
    return command


def crossing_of(options: dict[str, Any]) -> Crossing:
    """What these options ask for, taken out of them."""
    return Crossing(tuple(options.pop("unique").split(",")), options.pop("n_seeds"),
                    options.pop("n_rates"), options.pop("is_trunk"))


def say_grid(found: Forecast, options: dict[str, Any], is_dry: bool) -> None:
    """The table to stdout; its text, what is left out, and what is next, to stderr."""
    tell(f"text {words.one_line(found.text)}")
    click.echo("\n".join(grid_table.lines(found.rows, found.tokens, found.cells(),
                                          Console().width)))
    if is_dry:
        click.echo("\n".join(["", *grid_table.columns(found.shapes())]))
    for part in found.wholes:
        tell(f"{part} is all of this text, which has no more, so it has no row of its own")
    for line in _left_out(found):
        tell(f"left out: {line}")
    for line in found.again:
        tell(f"{line}; it is tried again")
    if not found.is_text_known:
        tell("the text is not prepared yet, so its scoring is foreseen as that of 100,000 "
             "tokens")
    if found.alone_s is not None:
        tell(_spared(found.alone_s, found.total_s))
    n = len(found.plan.cells)
    cells = f"{n} cell" if n == 1 else f"{n} cells"
    if not n:
        tell("nothing to queue: every cell has its run, or is left out")
    elif is_dry:
        tell(f"{cells}, about {words.duration(found.total_s)} here; a dry run, so nothing "
             "was queued")
    else:
        tell(f"{cells} queued, about {words.duration(found.total_s)} here; "
             f"`{_run_command(options, n)}` executes {'it' if n == 1 else 'them'}")


def _spared(alone_s: float, total_s: float) -> str:
    """What runs that go on from each other spare, in words."""
    spared_s = alone_s - total_s
    if spared_s < 1.0:
        return "the trunk spares nothing: no row has a longer run that could go on from a shorter"
    return (f"the trunk spares {words.duration(spared_s)} of {words.duration(alone_s)} "
            f"({100 * spared_s / alone_s:.0f} %): longer runs of a row go on from shorter ones")


def _left_out(found: Forecast) -> list[str]:
    """What will not run and why; cells of a part of the text that share a reason together."""
    by_reason: dict[tuple[str, str | None], list[str]] = {}
    for one in found.plan.skipped:
        if one.state is None:
            key = one.reason, one.unique
            by_reason.setdefault(key, []).append(f"{one.size} on {one.budget_tokens:,} tokens")
    lines = []
    for (reason, unique), cells in by_reason.items():
        if unique is None:
            lines += [f"{cell}: {reason}" for cell in cells]
        else:
            which = cells[0] if len(cells) == 1 else f"{len(cells)} cells"
            lines.append(f"{which} of {unique}: {reason}")
    return lines


def _run_command(options: dict[str, Any], n: int) -> str:
    """What runs so many cells and ends: they come before what a study of its own would begin."""
    text = [word for name in ("corpus", "valid", "stories")
            if options[name] not in (None, "builtin")
            for word in (f"--{name}", str(options[name]))]
    settings = [word for one in options["settings"] for word in ("--set", one)]
    return shlex.join(["agent", "run", *text, *settings, "--runs", str(n)])
