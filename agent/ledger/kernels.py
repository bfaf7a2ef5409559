"""By which kernels a run was computed, and which runs so are pairs.

Two runs that differ by an idea alone are compared; by what else they differ must not be in it.
"""

from typing import Protocol

NUMPY = "numpy"  # what NULL means: a run of a version that had no others


class Row(Protocol):
    """A run or a study."""

    @property
    def kernels(self) -> str | None: ...


def kernels_of(row: Row) -> str:
    """The kernels of a run, or of all runs of a study."""
    return row.kernels or NUMPY


def is_pair(run: Row, kernels: str | None) -> bool:
    """Whether a run was, or will be, computed by these kernels."""
    return kernels_of(run) == (kernels or NUMPY)
