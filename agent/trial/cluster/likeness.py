"""What a machine would compute with: versions that must be the home's, and the bits that come out.

    python -m agent.trial.cluster.likeness

A child says it, started as every worker is, with one BLAS thread. Two machines are of one class
where some training steps on fixed numbers end in the same bits; processors of other instructions,
and other builds of BLAS, round otherwise.
"""

import hashlib
import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from agent.machine import kernels, machine
from engine.errors import UserError

LIMIT_S = 180.0  # a child takes a second; a phone with much else to do longer
PACKAGES = ("agent", "engine", "strategies")
CODE = {".py", ".c", ".h"}
N_STEPS = 3
N_CLASS = 6  # digits of the hash of its bits that name a class
SHOWN = 300  # characters of what a child printed


@dataclass(frozen=True, slots=True)
class Likeness:
    """One machine, as far as it matters to the numbers of a run."""

    version: str  # of the package, for people
    code: str  # hash of its files
    numpy: str
    kernels: str  # that it computes by: engine/native
    bits: str  # hash of what some training steps came to: the class of the device
    device: str
    cores: str  # the affinity mask
    n_cores: int

    @classmethod
    def of(cls, values: Any) -> Self:
        """From what a machine sent; UserError where it is none of ours."""
        try:
            found = cls(**values)
        except TypeError as error:
            raise UserError(f"it speaks another protocol ({error}); install the home's version of "
                            "phi-auto there") from error
        if not all(isinstance(value, str) for name, value in found.values().items()
                   if name != "n_cores") or type(found.n_cores) is not int:
            raise UserError("it told its versions in another form; install the home's version of "
                            "phi-auto there")
        return found

    def values(self) -> dict[str, Any]:
        return asdict(self)

    def refusal(self, other: Self) -> str | None:
        """Why a machine like other may not compute for a home like this one; None where it may."""
        if self.code != other.code:
            return (f"it has phi-auto {other.version} (code {other.code[:8]}), this home "
                    f"{self.version} (code {self.code[:8]}); install the same there")
        if self.numpy != other.numpy:
            return (f"it has numpy {other.numpy}, this home {self.numpy}; there: python -m pip "
                    f"install numpy=={self.numpy}")
        if self.kernels != other.kernels:
            return (f"it computes by {other.kernels} kernels, this home by {self.kernels}; start "
                    "it with the same AGENT_NATIVE")
        return None


def ask_child() -> Likeness:
    """This machine's, from a child. UserError where none can be had."""
    try:
        child = subprocess.run(machine.child("agent.trial.cluster.likeness"), check=False,
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S,
                               env=machine.worker_environment())
        return Likeness.of(json.loads(child.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UserError(f"cannot see what this machine computes with: {error}") from error


def own_class() -> str:
    """The class of this machine, as a child finds it. UserError where none can be had."""
    return class_name(ask_child().bits)


def class_name(bits: str) -> str:
    """What people and the ledger call a class of devices."""
    return f"class {bits[:N_CLASS]}"


def measured() -> Likeness:
    """This machine's, computed in this process."""
    import numpy as np

    return Likeness(version=machine.code_version(), code=code_digest(machine.ROOT),
                    numpy=np.__version__, kernels=kernels.usual(),
                    bits=bits(), device=machine.device(),
                    cores=machine.cores(), n_cores=machine.n_cores())


def code_digest(root: Path) -> str:
    """One hash over every file of our packages, their names with them."""
    found = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in CODE:
                found.update(f"{path.relative_to(root).as_posix()}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def bits() -> str:
    """Hash of the losses and parameters of some steps, and of products large enough for blocks."""
    import numpy as np

    from engine.config import Config
    from engine.training import Texts, Trainer

    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 256, 4096).astype(np.uint16)
    config = Config(n_embd=64, n_layer=2, n_head=2, vocab_size=512, seq_len=64, batch_size=4)
    trainer = Trainer(config, 0, N_STEPS, Texts(tokens, tokens[:513], 512))
    found = hashlib.sha256(platform.machine().encode())
    try:
        for _ in range(N_STEPS):
            found.update(repr(trainer.advance().loss).encode())
        found.update(trainer.params.buffer.tobytes())
    finally:
        trainer.close()
    for m, k, n in ((128, 512, 384), (1024, 128, 1024)):
        left, right = (rng.standard_normal(shape, np.float32) for shape in ((m, k), (k, n)))
        found.update((left @ right).tobytes())
    return found.hexdigest()


def main() -> int:
    """The child: its likeness as JSON."""
    sys.stdout.write(json.dumps(measured().values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
