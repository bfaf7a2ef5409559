"""`python -m agent` and the command `agent`; they also tell what mends an installation."""

import os
import sys

# The agent computes little itself, and beside a run: threads of BLAS would wait for its cores.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def leave_current_folder(path: list[str], *, is_module: bool) -> None:
    """Take it out of the folders that modules are looked for in: random.py there is somebody's.

    `python -m` puts it first, an empty entry of PYTHONPATH or `.` anywhere; a whole path is left.
    Where it is the folder of our packages, they are found in it behind all others.
    """
    if is_module and not sys.flags.safe_path:
        del path[0]
    try:
        here = os.path.realpath(os.curdir)
    except FileNotFoundError:
        return  # it was removed, so there is nothing in it
    asked = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if not any(os.path.isabs(one) and os.path.realpath(one) == here for one in asked):
        path[:] = [one for one in path if os.path.realpath(one) != here]
        ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        path += [ours] * (ours == here)


def main(is_module: bool = False) -> None:
    """Run the command line; one sentence and exit 1 where a package it needs is missing."""
    leave_current_folder(sys.path, is_module=is_module)
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
    main(is_module=True)
