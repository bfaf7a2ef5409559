"""What a person gives, met at the border: paths, whole numbers, numbers, and a terminal's size.

Whatever does not fit is a sentence of click's and exit status 2, before anything is opened.
"""

import math
import os
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import click

# More steps, runs or texts than any device will see. Sums and products of such numbers, a seed and
# its followers among them, stay far below SQLite's 2⁶³.
SEED, COUNT = click.IntRange(0, 2**53), click.IntRange(1, 10**9)
LEAST_WIDTH, MOST_WIDTH = 20, 10_000  # columns or lines that pages can be laid out in


def expanded(text: str) -> str:
    """The path as a shell would have expanded it: not after an =, not in a file, not in systemd."""
    if "\0" in text:
        raise click.BadParameter(f"{text!r} has a NUL in it, which no path may hold")
    found = os.path.expanduser(text)
    if found.startswith("~"):
        raise click.BadParameter(f"'{text}' names nobody's home folder here; write the path whole, "
                                 f"or ./{text} if it is really called so")
    return found


def each_once(_ctx: click.Context, _param: click.Parameter,
              values: tuple[str, ...]) -> tuple[str, ...]:
    """KEY=VALUE texts; a key that is given twice with two values is met here."""
    seen: dict[str, str] = {}
    for text in values:
        name, is_set, value = (part.strip() for part in text.partition("="))
        if is_set and seen.setdefault(name, value) != value:
            raise click.BadParameter(f"{name} is given twice, as {seen[name]} and as {value}; "
                                     "give it once")
    return values


class GivenPath(click.Path):
    """A path; ~ is the home folder wherever it was given."""

    def __init__(self, **how: Any) -> None:
        super().__init__(path_type=Path, **how)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(expanded(os.fspath(value)), param, ctx)
        except (ValueError, OSError) as error:  # a name that is too long, a loop of links
            self.fail(f"{os.fspath(value)[:100]!r}: {error}", param, ctx)


class GivenText(click.types.StringParamType):
    """builtin, tinystories, or the path of a text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("it is empty; write builtin, tinystories or a file", param, ctx)
        return expanded(str(value))


class Finite(click.FloatRange):
    """A number in a range, and neither infinite nor not a number."""

    name = "number"

    def _describe_range(self) -> str:  # click would say x<=None of one without ends
        return "" if self.min is self.max is None else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def settle_terminal(environ: MutableMapping[str, str]) -> None:
    """Make COLUMNS and LINES sizes a page can be laid out in, or leave them to the terminal."""
    for name in ("COLUMNS", "LINES"):
        text = environ.get(name)
        if text is None:
            continue
        if re.fullmatch(r"[0-9]{1,9}", text) and int(text) > 0:
            environ[name] = str(max(LEAST_WIDTH if name == "COLUMNS" else 1,
                                    min(MOST_WIDTH, int(text))))
        else:
            del environ[name]
