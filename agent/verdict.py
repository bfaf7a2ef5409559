"""Keep or discard: a pure rule that knows the noise.

A challenger runs on the incumbent's seed and budget. It is kept where it beats the incumbent by
more than one standard deviation of the difference of two runs, as measured on the baseline's
seeds. Of ideas that change nothing about one in five passes: with three seeds the deviation is
itself rough.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.records import Verdict

RULE = "beyond-seed-noise/1"
N_BASELINE_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, its evidence and its reason in words."""

    verdict: Verdict
    evidence: dict[str, Any]
    reason: str


def seed_noise(scores_bpb: Sequence[float]) -> float | None:
    """Standard deviation of one configuration's score over seeds; None below two of them."""
    return statistics.stdev(scores_bpb) if len(scores_bpb) > 1 else None


def judge(challenger_bpb: float, incumbent_bpb: float | None,
          sigma_bpb: float | None, n_seeds: int) -> Decision:
    """Kept or discarded, on bits per byte of the same validation text.

    The difference of two independent runs varies by √2 times the noise of one.
    """
    if incumbent_bpb is None:
        return Decision("kept", {"bpb": challenger_bpb},
                        "first finished run: there is no incumbent to beat")
    gain = incumbent_bpb - challenger_bpb
    evidence: dict[str, Any] = {"bpb": challenger_bpb, "incumbent_bpb": incumbent_bpb,
                                "gain_bpb": gain, "sigma_bpb": sigma_bpb, "n_seeds": n_seeds}
    if sigma_bpb is None:
        return Decision("discarded", evidence,
                        f"{_amount(gain)}, but the noise could not be measured: fewer than two "
                        "baseline runs finished")
    noise = math.sqrt(2) * sigma_bpb
    evidence["noise_bpb"] = noise
    if gain > noise:
        return Decision("kept", evidence, f"{_amount(gain)}, more than the noise of {noise:.4f} "
                        f"({n_seeds} baseline seeds)")
    short = "within" if gain > 0 else "against"
    return Decision("discarded", evidence, f"{_amount(gain)}, {short} a noise of {noise:.4f} "
                    f"({n_seeds} baseline seeds)")


def _amount(gain: float) -> str:
    return f"{abs(gain):.4f} bits/byte {'better' if gain > 0 else 'worse'}"
