"""Keep, confirm, refute, drop: the arithmetic of every decision, pure and in one place.

A search step is kept on one difference, over a part of what two runs like the head vary by, since
judging each with several seeds costs more than it finds. What is claimed rests on fresh seeds and
another shard alone. All scores are bits per byte; a gain is positive where a challenger is better.

    s_d²   = (ν₀·s₀² + ΣΣ(d_pi − d̄_p)²) / (ν₀ + N)     N = Σ(n_p − 1), pairs p of configurations
    df     = (ν₀ + N)² / (ν₀ + N²/M)     M of the N are independent: configurations share their runs
    z      = d̄·√n / s_d, at each of n = 2 … 5 pairs; confirmed where
    z     ≥ max(2, t(1 − α_k; df)) · √(5/n),  α_k = α / (k·(k + 1)) at the k-th batch since the last
                                              confirmed one

A batch is looked at up to four times and a night has several, so a bound of t(0.95) at each look
confirms ideas without effect in 12 to 20 % of nights (`agent simulate`). The root asks more of the
early looks (O'Brien and Fleming 1979), the α_k sum to α over however many batches.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from agent.ledger import State, Verdict
from agent.search.student import quantile
from agent.search.texts import Spread

RULE = "two-tier/6"
N_BASELINE_SEEDS = 5  # four degrees of freedom; the first incumbent's evidence
N_BATCH = 4  # kept steps before they are put to the test
MIN_PAIRS, MAX_PAIRS = 2, 5
STEP_NOISES = 0.7  # times s_d: a step smaller than this part of the noise is no step
LEAST_SPREAD = 1 / 30  # of the noise of all, below which so few scores agree by chance
LEAST_Z = 2.0
EULER = 0.5772156649015329
ALPHA = 0.035  # spent over all batches of a study that find nothing
N_ABLATION_SEEDS = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, its evidence and its reason in words."""

    verdict: Verdict
    evidence: dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of a paired difference of two runs that share a seed."""

    s_d: float
    df: int  # degrees of freedom behind it


@lru_cache(maxsize=1024)
def one_sided(share: float, df: int) -> float:
    """quantile of Student's t, remembered: a night asks for the same few."""
    return quantile(share, df)


def seed_noise(scores_bpb: Sequence[float]) -> float | None:
    """Standard deviation of one configuration's score over seeds; None below two of them."""
    return statistics.stdev(scores_bpb) if len(scores_bpb) > 1 else None


def pooled(baseline: Sequence[float], pairs: Iterable[Sequence[float]] = (),
           n_free: int | None = None) -> Noise | None:
    """Noise of a difference from the baseline's scores and every pair of configurations.

    baseline  scores over seeds; two differ by √2 times their deviation where nothing is shared
    pairs     differences over shared seeds of one pair of configurations each, two or more
    n_free    how many of the pairs' degrees of freedom are independent of each other; None: all

    Of k configurations on the same n seeds each of the k(k − 1)/2 pairs is pooled, and they are
    (k − 1)(n − 1) numbers: as many degrees of freedom has the sum as its variance is of
    (Satterthwaite 1946).
    """
    sigma = seed_noise(baseline)
    if sigma is None:
        return None
    own, n_pooled = len(baseline) - 1, 0
    total = own * 2 * sigma**2
    for differences in pairs:
        mean = sum(differences) / len(differences)
        total += sum((d - mean) ** 2 for d in differences)
        n_pooled += len(differences) - 1
    n_all = own + n_pooled
    shared = n_pooled**2 / (n_pooled if n_free is None else n_free) if n_pooled else 0.0
    return Noise(math.sqrt(total / n_all), math.floor(n_all**2 / (own + shared)))


def unpaired(noise: Noise | None, sigma: float | None) -> Noise | None:
    """Noise of a difference of two runs that share no seed: √2 σ of the baseline over seeds."""
    return None if noise is None or sigma is None else Noise(math.sqrt(2) * sigma, noise.df)


def nearby(noise: Noise, scores: Sequence[float]) -> Noise:
    """Noise of a difference of configurations like one that has these scores, each on its own seed.

    Seeds move a good configuration less than a poor start (by 0.01 beside 0.03 to 0.07 bits/byte
    on the table of real runs), and by the start's noise small steps on the way would be lost. The
    logarithm of what few scores say, its bias taken off, is drawn towards that of all by the
    weight of one degree of freedom; more than all say is not believed. Claims do not go by it.
    """
    df = len(scores) - 1
    if df < 1:
        return noise
    spread = max(math.sqrt(2) * statistics.stdev(scores), LEAST_SPREAD * noise.s_d)
    # E ln χ²/df = ψ(df/2) + ln(2/df); ψ of halves by ψ(x + 1) = ψ(x) + 1/x.
    psi = -EULER - (2 * math.log(2) if df % 2 else 0.0) + sum(
        2 / n for n in range(2 - df % 2, df, 2))
    own = math.log(spread) - (psi + math.log(2 / df)) / 2
    found = math.exp((df * own + math.log(noise.s_d)) / (df + 1))
    return Noise(min(found, noise.s_d), noise.df)


def seed_correlation(baseline: Sequence[float],
                     pairs: Sequence[Sequence[float]]) -> float | None:
    """ρ of two configurations on one seed: 1 − s²(pairs) / 2σ²; None while nothing tells it."""
    sigma, df = seed_noise(baseline), sum(len(differences) - 1 for differences in pairs)
    if not sigma or not df:
        return None
    squares = sum((len(d) - 1) * statistics.variance(d) for d in pairs)
    return max(-1.0, 1 - squares / df / (2 * sigma**2))


