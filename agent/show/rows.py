"""Facts with their names before them, as every page of the status has them."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

NARROW, WIDE = 6, 9  # columns for the names


def facts(named: Mapping[str, Text | str], width: int, name_width: int = NARROW) -> Table:
    """One row a fact, broken at words inside of the width."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=name_width, style="bold")
    table.add_column(width=max(10, width - name_width - 1), overflow="fold")
    for name, fact in named.items():
        table.add_row(name, fact if isinstance(fact, Text) else Text(fact))
    return table
