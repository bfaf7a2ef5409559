"""A list in columns, of which the least important go where a terminal is narrow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

GAP = "  "
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Column(Generic[Item]):
    """One column: its head and its cell; the rank says which goes first."""

    title: str
    cell: Callable[[Item], str]
    rank: int  # the highest is dropped first where the terminal is narrow; 0 stays
    is_text: bool = False

    def block(self, items: Sequence[Item]) -> list[str]:
        """Its head and its cells, all of one width."""
        cells = [self.title, *(self.cell(one) for one in items)]
        width = max(map(len, cells))
        return [cell.ljust(width) if self.is_text else cell.rjust(width) for cell in cells]


def fitting(columns: Sequence[Column[Item]],
            is_too_wide: Callable[[Sequence[Column[Item]]], bool]) -> list[Column[Item]]:
    """The columns without those that have to go until the others are not too wide."""
    left = list(columns)
    while is_too_wide(left):
        droppable = max(left, key=lambda column: column.rank)
        if droppable.rank == 0:
            break
        left.remove(droppable)
    return left


def rows(columns: Sequence[Column[Item]], items: Sequence[Item]) -> list[str]:
    """The line of heads and one of each item."""
    return [GAP.join(cells)
            for cells in zip(*(column.block(items) for column in columns), strict=True)]
