"""Made-up worlds for `agent simulate`: what a configuration is truly worth, and what a run shows.

A configuration is named by its steps from the baseline, "0" and then "0.4.7", so leaving one out
gives the same name however it came about. A run's score on a shard is

    true(θ) + σ·(√ρ·u_s + √((1 − ρ)·w)·e_θs + √((1 − ρ)·(1 − w))·e_shard)

with u of the seed, e of the run and of the run on that shard, all standard normal: σ is the spread
over seeds on each shard and σ·√(2·(1 − ρ)) that of a paired difference.

Where ideas suit some texts more than others, each step adds τ·σ·e_step,shard, the same on every
seed. What steps and runs do to one block of a shard and not to another is so large that their means
over the shard are these e.
"""

import math
import random
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agent.ledger import Blocks, Queries
from agent.search import Pending
from engine.config import Config
from engine.errors import UserError

BASELINE = "0"
SIGMA = 1.0  # of a made-up surface; gains are then in standard deviations
SAME_RUN = 0.9  # w: two shards are scored by one model, so most of its luck is on both
HELPING = 0.1  # share of the proposals that help
TEXTS = 0.5  # τ: four steps then move a shard by 0.7 s_d, as measured on 4,256 tokens
N_BLOCKS = 32  # of the shard that confirms
PLANTED = 2.0  # gain of the planted configuration, in standard deviations of a paired difference
TABLES = ("tinystories", "builtin")  # of the wind tunnel's runs (tunnel.py)
HALVES = ("develop", "judge")  # of its starts
N_FEWEST = 5  # configurations with which a table is worth replaying

Draw = Callable[[random.Random], float]


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one run on the three shards, bits per byte."""

    search: float
    confirm: float
    test: float
    is_pruned: bool = False  # given up at a quarter: none of them is known


class Idea(NamedTuple):
    """A proposal: the configuration and the strategy whose it is."""

    key: str
    strategy: str


class World(Protocol):
    """One night's surface; its answers depend on its generators and on the order of questions."""

    swaps_seeds: bool  # a proposal is the head itself on another seed

    def run(self, key: str, seed: int, kind: str = "", strategy: str = "") -> Scores: ...

    def blocks(self, key: str, seed: int) -> Blocks | None: ...  # of the score that confirms

    def true(self, key: str) -> float: ...

    def plant(self) -> str | None: ...  # what is the head from the start; None: the baseline

    def idea(self, head: str, names: Sequence[str],
             pending: Sequence[Pending]) -> Idea | None: ...  # None: nothing is left

    def plain(self, head: str) -> str | None: ...  # the plain loop's idea

    def without(self, base: str, steps: Sequence[str]) -> str | None: ...  # None: not to be had


Surface = Callable[[random.Random], World]  # a night's world; the two draw from one generator


class _Noisy(ABC):
    """What a run adds to the truth; asked again, the same run gives the same."""

    swaps_seeds = False

    def __init__(self, rng: random.Random, sigma: float, rho: float, texts: float = 0.0) -> None:
        self._gauss = random.Random(rng.getrandbits(64)).gauss
        self._shared, own = sigma * math.sqrt(rho), sigma * math.sqrt(1 - rho)
        self._own, self._shard = own * math.sqrt(SAME_RUN), own * math.sqrt(1 - SAME_RUN)
        self._of_seed: dict[int, float] = {}
        self._of_run: dict[tuple[str, int], Scores] = {}
        self._text = texts * sigma
        self._suits: dict[str, Scores] = {}  # what each step adds to the shards
        self._in_blocks: dict[tuple[str, int] | str, list[float]] = {}

    @abstractmethod
    def true(self, key: str) -> float:
        """What a configuration scores without noise."""

    @abstractmethod
    def propose(self, head: str) -> str | None:
        """A configuration to try; None where nothing is left."""

    def idea(self, head: str, names: Sequence[str], pending: Sequence[Pending]) -> Idea | None:
        """The same, whichever strategy is asked."""
        key = self.propose(head)
        return None if key is None else Idea(key, names[0])

    def plain(self, head: str) -> str | None:
        return self.propose(head)

    def run(self, key: str, seed: int, kind: str = "", strategy: str = "") -> Scores:
        known = self._of_run.get((key, seed))
        if known is None:
            gauss = self._gauss
            if seed not in self._of_seed:
                self._of_seed[seed] = self._shared * gauss(0, 1)
            mean = self.true(key) + self._of_seed[seed] + self._own * gauss(0, 1)
            known = self._on_shards(mean, self._shard)
            for step in self._steps(key):
                suits = self._suits.setdefault(step, self._on_shards(0.0, self._text))
                known = Scores(known.search + suits.search, known.confirm + suits.confirm,
                               known.test + suits.test)
            self._of_run[key, seed] = known
        return known

    def _on_shards(self, mean: float, spread: float) -> Scores:
        search, confirm, test = (mean + spread * self._gauss(0, 1) for _ in range(3))
        return Scores(search, confirm, test)

    def blocks(self, key: str, seed: int) -> Blocks | None:
        """The score on the shard that confirms in blocks of equal size."""
        if not self._text:
            return None
        parts = [self._around((key, seed), self._shard),
                 *(self._around(step, self._text) for step in self._steps(key))]
        mean = self.run(key, seed).confirm
        return Blocks(tuple(mean + sum(block) for block in zip(*parts, strict=True)),
                      (1,) * N_BLOCKS)

    def _steps(self, key: str) -> list[str]:
        """Those from the baseline that suit some texts more than others."""
        return key.split(".")[1:] if self._text else []

    def _around(self, what: tuple[str, int] | str, mean_sigma: float) -> list[float]:
        """By how much blocks differ from their mean, where that varies by mean_sigma."""
        known = self._in_blocks.get(what)
        if known is None:
            sigma = mean_sigma * math.sqrt(N_BLOCKS)
            drawn = [sigma * self._gauss(0, 1) for _ in range(N_BLOCKS)]
            mean = sum(drawn) / N_BLOCKS
            known = self._in_blocks[what] = [value - mean for value in drawn]
        return known


