"""Facts with their names before them, as every page of the status has them."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from agent import words

NARROW, WIDE = 6, 9  # columns for the names


def facts(named: Mapping[str, Text | str], width: int, name_width: int = NARROW) -> Table:
    """One row a fact, broken at words inside of the width."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=name_width, style="bold")
    table.add_column(width=max(10, width - name_width - 1), overflow="fold")
    for name, fact in named.items():
        table.add_row(name, _harmless(fact if isinstance(fact, Text) else Text(fact)))
    return table


def _harmless(text: Text) -> Text:
    """The text, if nothing in it steers the terminal; else that as signs, and without its style."""
    told = words.printable(text.plain)
    return text if told == text.plain else Text(told)
