"""Nights in a made-up world, run by the very search that the daemon runs: is a keep true?

The truth is known here, so what a night confirms can be held against it, and its gain against that
of the plain loop that keeps whatever scored better once.
"""

import itertools
import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.search import (
    N_BASELINE_SEEDS,
    Decision,
    Kind,
    Propose,
    Repeat,
    Search,
    Stop,
    Trial,
    Without,
)
from agent.simulate.surface import BASELINE, SIGMA, Surface, World, synthetic
from strategies import STRATEGIES

N_RUNS = 100  # of a night
SUITE = ("no-op", "seed-swap", "planted", "mixed", "texts")
MOST_FALSE, LEAST_FOUND, LEAST_GAIN, MOST_OPTIMISM = 0.05, 0.90, 0.75, 0.15
LEAST_COVERED, MOST_COVERED = 0.92, 0.98
Z_95 = statistics.NormalDist().inv_cdf(0.975)

Tick = Callable[[], None]  # told of every night that is over


@dataclass(slots=True)
class Night:
    """What a night did, and what was true; gains in bits per byte against the baseline."""

    runs: Counter[str] = field(default_factory=Counter)  # by kind
    batches: Counter[str] = field(default_factory=Counter)  # confirmed, refuted, undecided
    n_covered: int = 0  # confirmed batches whose interval holds what they truly gained
    n_covered_by_seeds: int = 0  # or whose interval over seeds alone does
    n_ablated: int = 0
    is_plant_confirmed: bool = False
    claimed: float = 0.0  # what the night says the confirmed configuration gains
    true: float = 0.0
    head_true: float = 0.0  # of the head, confirmed or not
    silent: float = 0.0  # of the confirmed configuration on the shard that decides nothing
    reason: str = ""  # why it ended


class _Simulation:
    """Serves the actions of a search from a world."""

    def __init__(self, search: Search, world: World, rng: random.Random) -> None:
        self.search, self.world, self.rng = search, world, rng
        self.night = Night()
        self.fresh: dict[str, list[float]] = {}  # test scores of runs nothing was selected on
        self.plant_id: int | None = None
        self._ids = itertools.count(1)
        self._keys: dict[int, str] = {}  # of runs
        self._swaps = itertools.count(10**6)  # seeds of proposals that change no more than that

    def record(self, run_id: int, against_id: int | None, found: Decision) -> None:
        if found.verdict == "confirmed" and run_id == self.plant_id:
            self.night.is_plant_confirmed = True
        self.night.n_ablated += found.verdict == "ablated"
        if "z" in found.evidence or found.verdict == "undecided":  # the word on a batch
            self.night.batches[found.verdict] += 1
        if found.verdict == "confirmed" and "low_bpb" in found.evidence and against_id is not None:
            told = found.evidence
            base, head = (self.world.true(self._keys[one]) for one in (against_id, run_id))
            self.night.n_covered += told["low_bpb"] <= base - head <= told["high_bpb"]
            self.night.n_covered_by_seeds += (
                told["seeds_low_bpb"] <= base - head <= told["seeds_high_bpb"])

    def run(self, key: str, seed: int, kind: Kind, strategy: str = "",
            parent_id: int | None = None) -> None:
        scores = self.world.run(key, seed)
        if kind != "search":
            self.fresh.setdefault(key, []).append(scores.test)
        self.night.runs[kind] += 1
        run_id = next(self._ids)
        self._keys[run_id] = key
        blocks = self.world.blocks(key, seed) if kind != "search" else None
        self.search.settle(Trial(run_id, key, seed, kind, "finished", scores.search,
                                 scores.confirm, strategy, parent_id, confirm_blocks=blocks),
                           self.record)

    def plant(self, key: str, gain: float) -> None:
        """Make a configuration the head, as if its first run had shown all that it gains."""
        head = self.search.head
        assert head is not None  # the baseline has run
        self.plant_id = next(self._ids)
        self._keys[self.plant_id] = key
        self.search.settle(Trial(self.plant_id, key, head.seed, "search", "finished",
                                 head.bpb - gain), self.record)

    def serve(self, n_left: int) -> str | None:
        """Do what the search asks for next; the reason where the night is over."""
        action = self.search.next(n_left)
        if isinstance(action, Stop):
            return action.reason
        if isinstance(action, Repeat):
            self.run(action.node.key, action.seed, action.kind)
        elif isinstance(action, Without):
            self._leave_out(action)
        else:
            return self._propose(action)
        return None

    def _leave_out(self, action: Without) -> None:
        key = self.world.without(action.base.key, [
            step.node.key for step in action.steps if step is not action.step])
        if key is None:
            self.search.cannot_leave_out(action.step)
        else:
            self.run(key, action.seed, "ablate", parent_id=action.step.node.run_id)

    def _propose(self, action: Propose) -> str | None:
        names = action.names or tuple(STRATEGIES)
        strategy = self.search.bandit.order(names, self.rng)[0]
        key = self.world.propose(action.head.key)
        if key is None:
            return "every recorded configuration has been tried"
        seed = next(self._swaps) if self.world.swaps_seeds else action.head.seed
        self.run(key, seed, "search", strategy)
        return None

    def close(self, reason: str) -> Night:
        night, search = self.night, self.search
        assert search.head is not None
        assert search.confirmed is not None
        best = search.confirmed.key
        night.reason, night.claimed = reason, sum(search.claims)
        base = self.world.true(BASELINE)
        night.true = base - self.world.true(best)
        night.head_true = base - self.world.true(search.head.key)
        if best != BASELINE:
            night.silent = statistics.fmean(self.fresh[BASELINE]) - statistics.fmean(
                self.fresh[best])
        return night