class Synthetic(_Noisy):
    """Every proposal adds an effect of its own to what the head is worth.

    effect  draws how much better (above zero) a proposal truly is than the head
    """

    def __init__(self, rng: random.Random, sigma: float, rho: float, effect: Draw, *,
                 planted: float | None = None, swaps_seeds: bool = False,
                 texts: float = 0.0) -> None:
        super().__init__(rng, sigma, rho, texts)
        self._rng, self._effect = random.Random(rng.getrandbits(64)), effect
        self._planted, self.swaps_seeds = planted, swaps_seeds
        self._gains: list[float] = [0.0]  # of each step by its number; 0 is the baseline
        self._true = {BASELINE: 0.0}

    def true(self, key: str) -> float:
        if key not in self._true:
            self._true[key] = -sum(self._gains[int(step)] for step in key.split("."))
        return self._true[key]

    def propose(self, head: str) -> str:
        return head if self.swaps_seeds else self._child(head, self._effect(self._rng))

    def plant(self) -> str | None:
        return None if self._planted is None else self._child(BASELINE, self._planted)

    def without(self, base: str, steps: Sequence[str]) -> str:
        return ".".join([base, *(step.rpartition(".")[2] for step in steps)])

    def _child(self, head: str, gain: float) -> str:
        self._gains.append(gain)
        key = f"{head}.{len(self._gains) - 1}"
        self._true[key] = self.true(head) - gain
        return key


class Table(_Noisy):
    """Real configurations with their real scores, each proposed once, whatever the head is.

    losses  bits per byte by configuration, the baseline under BASELINE
    """

    def __init__(self, rng: random.Random, sigma: float, rho: float,
                 losses: Mapping[str, float]) -> None:
        super().__init__(rng, sigma, rho)
        self._losses = losses
        self._left = [key for key in losses if key != BASELINE]
        random.Random(rng.getrandbits(64)).shuffle(self._left)

    def true(self, key: str) -> float:
        return self._losses[key]

    def plant(self) -> None:
        return None

    def propose(self, head: str) -> str | None:
        return self._left.pop() if self._left else None

    def without(self, base: str, steps: Sequence[str]) -> str | None:
        return None  # nobody has run it


# --- the surfaces by name --------------------------------------------------------------------


def nothing(_rng: random.Random) -> float:
    """The effect of a proposal that changes nothing."""
    return 0.0


def some_help(mean: float) -> Draw:
    """Effects of which a tenth help and the others hurt, exponential with that mean."""
    def draw(rng: random.Random) -> float:
        size = rng.expovariate(1 / mean)
        return size if rng.random() < HELPING else -size
    return draw


def synthetic(name: str, sigma: float, rho: float, help_sigmas: float = 2.0) -> Surface:
    """The surface of that name: no-op, seed-swap, planted, mixed, or texts, mixed where ideas suit
    some texts more than others.
    """
    planted = PLANTED * sigma * math.sqrt(2 * (1 - rho)) if name == "planted" else None
    effect = some_help(help_sigmas * sigma) if name in ("mixed", "texts") else nothing
    return lambda rng: Synthetic(rng, sigma, rho, effect, planted=planted,
                                 swaps_seeds=name == "seed-swap",
                                 texts=TEXTS if name == "texts" else 0.0)


def table(losses: Mapping[str, float], sigma: float, rho: float) -> Surface:
    """The surface whose every night proposes those configurations in another order."""
    return lambda rng: Table(rng, sigma, rho, losses)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A study of the ledger as a table to replay."""

    n_runs: int  # finished ones
    n_configs: int  # besides the baseline
    sigma: float  # of the baseline's seeds, bits per byte
    losses: dict[str, float]


def recorded(ledger: Queries) -> Recorded:
    """The newest study's finished runs: mean bits per byte of each configuration over its seeds.

    LedgerError where there is no study; UserError where its noise or its runs are too few.
    """
    study = ledger.newest_study()
    base = Config.from_dict(study.config).hash
    by_key: dict[str, list[float]] = {}
    for run in ledger.comparable_runs(study):
        if run.state == "finished" and run.val_bpb is not None and run.config_hash:
            key = BASELINE if run.config_hash == base else run.config_hash
            by_key.setdefault(key, []).append(run.val_bpb)
    baseline, n_configs = by_key.get(BASELINE, []), len(by_key) - (BASELINE in by_key)
    sigma = study.sigma_bpb or (statistics.stdev(baseline) if len(baseline) > 1 else None)
    if not baseline or not sigma:
        raise UserError("the newest study has not measured its noise yet: its baseline needs two "
                        "finished seeds; `agent run` makes them")
    if n_configs < N_FEWEST:
        raise UserError(f"the newest study has {n_configs} finished configurations besides its "
                        f"baseline, too few to replay; {N_FEWEST} are needed")
    return Recorded(sum(map(len, by_key.values())), n_configs, sigma,
                    {key: statistics.fmean(scores) for key, scores in by_key.items()})
