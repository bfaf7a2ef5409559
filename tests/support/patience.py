"""How long tests wait for other processes: for a machine as most are, or PATIENCE times as long.

    PATIENCE=30 pytest tests/engine        # on a processor that is emulated
"""

import os
from collections.abc import Mapping


def patience(seconds: float, environ: Mapping[str, str] = os.environ) -> float:
    """Seconds to wait before a test fails; ValueError where the factor is no number above 0."""
    factor = float(environ.get("PATIENCE") or 1.0)
    if not 0.0 < factor < float("inf"):
        raise ValueError(f"PATIENCE={factor:g} is no factor above 0; use 30, say")
    return seconds * factor
