"""How many products of a first night's model are wrong on this machine, and by how much.

    python products.py
"""

import ctypes
import platform
import sys
from pathlib import Path

import numpy as np

from engine.config import Config
from engine.proof import faults_of_products, passes_of
from engine.proof.check import different

NAMES = ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename")


def main() -> int:
    config = Config()
    passes = passes_of(config, 2)
    n = sum(1 for _ in different(config, passes))
    wrong = faults_of_products(config, passes)
    sys.stdout.write(f"{len(wrong)} of {n} products are wrong ({platform.machine()}, numpy "
                     f"{np.__version__}, {kernel()})\n")
    sys.stdout.writelines(f"  {one}\n" for one in wrong[:3])
    return 0


def kernel() -> str:
    """Which of OpenBLAS' kernels it chose for this processor, as the library itself says."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    for path in {line.split()[-1] for line in maps.splitlines() if "openblas" in line}:
        library = ctypes.CDLL(path)
        for name in NAMES:
            if told := getattr(library, name, None):
                told.restype = ctypes.c_char_p
                return f"OpenBLAS for {told().decode()}"
    return "no OpenBLAS"


if __name__ == "__main__":
    sys.exit(main())
