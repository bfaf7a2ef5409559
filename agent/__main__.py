"""`python -m agent` and the command `agent`; they also tell what mends an installation."""

import os
import sys

# The agent computes little itself, and beside a run: threads of BLAS would wait for its cores.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def main() -> None:
    """Run the command line; one sentence and exit 1 where a package it needs is missing."""
    os.environ.update(ONE_THREAD | dict(os.environ))  # before numpy is loaded, which reads it once
    from agent.cli import voice
    with voice.speaking():
        _run()


def _run() -> None:
    try:
        from agent.cli.main import main as commands
        commands(prog_name="agent")  # which imports the module of a command when it is asked for
    except ImportError:
        from agent.doctor import (
            Probe,
            told_packages,  # only now: every start would pay for it
        )
        told = told_packages(Probe())
        if told is None:
            raise
        sys.exit(told)


if __name__ == "__main__":
    main()
