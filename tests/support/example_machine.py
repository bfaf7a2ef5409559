"""A machine that exists on paper, for the checks of `agent doctor`."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.doctor.probe import Probe
from agent.machine import container
from agent.search.plugins import Found
from tests.support.example_ledger import NOW

PREFIX = "/data/data/com.termux/files/usr"
TERMUX = {"PREFIX": PREFIX}
WHEEL = "/venv/numpy.libs/libscipy_openblas64_-1.so"
MAPS = f"7f00-7f01 r-xp 00000000 fe:00 1   {WHEEL}\n7f02-7f03 rw-p 00000000 00:00 0\n"


def disk(free_mb: float = 5000, flags: int = 0) -> Callable[[Path], os.statvfs_result]:
    free = int(free_mb * 1e6 / 4096) + 1  # blocks
    return lambda _path: os.statvfs_result((4096, 4096, free, free, free, 9, 9, 9, flags, 255))


def machine(files: Mapping[str, str] | None = None, answers: Mapping[str, str] | None = None,
            **changes: Any) -> Probe:
    """A machine where all is well, but for the changes; files and commands are those given."""
    texts = {"/proc/self/maps": MAPS} if files is None else files
    said = answers or {}
    kind = Probe(
        environ={}, executable="python", python=(3, 14), load=lambda _name: None,
        version=lambda _name: "1", zone=lambda _name: None, stamp=lambda: NOW, read=texts.get,
        names=lambda folder: sorted({path.removeprefix(f"{folder}/").split("/")[0]
                                     for path in texts if path.startswith(f"{folder}/")}) or None,
        which=lambda name: name if name in said else None,
        ask=lambda words: said.get(" ".join(words)), blas_parallel=lambda _path: 1,
        usable_cores=lambda: 8, all_cores=lambda: 8, memory=lambda: (8000.0, 200.0, 3000.0),
        container=lambda: (container.Memory(), None),
        statvfs=disk(), try_storage=lambda _folder: None, holder=lambda _lock: None,
        wrong_numbers=lambda _path: None, strategies=lambda: Found({}, {}, []),
        kernels=lambda: ("c11-0123abcd", "compiled by cc"))
    return dataclasses.replace(kind, **changes)


def raising(error: Exception) -> Callable[..., Any]:
    def fails(*_arguments: object) -> Any:
        raise error
    return fails
