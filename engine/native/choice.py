"""Which path computes: kernels where they can be had, else numpy, and why.

    AGENT_NATIVE=0    numpy, as without a compiler        AGENT_NATIVE=1    kernels, the default

Libraries lie in a folder of this user, never in a home: a home may come from somebody else, and a
library is executed.
"""

import contextlib
import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError, UserError
from engine.native import build
from engine.native.build import BuildError, Compiler
from engine.native.library import NAME, NUMPY, Foreign, Kernels

ASKED = "AGENT_NATIVE"
DEFAULT = "1"  # where nothing is said
NO_COMPILER = "there is no C compiler (cc, clang or gcc; the package ziglang brings one)"


@dataclass(frozen=True, slots=True)
class Choice:
    """What computes here."""

    kernels: Kernels
    why: str  # one clause: by which compiler, or why not


def folder_for(environ: Mapping[str, str]) -> Path:
    """Where this user's libraries lie: $XDG_CACHE_HOME/phi-auto, ~/.cache/phi-auto."""
    cache = environ.get("XDG_CACHE_HOME") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".cache")
    return Path(cache) / "phi-auto"


def choose(environ: Mapping[str, str], compilers: Iterable[Compiler] | None = None,
           cpu: str | None = None) -> Choice:
    """What computes where nothing else is said; compiles where that was not done yet.

    ConfigError where AGENT_NATIVE is neither 0 nor 1.
    """
    if not _is_wanted(environ):
        return Choice(NUMPY, f"{ASKED}=0")
    folder, reasons = folder_for(environ), [NO_COMPILER]
    source, cpu = build.SOURCE.read_bytes(), build.processor() if cpu is None else cpu
    found = build.compilers(environ.get("PATH")) if compilers is None else compilers
    for compiler in found:
        name = build.name_of(compiler, source, cpu)
        try:
            return Choice(_loaded(name, folder, compiler, environ), f"compiled by {compiler.name}")
        except (BuildError, Foreign) as error:
            reasons.append(str(error))
    return Choice(NUMPY, reasons[1] if reasons[1:] else reasons[0])


def _is_wanted(environ: Mapping[str, str]) -> bool:
    asked = environ.get(ASKED) or DEFAULT
    if asked not in ("0", "1"):
        raise ConfigError(f"{ASKED}={asked} is neither 0 (numpy alone) nor 1 (kernels in C); set "
                          "one of them, or neither")
    return asked == "1"


def _loaded(name: str, folder: Path, compiler: Compiler, environ: Mapping[str, str]) -> Kernels:
    path = build.path_of(folder, name)
    if not build.is_whole(path):
        path = build.build(compiler, folder, name, environ)
    return Kernels(name, path)


def is_ready(environ: Mapping[str, str] | None = None) -> bool:
    """Whether what computes here is known without compiling anything."""
    own = os.environ if environ is None else environ
    if not _is_wanted(own):
        return True
    source, cpu, folder = build.SOURCE.read_bytes(), build.processor(), folder_for(own)
    first = next(build.compilers(own.get("PATH")), None)
    return first is None or build.is_whole(
        build.path_of(folder, build.name_of(first, source, cpu)))


def present(name: str, environ: Mapping[str, str] | None = None) -> Kernels:
    """The kernels of that name where they lie here, else numpy: for what only looks, which
    compiles nothing and may differ by rounding.
    """
    own = os.environ if environ is None else environ
    path = _held(name, own) if _is_wanted(own) else None
    with contextlib.suppress(Foreign):
        return Kernels(name, path) if path else NUMPY
    return NUMPY


def _held(name: str, environ: Mapping[str, str]) -> Path | None:
    """Where the library of that name lies whole; a name may come from somebody else's file."""
    path = build.path_of(folder_for(environ), name)
    return path if build.NAMES.fullmatch(name) and build.is_whole(path) else None


def named(name: str, environ: Mapping[str, str] | None = None) -> Kernels:
    """The kernels of that name, for what must go on with those it began with.

    They need not be asked for, and may be of a compiler that is gone, while their library is there.
    UserError where they cannot be had, or AGENT_NATIVE=0 forbids them.
    """
    if name == NAME:
        return NUMPY
    own = os.environ if environ is None else environ
    if own.get(ASKED) == "0":
        raise UserError(f"{ASKED}=0 leaves numpy alone, and this began with the kernels {name}, "
                        f"without which it would go elsewhere; take {ASKED} away to go on")
    if path := _held(name, own):
        try:
            return Kernels(name, path)
        except Foreign as error:
            raise UserError(f"the kernels {name} cannot be loaded: {error}") from error
    chosen = choose({**own, ASKED: "1"})
    if chosen.kernels.name != name:
        raise UserError(f"the kernels {name} cannot be had here, where {chosen.kernels.name} "
                        f"would compute ({chosen.why}); what began with them goes on with no "
                        "others, so take the compiler and the processor it began with")
    return chosen.kernels


def usual() -> Choice:
    """What computes in this process where nothing else is said, found out once."""
    return _found(*(os.environ.get(name, "") for name in (ASKED, "XDG_CACHE_HOME", "HOME", "PATH")))


@functools.lru_cache(maxsize=8)
def _found(*_settings: str) -> Choice:
    return choose(os.environ)
