"""Sentences of the commands: whole through a pipe, broken at words on a terminal.

Pages and tables are laid out by whoever makes them; JSON, CSV and a model's text are not touched.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from agent.words import fitted

MISUSE = "Error: "  # which click puts before what it refuses
WIDEST = 100  # columns: longer lines of prose are hard to read


def tell(text: str) -> None:
    """Say something to the person, on stderr."""
    click.echo(laid_out(text, sys.stderr), err=True)


def show(text: str) -> None:
    """Give sentences that were asked for, on stdout."""
    click.echo(laid_out(text, sys.stdout))


def laid_out(text: str, stream: TextIO) -> str:
    """Text as it is shown on a stream; only a word longer than a line, such as a path, stands out.
    """
    return fitted(text, width()) if is_terminal(stream) else text


@contextmanager
def misuse_laid_out() -> Iterator[None]:
    """Have click tell what it refuses as any other sentence."""
    try:
        yield
    except click.ClickException as error:
        told = laid_out(MISUSE + error.format_message(), sys.stderr)[len(MISUSE):]
        error.format_message = lambda: told  # type: ignore[method-assign]  # what it shows
        raise


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def width() -> int:
    """Columns for prose."""
    return min(WIDEST, shutil.get_terminal_size().columns)
