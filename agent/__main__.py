"""`python -m agent` is the command `agent`; it also tells what mends an installation."""

import sys

from agent.doctor import told_packages
from agent.probe import Probe


def start() -> None:
    """Run the command line; one sentence and exit 1 where a package it needs is missing."""
    try:
        from agent.cli import main
        main(prog_name="agent")  # which imports the module of a command when it is asked for
    except ImportError:
        told = told_packages(Probe())
        if told is None:
            raise
        sys.exit(told)


if __name__ == "__main__":
    start()
