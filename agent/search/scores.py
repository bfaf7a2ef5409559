"""What the runs of a study scored on the shard that confirms, and the noise in it."""

import itertools
from collections.abc import Iterator

from agent.ledger import Blocks
from agent.search import verdict
from agent.search.actions import Trial
from agent.search.verdict import Noise


class Scores:
    """Bits per byte by configuration and seed; `by_seed` of an unknown configuration is empty."""

    def __init__(self) -> None:
        self._baseline: list[float] = []
        self._of: dict[str, dict[int, float]] = {}
        self._blocks: dict[tuple[str, int], Blocks] = {}
        self._diverged: set[tuple[str, int]] = set()
        self._refuted: set[str] = set()
        self._noise: Noise | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scores) and (
            self._baseline, self._of, self._blocks, self._diverged, self._refuted) == (
            other._baseline, other._of, other._blocks, other._diverged, other._refuted)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def by_seed(self, key: str) -> dict[int, float]:
        """Scores of a configuration."""
        return self._of.get(key, {})

    def blocks(self, key: str, seed: int) -> Blocks | None:
        """A score in blocks of text; None where its run did not tell them."""
        return self._blocks.get((key, seed))

    def has_diverged(self, key: str, seed: int) -> bool:
        """Whether a configuration was to be compared on a seed, and has no score there."""
        return (key, seed) in self._diverged

    def add(self, trial: Trial) -> None:
        """Take in what a run scored."""
        if trial.state == "diverged" and trial.kind != "search":
            self._diverged.add((trial.key, trial.seed))
        if trial.confirm_bpb is None:
            return
        scores = self._of.setdefault(trial.key, {})
        scores[trial.seed] = trial.confirm_bpb
        if trial.confirm_blocks:
            self._blocks[trial.key, trial.seed] = trial.confirm_blocks
        if trial.kind == "baseline" or len(scores) > 1:  # else it pairs with nothing
            self._noise = None
        if trial.kind == "baseline" and trial.state == "finished":
            self._baseline.append(trial.confirm_bpb)

    def refute(self, key: str) -> None:
        """Leave a configuration out of the noise.

        It may be one that breaks down on some seeds, as too high a learning rate does, and its
        spread is not that of what stays. In Gaussian noise this biases nothing: the mean, for
        which it was refuted, is independent of the spread.
        """
        self._refuted.add(key)
        self._noise = None

    @property
    def noise(self) -> Noise | None:
        """Of a paired difference; pooled from the baseline and all pairs that share two seeds."""
        if self._noise is None:
            self._noise = verdict.pooled(self._baseline, self.pairs(), self._n_free())
        return self._noise

    def near(self, noise: Noise | None, *keys: str) -> Noise | None:
        """A noise as it is among configurations like the best known of these."""
        known = max((self.by_seed(key) for key in keys), key=len)
        return noise and verdict.nearby(noise, list(known.values()))

    @property
    def sigma(self) -> float | None:
        """Standard deviation of the baseline over seeds."""
        return verdict.seed_noise(self._baseline)

    @property
    def rho(self) -> float | None:
        """How much two configurations share of a seed's luck; None while nothing tells."""
        return verdict.seed_correlation(self._baseline, list(self.pairs()))

    def _by_seed(self) -> dict[int, list[str]]:
        """Configurations with two or more scores by the seeds they have run on."""
        found: dict[int, list[str]] = {}
        for key, scores in self._of.items():
            if len(scores) > 1 and key not in self._refuted:
                for seed in scores:
                    found.setdefault(seed, []).append(key)
        return found

    def _n_free(self) -> int:
        """What is left of the scores of pairs where each configuration and each seed has a level of
        its own: scores − configurations − seeds + parts that share neither.
        """
        by_seed = self._by_seed()
        parts: list[set[str]] = []
        for keys in by_seed.values():
            joined = set(keys).union(*(part for part in parts if not part.isdisjoint(keys)))
            parts = [part for part in parts if part.isdisjoint(keys)] + [joined]
        return (sum(map(len, by_seed.values())) - sum(map(len, parts)) - len(by_seed)
                + len(parts))

    def pairs(self) -> Iterator[list[float]]:
        """Differences of two configurations over the two or more seeds they share."""
        shared: dict[tuple[str, str], list[int]] = {}
        for seed, keys in sorted(self._by_seed().items()):
            for pair in itertools.combinations(keys, 2):
                shared.setdefault(pair, []).append(seed)
        for (a, b), seeds in shared.items():
            if len(seeds) > 1:
                yield [self._of[a][seed] - self._of[b][seed] for seed in seeds]
