"""How far a gain hangs on the text it was measured on: its blocks were drawn, as its seeds were.

On seed i a run saves G_ib bits in block b, of w_b bytes, against another; W bytes are in all. The
gain is d̄, the mean over n seeds of d_i = Σ_b G_ib / W, and other text moves it by a variance of

    V_blocks = B/(B − 1) · Σ_b (Ḡ_b − d̄·w_b)² / W²
    V_rest   = B/(B − 1) · Σ_ib (G_ib − Ḡ_b − (d_i − d̄)·w_b)² / (n·(n − 1)·W²)
    V_texts  = V_blocks − V_rest, at least 0

V_rest is what a seed does to one block and not to another. It averages out over seeds, whose own
variance s_d²/n holds it already; V_texts comes to that, and more seeds do not lessen it.
Source: clusters in two ways, Cameron, Gelbach and Miller 2011, of a ratio of two sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.ledger import Blocks


@dataclass(frozen=True, slots=True)
class Spread:
    """What other text would change in a gain."""

    variance: float  # of the gain, in bits per byte
    n_blocks: int


def spread(batches: Sequence[Sequence[tuple[Blocks | None, Blocks | None]]]) -> Spread | None:
    """Of the summed mean gains of batches: of each the pairs of base and head, a seed each.

    None where a run does not tell its blocks, or where not all tell of the same two or more.
    """
    known = [run for pairs in batches for pair in pairs for run in pair]
    n_bytes = known[0].n_bytes if known and known[0] else ()
    n_blocks, n_all = len(n_bytes), sum(n_bytes)
    if n_blocks < 2 or any(run is None or run.n_bytes != n_bytes for run in known):
        return None
    summed, rest = [0.0] * n_blocks, 0.0
    for pairs in batches:
        saved = [[a - b for a, b in zip(base.bits, head.bits, strict=True)]
                 for base, head in pairs if base and head]
        means = [sum(block) / len(saved) for block in zip(*saved, strict=True)]
        summed = [a + b for a, b in zip(summed, means, strict=True)]
        if len(saved) > 1:
            apart = [[a - b for a, b in zip(one, means, strict=True)] for one in saved]
            rest += sum(_squares(one, n_bytes) for one in apart) / (len(saved) * (len(saved) - 1))
    variance = (_squares(summed, n_bytes) - rest) * n_blocks / (n_blocks - 1) / n_all**2
    return Spread(max(0.0, variance), n_blocks)


def _squares(saved: Sequence[float], n_bytes: Sequence[int]) -> float:
    """What blocks save beyond their share by bytes, squared and summed."""
    a_byte = sum(saved) / sum(n_bytes)
    return sum((bits - a_byte * n)**2 for bits, n in zip(saved, n_bytes, strict=True))
