"""Whether a library of kernels computes what it should: the child that a build starts.

It trains the small models of steps.py, whose losses are known: of every optimizer and kind.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from engine.native import Kernels
from engine.proof.steps import LOSSES, LOSSES_OF_KINDS, faults_of_steps


def faults_of_kernels(path: Path) -> list[str]:
    """What goes elsewhere by the library at path; it is loaded into this process."""
    return faults_of_steps(LOSSES | LOSSES_OF_KINDS, Kernels("built", path))


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 where all is right, 1 with a line that says what is not."""
    wrong = faults_of_kernels(Path(arguments[0]))
    sys.stdout.writelines(f"{line}\n" for line in wrong[:1])
    return int(bool(wrong))
