"""What this machine and this checkout are, for the ledger; and how our children are started."""

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from agent.machine import container, processor

MIN_DISK_MB = 200.0  # free: with less a run waits, and agent doctor fails
ROOT = Path(__file__).resolve().parents[2]  # the folder our packages lie in
# `python -m`, with that folder behind all others: in a checkout, random.py is not the library's.
BEHIND = ("import runpy, sys; sys.path.append(sys.argv[1]); del sys.argv[:2]; "
          "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)")


def device() -> str:
    """One line: processor, cores this process may use, system."""
    return f"{_processor()}, {n_cores()} cores, {platform.system()}"


def _processor() -> str:
    try:
        return processor.name(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return platform.machine()


def n_cores() -> int:
    """Cores this process may keep busy now, by its affinity and its container."""
    return container.n_cores()


def cores() -> str:
    """The affinity mask as text, such as "0,1,4": Android shrinks it in the background."""
    return ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))


@functools.cache
def code_version() -> str:
    """Version of the package; in a checkout also the commit, and whether code was changed."""
    version = metadata.version("phi-auto")
    here = Path(__file__).resolve()
    commit = _commit(here.parents[2], here)
    return version if commit is None else f"{version}+{commit}"


def _commit(root: Path, file: Path) -> str | None:
    """The commit of the checkout `root`; None where there is none, or `file` is no part of it.

    An installed package may lie in somebody else's checkout, even at its root (pip --target).
    """
    if not (root / ".git").exists() or not _git(root, "ls-files", "--", str(file)):
        return None
    commit = _git(root, "rev-parse", "--short", "HEAD")
    # Of the tree only the code counts: the ledger in it changes with every run.
    changed = _git(root, "status", "--porcelain", "--", "agent", "engine", "strategies")
    return None if commit is None else f"{commit}{'.changed' if changed else ''}"


def _git(root: Path, *words: str) -> str | None:
    try:
        answer = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True,
                                timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def is_termux(environ: Mapping[str, str]) -> bool:
    """Whether this is Termux, by its prefix; sys.platform tells it only from Python 3.13 on."""
    return "com.termux" in environ.get("PREFIX", "")


def child(module: str, *words: str) -> list[str]:
    """The command of a child that runs one of our modules; worker_environment belongs to it.

    It imports nothing from the current folder: random.py or engine.py there may be somebody's.
    Only where that is the very folder of our packages they are found there, behind all others.
    """
    way = ["-c", BEHIND, str(ROOT)] if _is_here(ROOT) else ["-m"]
    return [sys.executable, *way, module, *words]


def worker_environment() -> dict[str, str]:
    """The environment of a child: one BLAS thread for always the same bits, and no module from the
    current folder, be it named in PYTHONPATH or not.
    """
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
                         "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    elsewhere = [entry for entry in path if not _is_here(entry)]
    return {**os.environ, **one, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(elsewhere)}


def _is_here(folder: str | Path) -> bool:
    """Whether a folder, by any name, is the current one; an empty name is."""
    try:
        return os.path.samefile(folder or os.curdir, os.curdir)
    except OSError:
        return False