def of_state(state: State) -> Verdict:
    """The verdict on a run that did not finish: what became of it."""
    assert state not in ("queued", "running", "finished")
    return cast(Verdict, state)


# --- the search tier -------------------------------------------------------------------------


def search_step(challenger_bpb: float, head_bpb: float, noise: Noise | None, seed: int,
                head_seed: int | None = None) -> Decision:
    """Kept, provisionally, where one run is better than the head by more than the noise.

    seed, head_seed  of the two runs, where they differ: then noise is that of such a difference
    """
    gain, head_seed = head_bpb - challenger_bpb, seed if head_seed is None else head_seed
    evidence = {"bpb": challenger_bpb, "head_bpb": head_bpb, "gain_bpb": gain, "n": 1,
                "seed": seed, "head_seed": head_seed}
    said = f"{gained(gain)} than the head's {head_bpb:.4f} on seed {head_seed}"
    if head_seed != seed:
        said += f", as it has no run on seed {seed}"
    if noise:
        evidence |= {"s_d": noise.s_d, "df": noise.df}
        said += f", with a noise of {noise.s_d:.4f}"
    least = STEP_NOISES * (noise.s_d if noise else 0.0)
    if gain > least:
        return Decision("kept", evidence, f"{said}: until fresh seeds confirm or refute it")
    return Decision("discarded", evidence, f"{said}: a step is over {least:.4f}" if gain > 0
                    else said)


# --- the confirmation tier -------------------------------------------------------------------


def least_z(n_pairs: int, df: int, n_vain: int) -> float:
    """What z must reach after so many pairs, with n_vain batches since the last confirmed one."""
    k = n_vain + 1
    return max(LEAST_Z, one_sided(1 - ALPHA / (k * (k + 1)), df)) * math.sqrt(MAX_PAIRS / n_pairs)


def confirmation(gains: Sequence[float], noise: Noise, n_vain: int = 0,
                 spread: Callable[[], Spread | None] = lambda: None) -> Decision | None:
    """The word on a head after so many paired gains on fresh seeds; None asks for another pair.

    `undecided` after the last pair: the head stays provisional. spread tells, if the word falls,
    what other text would change in the mean gain; it moves the interval and no verdict.
    """
    n = len(gains)
    if n < MIN_PAIRS:
        return None
    mean = sum(gains) / n
    z, bound = mean * math.sqrt(n) / noise.s_d, least_z(n, noise.df, n_vain)
    if 0 <= z < bound and n < MAX_PAIRS:
        return None
    texts = spread()
    n_blocks = texts.n_blocks if texts else None
    seeds_low, seeds_high = interval(mean, n, noise)
    low, high = interval(mean, n, noise, texts)
    evidence = {"gain_bpb": mean, "low_bpb": low, "high_bpb": high, "seeds_low_bpb": seeds_low,
                "seeds_high_bpb": seeds_high, "n": n, "n_blocks": n_blocks, "z": z,
                "least_z": bound, "s_d": noise.s_d, "df": noise.df}
    said = f"{gained(mean)} over {n} fresh seeds, z {z:.2f}"
    if z >= bound:
        return Decision("confirmed", evidence, f"{said}, at least {bound:.2f} "
                        f"({span(low, high, n_blocks)})")
    if z < 0:
        return Decision("refuted", evidence, f"{said}: rolled back to what was confirmed before")
    return Decision("undecided", evidence, f"{said}, under {bound:.2f} after {MAX_PAIRS} pairs: "
                    "it stays provisional")


def interval(gain: float, n_pairs: float, noise: Noise,
             texts: Spread | None = None) -> tuple[float, float]:
    """The 95 % t interval of a mean gain over seeds and, where their spread is told, over texts.

    Of two variances with degrees of freedom of their own (Welch 1947, Satterthwaite 1946), and
    never narrower than over seeds alone.
    """
    over_seeds = noise.s_d**2 / n_pairs
    reach = one_sided(0.975, noise.df) * math.sqrt(over_seeds)
    if texts and texts.variance > 0:
        both = over_seeds + texts.variance
        df = both**2 / (over_seeds**2 / noise.df + texts.variance**2 / (texts.n_blocks - 1))
        reach = max(reach, quantile(0.975, df) * math.sqrt(both))
    return gain - reach, gain + reach


def span(low: float, high: float, n_blocks: int | None) -> str:
    """An interval in words, with what it is over where that is less than it should be."""
    over = "95 %" if n_blocks else "95 % over seeds alone"
    return f"{over}: {low:+.4f} to {high:+.4f}"


# --- simpler wins ----------------------------------------------------------------------------


def ablation(costs: Sequence[float], noise: Noise, sigma: float) -> Decision:
    """Whether a confirmed step is dropped: what its removal costs, and the most it may cost.

    costs  losses without the step minus losses with it, over shared seeds
    """
    mean, n = sum(costs) / len(costs), len(costs)
    most = mean + one_sided(0.9, noise.df) * noise.s_d / math.sqrt(n)
    evidence = {"cost_bpb": mean, "most_bpb": most, "n": n, "s_d": noise.s_d, "df": noise.df,
                "sigma": sigma}
    said = f"without it {gained(-mean)}, at most {most:+.4f} (90 %)"
    if most < sigma / 2:
        return Decision("ablated", evidence,
                        f"{said}, less than half the spread of a seed: dropped, simpler wins")
    return Decision("confirmed", evidence, f"{said}: the step stays")


def gained(gain: float) -> str:
    """A gain in words."""
    return f"{abs(gain):.4f} bits/byte {'better' if gain > 0 else 'worse'}"