def night(search: Search, world: World, n_runs: int, rng: random.Random) -> Night:
    """One night of n_runs runs, the baseline's among them, on a world of its own.

    rng  chooses the strategies
    """
    simulation = _Simulation(search, world, rng)
    for seed in range(min(N_BASELINE_SEEDS, n_runs)):
        simulation.run(BASELINE, seed, "baseline")
    plant = world.plant()
    if plant is not None:
        simulation.plant(plant, world.true(BASELINE) - world.true(plant))
    for n_left in range(n_runs - N_BASELINE_SEEDS, 0, -1):
        reason = simulation.serve(n_left)
        if reason:
            return simulation.close(reason)
    return simulation.close("all runs are used up")


@dataclass(frozen=True, slots=True)
class Greedy:
    """What the plain loop gains, and what it says it gains."""

    claimed: float
    true: float


def greedy(world: World, n_runs: int) -> Greedy:
    """The plain loop: every run is a proposal on one seed, and the better score is the head."""
    head, seed = BASELINE, 0
    start = best = world.run(head, seed).search
    for i in range(1, n_runs):
        key = world.propose(head)
        if key is None:
            break
        score = world.run(key, i if world.swaps_seeds else seed).search
        if score < best:
            head, best = key, score
    return Greedy(start - best, world.true(BASELINE) - world.true(head))


@dataclass(frozen=True, slots=True)
class Nights:
    """Many nights on one surface, and the plain loop on the very same worlds."""

    nights: list[Night]
    plain: list[Greedy]  # empty where it was not asked for


def simulate(surface: Surface, n_nights: int, n_runs: int, seed: int,
             tick: Tick = lambda: None, *, with_greedy: bool = True) -> Nights:
    """Independent nights; the i-th is the same however many there are."""
    nights, plain = [], []
    for i in range(n_nights):
        nights.append(night(Search(), surface(_rng(seed, i)), n_runs, _rng(seed, i, "bandit")))
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
    return Ratio(claimed.value - 1, (low and low - 1, high and high - 1))


@dataclass(frozen=True, slots=True)
class Suite:
    """The lines by which a search is accepted: SEARCH, acceptance."""

    nights: int  # of each line
    confirmed_noop: float
    confirmed_seed_swap: float
    confirmed_planted: float
    true_gain_vs_greedy: float | None
    optimism: float | None
    coverage: float | None
    spread: dict[str, tuple[float | None, float | None]]  # 95 % interval of each

    def failures(self) -> list[str]:
        """The lines that are not met, in words."""
        lines = [(self.confirmed_noop <= MOST_FALSE, "no-op proposals were confirmed"),
                 (self.confirmed_seed_swap <= MOST_FALSE, "swapped seeds were confirmed"),
                 (self.confirmed_planted >= LEAST_FOUND, "a planted gain was missed"),
                 ((self.true_gain_vs_greedy or 0.0) >= LEAST_GAIN, "too little was gained"),
                 (self.optimism is not None and abs(self.optimism) <= MOST_OPTIMISM,
                  "claims are not what is true"),
                 (self.coverage is not None and LEAST_COVERED <= self.coverage <= MOST_COVERED,
                  "claimed intervals do not hold the truth as often as they say")]
        return [words for is_met, words in lines if not is_met]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def suite(n_nights: int, n_runs: int = N_RUNS, seed: int = 0, *, sigma: float = SIGMA,
          rho: float = 0.0, tick: Tick = lambda: None) -> Suite:
    """The acceptance lines over n_nights each."""
    found = {name: simulate(synthetic(name, sigma, rho), n_nights, n_runs, seed, tick,
                            with_greedy=name == "mixed") for name in SUITE}
    noop, swap = false_confirms(found["no-op"]), false_confirms(found["seed-swap"])
    planted, gain = plants_found(found["planted"]), against_greedy(found["mixed"])
    claim, covered = optimism(found["mixed"].nights), coverage(found["texts"])
    return Suite(
        n_nights, noop.value, swap.value, planted.value, gain.value, claim.value,
        covered.value if covered else None,
        {"confirmed_noop": noop.span, "confirmed_seed_swap": swap.span,
         "confirmed_planted": planted.span, "true_gain_vs_greedy": gain.span,
         "optimism": claim.span, "coverage": covered.span if covered else (None, None)})
