"""Whether numpy computes right numbers here, asked of a child so that a daemon stays small.

    python -m agent.machine.proof '{"config": {…}, "n_replicas": 2}'

The child is started as every worker is, with one BLAS thread and the same environment, and prints
a JSON list of what is wrong. Where something is, it is asked again under each setting that may
mend it, and the first that does is what a person is told to use.
"""

import json
import platform
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.machine import machine
from engine.config import Config
from engine.errors import UserError

# A child computes for a second, on a processor that is emulated for twenty. Other programs may have
# the processor, and a phone may sleep: by the clock it may take longer, and that is no fault.
COMPUTES_S, WAITS_S = 60, 300.0
SHOWN = 300  # characters of what a child printed

# Kernels of OpenBLAS that do without the newest instructions, the fastest first.
KERNELS = {"aarch64": ("ARMV8",), "arm64": ("ARMV8",),
           "x86_64": ("Haswell", "Sandybridge", "Nehalem"), "amd64": ("Haswell", "Nehalem")}
# What numpy's own functions do without in the same way; names of both its generations.
FEATURES = {"aarch64": "SVE ASIMDHP ASIMDFHM", "arm64": "SVE ASIMDHP ASIMDFHM",
            "x86_64": "X86_V4 X86_V3 AVX512_ICL AVX512_SPR AVX512_SKX AVX512F AVX2 FMA3",
            "amd64": "X86_V4 X86_V3 AVX512_SKX AVX512F AVX2 FMA3"}
ANOTHER = "python -m pip install --upgrade --force-reinstall numpy"

Ask = Callable[[Config, int, Mapping[str, str]], list[str]]


def ask_child(config: Config, n_replicas: int, settings: Mapping[str, str]) -> list[str]:
    """What a child under these settings of the environment finds wrong."""
    request = json.dumps({"config": config.to_dict(), "n_replicas": n_replicas})
    try:
        child = subprocess.run([sys.executable, "-m", "agent.machine.proof", request],
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=WAITS_S,
                               env={**machine.worker_environment(), **settings}, check=False)
        if child.returncode == -signal.SIGXCPU:
            return [f"a test of it gave no answer in {COMPUTES_S} s of computing"]
        faults: list[str] = json.loads(child.stdout) if child.returncode == 0 else [
            f"a test of it ended with status {child.returncode}: {_last_line(child.stderr)}"]
    except subprocess.TimeoutExpired as error:
        raise UserError(f"a test of numpy was not over after {WAITS_S:g} s: other programs have "
                        "the processor, or it hangs; start again when it is free") from error
    except (OSError, ValueError) as error:
        raise UserError(f"numpy could not be put to the test: {error}; is memory short? Start "
                        "again") from error
    return faults


def _last_line(printed: bytes) -> str:
    lines = printed.decode(errors="replace").strip().splitlines()
    return lines[-1][:SHOWN] if lines else "it printed nothing"


def wrong_numbers(config: Config, n_replicas: int = 1, ask: Ask = ask_child,
                  architecture: str | None = None) -> tuple[str, str] | None:
    """What numpy computes wrongly for runs of this model, and what mends it; None if nothing."""
    faults = ask(config, n_replicas, {})
    if not faults:
        return None
    kind = (platform.machine() if architecture is None else architecture).lower()
    mends = next((told for settings, told in settings_for(kind)
                  if _is_mended(ask, config, n_replicas, settings)), None)
    return told(faults), mends or _unmended(kind)


def _is_mended(ask: Ask, config: Config, n_replicas: int, settings: Mapping[str, str]) -> bool:
    try:
        return not ask(config, n_replicas, settings)
    except UserError:  # no answer is none; what was found before is told all the same
        return False


def told(faults: list[str]) -> str:
    """One clause: what is wrong first, and how many more."""
    more = f", and {len(faults) - 1} more are wrong" if len(faults) > 1 else ""
    return f"numpy computes wrong numbers on this machine: {faults[0]}{more}"


def settings_for(architecture: str) -> Iterable[tuple[dict[str, str], str]]:
    """Settings of the environment that may mend it, with how a shell is told."""
    for name in KERNELS.get(architecture, ()):
        yield {"OPENBLAS_CORETYPE": name}, f"export OPENBLAS_CORETYPE={name}"
    if features := FEATURES.get(architecture):
        yield ({"NPY_DISABLE_CPU_FEATURES": features},
               f"export NPY_DISABLE_CPU_FEATURES='{features}'")


def remedy(architecture: str | None = None) -> str:
    """What to try where nothing was tried yet."""
    kind = (platform.machine() if architecture is None else architecture).lower()
    kernels = KERNELS.get(kind)
    return f"export OPENBLAS_CORETYPE={kernels[0]}" if kernels else ANOTHER


def _unmended(architecture: str) -> str:
    """What is left where no setting helped."""
    kernels = ", ".join(KERNELS.get(architecture, ()))
    if not kernels:
        return ANOTHER
    return (f"{ANOTHER} (OPENBLAS_CORETYPE={kernels} and NPY_DISABLE_CPU_FEATURES were tried in "
            "vain)")


def main(arguments: list[str]) -> int:
    """The child: everything a run of the model needs, and a list of what is wrong."""
    from engine.proof import faults, passes_of
    resource.setrlimit(resource.RLIMIT_CPU, (COMPUTES_S, COMPUTES_S))
    request: dict[str, Any] = json.loads(arguments[0])
    config = Config.from_dict(request["config"])
    found = faults(config, passes_of(config, request["n_replicas"]))
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
