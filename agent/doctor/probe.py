"""What `agent doctor` asks of the machine, each question a field that tests replace.

It imports the standard library alone at its head, so that it still works where a package is
missing, which is one of the things it is there to find.
"""

import ctypes
import fcntl
import importlib
import itertools
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.machine import container, machine, utc_stamp

if TYPE_CHECKING:
    from agent.machine import container as groups
    from agent.search import plugins

Verdict = Literal["ok", "warn", "fail"]
Answer = tuple[Verdict, str, str | None]  # of a check: verdict, one sentence, what mends it

ASK_S = 5.0  # until a command that does not answer is killed
ANSWER_BYTES = 65_536  # of a command's output; whatever says more is not what we asked
FILE_BYTES = 8_000_000  # /proc/self/maps has some thousand lines
SYSTEM_BIN = "/system/bin"  # Android's own commands, which Termux leaves out of its PATH


def which(command: str) -> str | None:
    """Path of a command of this system or of Android."""
    return shutil.which(command) or shutil.which(command, path=SYSTEM_BIN)


def ask(words: Sequence[str], limit_s: float = ASK_S) -> str | None:
    """What a command prints; None if it is absent, fails, or hangs (then its group is killed)."""
    path = which(words[0])
    if path is None:
        return None
    try:
        process = subprocess.Popen([path, *words[1:]], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
    except OSError:
        return None
    assert process.stdout is not None
    with process.stdout as pipe:
        deadline_s = time.monotonic() + limit_s
        answer = _drain(pipe.fileno(), deadline_s)
    try:
        if answer is not None and process.wait(max(0.1, deadline_s - time.monotonic())) == 0:
            return answer.decode(errors="replace")
    except subprocess.TimeoutExpired:
        pass  # it closed its output, but does not end
    if process.returncode is None:
        _kill_group(process)
    return None


def _drain(pipe: int, deadline_s: float) -> bytes | None:
    """All that comes until the other end closes; None if it goes on too long."""
    answer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline_s - time.monotonic())):
            piece = os.read(pipe, ANSWER_BYTES)
            if not piece:
                return answer
            answer += piece
            if len(answer) > ANSWER_BYTES:
                return None
    return None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left: Termux's commands are scripts whose children hang, not they."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        pass  # not even a kill wakes what waits for broken hardware; nobody needs its status


def read(path: str) -> str | None:
    """The text of a file of this system; None where it does not let us see it."""
    return container.read(path, FILE_BYTES)


def names(folder: str) -> list[str] | None:
    """What is in a folder, sorted; None where the system does not let us see it."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return None


def blas_parallel(library: str) -> int | None:
    """How an OpenBLAS was built: 0 no threads, 1 threads, 2 OpenMP; None where it does not say.

    The name depends on who built it: scipy_ before it in numpy's wheels, 64_ after it for 64-bit
    integers.
    """
    try:
        loaded = ctypes.CDLL(library)
    except OSError:
        return None
    for before, after in itertools.product(("", "scipy_"), ("", "64_", "_64", "64")):
        function = getattr(loaded, f"{before}openblas_get_parallel{after}", None)
        if function is not None:
            return int(function())
    return None


def try_storage(folder: Path) -> None:
    """Write, lock and sync a file that is nameless already; OSError where one of them fails."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"agent doctor")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fsync(file.fileno())


# What these ask needs packages that may be missing.


def _memory() -> tuple[float | None, float, float]:
    from agent.machine import guard
    return guard.free_mb(), guard.reserve_mb(guard.read_swap()), guard.default_max_ram_mb()


def _container() -> tuple["groups.Memory", float | None]:
    return container.memory(), container.cpus()


def _wrong_numbers(path: Path) -> tuple[str, str] | None:
    """Of the model of the newest study, or of the one that a first night begins with."""
    from agent.ledger import Reader
    from agent.machine import proof
    from engine.config import Config
    from engine.errors import UserError
    config = Config()
    try:
        with Reader.open(path) as ledger:
            studies = ledger.studies()
            config = Config.from_dict(studies[0].config) if studies else config
    except UserError:
        pass  # no ledger yet, or one that has a check of its own
    return proof.wrong_numbers(config, machine.n_cores())


def _holder(lock: Path) -> int | None:
    from agent.home import holder
    return holder(lock)


def _ledger_faults(path: Path) -> list[str]:
    from agent.ledger import faults
    return faults(path)


def _ledger_gaps(path: Path) -> tuple[str, bool]:
    from agent.ledger import Reader, gaps, gaps_in_words
    with Reader.open(path) as ledger:
        found = gaps(ledger)
    return gaps_in_words(found), any(gap.is_built_on for gap in found)


def _kernels() -> tuple[str, str]:
    from engine import native
    found = native.usual()
    return found.kernels.name, found.why


def _strategies() -> "plugins.Found":
    from agent.search import plugins
    return plugins.find()


def _newest_stamp(path: Path) -> str | None:
    from agent.ledger import Reader
    with Reader.open(path) as ledger:
        return ledger.newest_stamp()


@dataclass(frozen=True)
class Probe:
    """The machine as the checks see it."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    executable: str = sys.executable
    python: tuple[int, int] = sys.version_info[:2]
    load: Callable[[str], object] = importlib.import_module
    version: Callable[[str], str] = metadata.version
    zone: Callable[[str], object] = zoneinfo.ZoneInfo
    stamp: Callable[[], str] = utc_stamp
    read: Callable[[str], str | None] = read
    names: Callable[[str], list[str] | None] = names
    which: Callable[[str], str | None] = which
    ask: Callable[[Sequence[str]], str | None] = ask
    blas_parallel: Callable[[str], int | None] = blas_parallel
    usable_cores: Callable[[], int] = lambda: len(os.sched_getaffinity(0))
    all_cores: Callable[[], int | None] = os.cpu_count
    memory: Callable[[], tuple[float | None, float, float]] = _memory  # free, reserve, --max-ram
    # What control groups allow: memory, and so many cores' time.
    container: Callable[[], tuple["groups.Memory", float | None]] = _container
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    try_storage: Callable[[Path], None] = try_storage
    holder: Callable[[Path], int | None] = _holder
    ledger_faults: Callable[[Path], list[str]] = _ledger_faults
    # What was deleted from it and is needed, in words, and whether a study builds on it.
    ledger_gaps: Callable[[Path], tuple[str, bool]] = _ledger_gaps
    newest_stamp: Callable[[Path], str | None] = _newest_stamp
    wrong_numbers: Callable[[Path], tuple[str, str] | None] = _wrong_numbers
    strategies: Callable[[], "plugins.Found"] = _strategies  # of other packages
    kernels: Callable[[], tuple[str, str]] = _kernels  # their name, and by whom or why none

    @property
    def is_termux(self) -> bool:
        return machine.is_termux(self.environ)
