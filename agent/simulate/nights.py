"""Many nights in made-up worlds, and what they say of the search: is a keep true?"""

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.search import Search, reserve_for
from agent.simulate.night import Greedy, Night, greedy, night
from agent.simulate.surface import SIGMA, Surface, synthetic

N_RUNS = 100  # of a night
SUITE = ("no-op", "seed-swap", "planted", "mixed", "texts")
MOST_FALSE, LEAST_FOUND, LEAST_GAIN, MOST_OPTIMISM = 0.05, 0.90, 0.75, 0.15
LEAST_COVERED, MOST_COVERED = 0.92, 0.98
Z_95 = statistics.NormalDist().inv_cdf(0.975)

Tick = Callable[[], None]  # told of every night that is over


@dataclass(frozen=True, slots=True)
class Nights:
    """Many nights on one surface, and the plain loop on the very same worlds."""

    nights: list[Night]
    plain: list[Greedy]  # empty where it was not asked for


def simulate(surface: Surface, n_nights: int, n_runs: int, seed: int,
             tick: Tick = lambda: None, *, with_greedy: bool = True,
             n_at_once: int = 1) -> Nights:
    """Independent nights; the i-th is the same however many there are."""
    nights, plain = [], []
    for i in range(n_nights):
        nights.append(night(Search(reserve_for(n_at_once)), surface(_rng(seed, i)), n_runs,
                            _rng(seed, i, "bandit"), n_at_once))
        if with_greedy:
            plain.append(greedy(surface(_rng(seed, i)), n_runs))
        tick()
    return Nights(nights, plain)


def _rng(*parts: object) -> random.Random:
    return random.Random("/".join(map(str, parts)))


# --- what many nights say --------------------------------------------------------------------

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of so many nights."""

    n: int
    of: int

    @property
    def value(self) -> float:
        return self.n / self.of

    @property
    def span(self) -> Span:
        """The 95 % interval. Source: Wilson 1927."""
        share, z = self.value, Z_95
        middle = share + z * z / (2 * self.of)
        reach = z * math.sqrt(share * (1 - share) / self.of + (z / (2 * self.of))**2)
        scale = 1 + z * z / self.of
        return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of two means over the same nights; None where nothing was gained to divide by."""

    value: float | None
    span: tuple[float | None, float | None] = (None, None)  # 95 %, by the delta method


def ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """mean(over) / mean(under); the pairs of numbers are one night's each."""
    n, mean = len(under), statistics.fmean(under)
    if mean <= 0:
        return Ratio(None)
    value = statistics.fmean(over) / mean
    if n < 2:
        return Ratio(value)
    errors = [a - value * b for a, b in zip(over, under, strict=True)]
    reach = Z_95 * statistics.stdev(errors) / math.sqrt(n) / mean
    return Ratio(value, (value - reach, value + reach))


def false_confirms(found: Nights) -> Share:
    """Nights that confirmed anything."""
    return Share(sum(night.batches["confirmed"] > 0 for night in found.nights),
                 len(found.nights))


def plants_found(found: Nights) -> Share:
    """Nights that confirmed the configuration which was planted."""
    return Share(sum(night.is_plant_confirmed for night in found.nights), len(found.nights))


def against_greedy(found: Nights) -> Ratio:
    """True gain of what was confirmed, in parts of the plain loop's."""
    return ratio([night.true for night in found.nights], [plain.true for plain in found.plain])


def coverage(found: Nights) -> Share | None:
    """Claims whose interval over seeds and texts holds the truth; None where nothing was claimed.
    """
    return _of_claims(found, sum(night.n_covered for night in found.nights))


def coverage_by_seeds(found: Nights) -> Share | None:
    """The same of the interval over seeds alone."""
    return _of_claims(found, sum(night.n_covered_by_seeds for night in found.nights))


def _of_claims(found: Nights, n: int) -> Share | None:
    n_claims = sum(night.batches["confirmed"] for night in found.nights)
    return Share(n, n_claims) if n_claims else None


def optimism(claims: Sequence[Night | Greedy]) -> Ratio:
    """Claimed gain over true gain, minus one."""
    claimed = ratio([one.claimed for one in claims], [one.true for one in claims])
    if claimed.value is None:
        return claimed
    low, high = claimed.span
    return Ratio(claimed.value - 1, (
        None if low is None else low - 1, None if high is None else high - 1))


@dataclass(frozen=True, slots=True)
class Suite:
    """The lines by which a search is accepted: SEARCH, acceptance."""

    nights: int  # of each line
    confirmed_noop: float
    confirmed_seed_swap: float
    confirmed_planted: float
    true_gain_vs_greedy: float | None
    optimism: float | None
    coverage: float | None  # None where no surface tells what other text changes
    spread: dict[str, tuple[float | None, float | None]]  # 95 % interval of each
    has_texts: bool = True  # whether coverage was to be found out

    def failures(self) -> list[str]:
        """The lines that are not met, in words."""
        lines = [(self.confirmed_noop <= MOST_FALSE, "no-op proposals were confirmed"),
                 (self.confirmed_seed_swap <= MOST_FALSE, "swapped seeds were confirmed"),
                 (self.confirmed_planted >= LEAST_FOUND, "a planted gain was missed"),
                 ((self.true_gain_vs_greedy or 0.0) >= LEAST_GAIN, "too little was gained"),
                 (self.optimism is not None and abs(self.optimism) <= MOST_OPTIMISM,
                  "claims are not what is true"),
                 (not self.has_texts or (self.coverage is not None and
                                         LEAST_COVERED <= self.coverage <= MOST_COVERED),
                  "claimed intervals do not hold the truth as often as they say")]
        return [words for is_met, words in lines if not is_met]

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "has_texts"}


def made_up(sigma: float = SIGMA, rho: float = 0.0) -> dict[str, Surface]:
    """The surfaces of the suite by name."""
    return {name: synthetic(name, sigma, rho) for name in SUITE}


def suite(surfaces: Mapping[str, Surface], n_nights: int, n_runs: int = N_RUNS, seed: int = 0, *,
          tick: Tick = lambda: None, n_at_once: int = 1) -> Suite:
    """The acceptance lines over n_nights each.

    surfaces  by the names of SUITE; intervals are checked where texts is among them
    """
    found = {name: simulate(surface, n_nights, n_runs, seed, tick,
                            with_greedy=name == "mixed", n_at_once=n_at_once)
             for name, surface in surfaces.items()}
    noop, swap = false_confirms(found["no-op"]), false_confirms(found["seed-swap"])
    planted, gain = plants_found(found["planted"]), against_greedy(found["mixed"])
    claim = optimism(found["mixed"].nights)
    covered = coverage(found["texts"]) if "texts" in found else None
    return Suite(
        n_nights, noop.value, swap.value, planted.value, gain.value, claim.value,
        covered.value if covered else None,
        {"confirmed_noop": noop.span, "confirmed_seed_swap": swap.span,
         "confirmed_planted": planted.span, "true_gain_vs_greedy": gain.span,
         "optimism": claim.span, "coverage": covered.span if covered else (None, None)},
        "texts" in found)
