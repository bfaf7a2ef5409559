"""One night in a made-up world, run by the very search that the daemon runs.

The truth is known here, so what the night confirms can be held against it, and its gain against
that of the plain loop that keeps whatever scored better once.
"""

import heapq
import itertools
import random
import statistics
from collections import Counter
from dataclasses import dataclass, field

from agent.search import (
    N_BASELINE_SEEDS,
    Decision,
    Kind,
    Pending,
    Propose,
    Repeat,
    Search,
    Stop,
    Trial,
    Wait,
    Without,
)
from agent.simulate.surface import BASELINE, World
from agent.trial import rung
from strategies import STRATEGIES


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
    length: float = 0.0  # in runs of middling length, one after the other
    reason: str = ""  # why it ended


class _Simulation:
    """Serves the actions of a search from a world, so many runs at a time.

    n_at_once  runs that are computed side by side; how long each takes varies by a half
    """

    def __init__(self, search: Search, world: World, rng: random.Random,
                 n_at_once: int = 1) -> None:
        self.search, self.world, self.rng, self.n_at_once = search, world, rng, n_at_once
        self.night = Night()
        self.fresh: dict[str, list[float]] = {}  # test scores of runs nothing was selected on
        self.plant_id: int | None = None
        self.spent = 0.0  # in runs; one that is given up counts by what it took
        self._ids = itertools.count(1)
        self._keys: dict[int, str] = {}  # of runs
        self._swaps = itertools.count(10**6)  # seeds of proposals that change no more than that
        self._lengths = random.Random(f"lengths {rng.getstate()[1][0]}" if n_at_once > 1 else 0)
        self._running: list[tuple[float, int, Pending, str]] = []  # a heap by when each ends

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

    @property
    def pending(self) -> list[Pending]:
        """What runs, in the order in which it began."""
        return [one for _, _, one, _ in sorted(self._running, key=lambda row: row[1])]

    def run(self, key: str, seed: int, kind: Kind, strategy: str = "",
            parent_id: int | None = None) -> None:
        """Begin a run; where no room is left, one ends first or, alone, it ends at once."""
        run_id = next(self._ids)
        self._keys[run_id] = key
        self.night.runs[kind] += 1
        self.spent += 1
        length = self._lengths.uniform(0.5, 1.5) if self.n_at_once > 1 else 1.0
        heapq.heappush(self._running, (self.night.length + length, run_id,
                                       Pending(kind, key, seed, parent_id), strategy))
        self.search.avoid(seed)
        if len(self._running) >= self.n_at_once:
            self.end_one()

    def end_one(self) -> None:
        """Let the run that is done first end."""
        self.night.length, run_id, one, strategy = heapq.heappop(self._running)
        scores = self.world.run(one.key, one.seed, one.kind, strategy)
        if scores.is_pruned:
            self.spent -= 1 - rung.SHARE
            self.search.settle(Trial(run_id, one.key, one.seed, one.kind, "pruned",
                                     strategy=strategy, parent_id=one.parent_id,
                                     cost=rung.SHARE), self.record)
            return
        if one.kind != "search":
            self.fresh.setdefault(one.key, []).append(scores.test)
        blocks = self.world.blocks(one.key, one.seed) if one.kind != "search" else None
        self.search.settle(Trial(run_id, one.key, one.seed, one.kind, "finished", scores.search,
                                 scores.confirm, strategy, one.parent_id, confirm_blocks=blocks),
                           self.record)

    def end_all(self) -> None:
        while self._running:
            self.end_one()

    def plant(self, key: str, gain: float) -> None:
        """Make a configuration the head, as if its first run had shown all that it gains."""
        head = self.search.head
        assert head is not None  # the baseline has run
        self.plant_id = next(self._ids)
        self._keys[self.plant_id] = key
        self.search.settle(Trial(self.plant_id, key, head.seed, "search", "finished",
                                 head.bpb - gain), self.record)

    def serve(self, n_left: float) -> str | None:
        """Do what the search asks for next; the reason where the night is over."""
        while isinstance(action := self.search.next(n_left, self.pending), Wait):
            self.end_one()
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
        idea = self.world.idea(action.head.key, self.search.bandit.order(names, self.rng),
                               self.pending)
        if idea is None:
            return "every recorded configuration has been tried"
        seed = next(self._swaps) if self.world.swaps_seeds else action.head.seed
        self.run(idea.key, seed, "search", idea.strategy, action.head.run_id)
        return None

    def close(self, reason: str) -> Night:
        self.end_all()
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


def night(search: Search, world: World, n_runs: int, rng: random.Random,
          n_at_once: int = 1) -> Night:
    """One night of n_runs runs, the baseline's among them, on a world of its own.

    rng  chooses the strategies
    """
    simulation = _Simulation(search, world, rng, n_at_once)
    for seed in range(min(N_BASELINE_SEEDS, n_runs)):
        simulation.run(BASELINE, seed, "baseline")
    simulation.end_all()
    plant = world.plant()
    if plant is not None:
        simulation.plant(plant, world.true(BASELINE) - world.true(plant))
    while (n_left := n_runs - simulation.spent) >= 1:
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
        key = world.plain(head)
        if key is None:
            break
        score = world.run(key, i if world.swaps_seeds else seed, "plain").search
        if score < best:
            head, best = key, score
    return Greedy(start - best, world.true(BASELINE) - world.true(head))
