"""From kernels.c to a library in a folder, once for each compiler and processor.

What lies there is believed only whole: the SHA-256 of a library is its last line, and it is put in
place by one rename. A compiler that hangs is ended; one whose kernels compute something else than
numpy is not used, which a child finds out, so that an instruction this processor lacks ends it and
not who asked. Who compiles beside another waits for nobody: both make the same, and the last rename
stays.
"""

import contextlib
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from engine.native.library import INTERFACE

SOURCE = Path(__file__).with_name("kernels.c")
# A compiler, and the child that compares, compute for 2 s each, on a processor that is emulated for
# forty. Other programs may have the processor: by the clock it may take longer, and that is no
# fault.
COMPUTES_S, WAITS_S = 240, 600.0
ASK_S = 60.0  # to say a version
# What a child becomes, with so much of the processor for each program in it.
LIMITED = """
import os, resource, sys
limit, allowed = int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_CPU)[1]
if allowed == resource.RLIM_INFINITY or limit < allowed:
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
os.execvp(sys.argv[2], sys.argv[2:])
"""
# A child that takes nothing from the current folder, and trains small models by a library.
CHECK = ("import sys; sys.path.append(sys.argv[1]); from engine.proof import kernels; "
         "sys.exit(kernels.main(sys.argv[2:]))")
ROOT = SOURCE.parents[2]  # the folder our packages lie in
SHOWN = 200  # characters of what a program printed
MARK = f"\nphi-auto kernels, interface {INTERFACE}, sha256 ".encode()
PREFIX = "c11-"
NAMES = re.compile(PREFIX + "[0-9a-f]{8}")
COMPILERS = ("cc", "clang", "gcc")

# Sums keep their order and products are fused only where the source says so: no -ffast-math.
FLAGS = ("-std=c11", "-O3", "-fopenmp-simd", "-ffp-contract=off", "-fno-math-errno",
         "-fno-trapping-math", "-fPIC", "-shared")
# What a compiler may use beyond the oldest processor of a kind. On 64-bit ARM nothing: all have
# NEON and fused products, and of a phone's cores the little ones may lack what the big ones have.
OWN = {"x86_64": ("-march=native",), "amd64": ("-march=native",)}
# Lines of /proc/cpuinfo that decide what a compiler makes of -march=native.
TELLING = ("model name", "flags", "features", "cpu implementer", "cpu architecture", "cpu part")


class BuildError(Exception):
    """No library: one clause that says why."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A program that compiles C, and what it says of itself."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return " ".join(self.command[-1:] if self.command[0] != sys.executable else
                        self.command[2:])


def compilers(path: str | None = None) -> Iterator[Compiler]:
    """Those that are there, the first of which that works is taken; `path` as $PATH."""
    commands = [(found,) for name in COMPILERS if (found := shutil.which(name, path=path))]
    candidates: list[tuple[str, ...]] = [*commands]
    if util.find_spec("ziglang"):
        candidates.append((sys.executable, "-m", "ziglang", "cc"))
    seen = set()
    for command in candidates:
        real = os.path.realpath(command[0]), *command[1:]
        version = _version(command) if real not in seen else None
        seen.add(real)
        if version:
            yield Compiler(command, version, OWN.get(platform.machine().lower(), ()))


def _version(command: tuple[str, ...]) -> str | None:
    try:
        told = subprocess.run([*command, "--version"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=ASK_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = told.stdout.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else None


def processor(cpuinfo: str | None = None) -> str:
    """What of this processor decides the code that is made for it."""
    if cpuinfo is None:
        try:
            cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            cpuinfo = ""
    kept = {line for line in cpuinfo.splitlines()
            if line.partition(":")[0].strip().lower() in TELLING}
    return "\n".join([platform.machine(), *sorted(kept)])


def name_of(compiler: Compiler, source: bytes, cpu: str) -> str:
    """The name that runs carry: equal where source, compiler, flags and processor are."""
    key = "\0".join([hashlib.sha256(source).hexdigest(), compiler.version, *FLAGS,
                     *compiler.flags, cpu])
    return PREFIX + hashlib.sha256(key.encode()).hexdigest()[:8]


def path_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.so"


def is_whole(path: Path) -> bool:
    """Whether a library lies there as it was put, and is called as this version calls it."""
    try:
        body, mark, told = path.read_bytes().rpartition(MARK)
    except OSError:
        return False
    return bool(mark) and told.decode(errors="replace") == hashlib.sha256(body).hexdigest()


def build(compiler: Compiler, folder: Path, name: str, environment: Mapping[str, str]) -> Path:
    """Compile, compare with numpy, and put it in place; BuildError says why there is none."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix=f"build-{os.getpid()}-", dir=folder) as made:
            part = Path(made) / "kernels.so"
            _run([*compiler.command, *FLAGS, *compiler.flags, str(SOURCE), "-o", str(part)],
                 environment, f"{compiler.name} could not compile")
            _run([sys.executable, "-P", "-c", CHECK, str(ROOT), str(part)],
                 {**environment, "AGENT_NATIVE": "0", "OPENBLAS_NUM_THREADS": "1"},
                 f"what {compiler.name} compiles does not compute as numpy does")
            body = part.read_bytes()
            with open(part, "ab") as file:
                file.write(MARK + hashlib.sha256(body).hexdigest().encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path_of(folder, name))
    except OSError as error:
        raise BuildError(f"{folder} cannot hold a library: {error.strerror or error}") from error
    return path_of(folder, name)


def _run(command: Sequence[str], environment: Mapping[str, str], failed: str) -> None:
    """A child that must end well; with its own children it is ended where it takes too long."""
    limited = [sys.executable, "-I", "-S", "-c", LIMITED, str(COMPUTES_S), *command]
    with subprocess.Popen(limited, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(environment),
                          start_new_session=True) as child:
        try:
            printed, _ = child.communicate(timeout=WAITS_S)
        except subprocess.TimeoutExpired:
            raise BuildError(f"{failed} within {WAITS_S:g} s") from None
        finally:
            if child.poll() is None or child.returncode:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, 9)
    if child.returncode == -signal.SIGXCPU:
        raise BuildError(f"{failed} in {COMPUTES_S} s of computing")
    if child.returncode:
        lines = printed.decode(errors="replace").strip().splitlines()
        told = next((line for word in ("No space", "error") for line in lines if word in line),
                    lines[-1] if lines else "silent")
        raise BuildError(f"{failed}: {told[:SHOWN]} (status {child.returncode})")


def _sweep(folder: Path) -> None:
    """Remove what builds left that were killed: those of processes that are gone."""
    for left in folder.glob("build-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and int(pid) != os.getpid() and not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(left, ignore_errors=True)
