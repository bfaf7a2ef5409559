"""What every arm is given: a text, a start, a trainer, and a sum of tokens to spend on runs.

Time is foreseen as on the machine of feasible.COSTS, so that a night is the same wherever it is
run.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from agent.search import feasible, footprint, study
from agent.search.campaign import MAX_PARAMS, SLOWEST
from engine.config import LATER, Config
from engine.errors import Diverged
from engine.model.workspace import Array
from engine.text.corpus import TokenSet
from engine.training.data import open_tokens
from engine.training.evaluate import score_model
from engine.training.train import Texts, Trainer
from strategies import tpe
from strategies.base import Limits, repaired, resized
from strategies.optimizers import ALWAYS

START = Config(n_embd=64, n_layer=2, n_head=2, lr=3e-4)  # mediocre: there is something to find
STARTS = {"mediocre": START,
          "good": repaired(START, resized(START, 48, 3) | {"lr": 3e-3}),
          "big": repaired(START, resized(START, 128, 4) | {"lr": 3e-3})}
MAX_RAM_MB = 3000.0
SEEDS_APART = 10_000  # of two nights; the seeds a winner is scored on begin half way
FRESH = SEEDS_APART // 2

Report = Callable[[float], None]  # told which share of the night's tokens is spent
IsHopeless = Callable[[int, float], bool]
Shard = tuple[Array, int]  # tokens, and the bytes that all but the first spell


@dataclass(frozen=True)
class Ended:
    """How one run ended; scores in bits per byte by shard, only where it finished."""

    state: Literal["finished", "pruned", "diverged"]
    tokens: int
    bpb: dict[str, float] = field(default_factory=dict)
    nats: float | None = None  # a token of the search shard
    rung_bpb: float | None = None  # at the first rung
    error: str | None = None


@dataclass(frozen=True)
class Course:
    """What every arm is given."""

    tokens: TokenSet
    start: Config
    budget_tokens: int  # of a run
    n_runs: int  # that the night's tokens suffice for
    n_fresh: int = 3  # seeds on which a winner is scored
    is_bound: bool = True  # to the space that all arms have

    def shard(self, split: str) -> Shard:
        path = self.tokens.paths[split]
        return open_tokens(path, self.start.vocab_size), self.tokens.n_bytes[split]

    def n_left(self, spent: int) -> int:
        """Runs that the rest of the night's tokens are worth, to the nearest whole one."""
        return max(0, round(self.n_runs - spent / self.budget_tokens))

    def run_s(self, config: Config, budget_tokens: int) -> float:
        """Seconds of a run on the machine of feasible.COSTS."""
        n_valid = self.tokens.n_tokens["search"]
        return feasible.learn([]).run_s(config, budget_tokens, 1, n_valid)

    def limits(self, run_s: Callable[[Config, int], float] | None = None) -> Limits:
        """The limits of a night as agent/search/campaign.py makes them; run_s: the time known."""
        run_s = run_s or self.run_s
        text_mb = 2e-6 * (self.tokens.n_tokens["train"] + self.tokens.n_tokens["search"])
        return Limits(
            budget_tokens=self.budget_tokens, max_params=MAX_PARAMS, max_mb=MAX_RAM_MB - text_mb,
            min_vocab=self.start.vocab_size, max_vocab=self.start.vocab_size,
            shuffle_mb=footprint.shuffle_mb(self.tokens.corpus.splits["train"].n_stories, 1),
            min_steps=study.MIN_STEPS, max_s=SLOWEST * run_s(self.start, self.budget_tokens),
            run_s=run_s, is_inside=self.is_inside if self.is_bound else None)

    def is_inside(self, config: Config) -> bool:
        """Whether Optuna's parameters hold a configuration: the strategies know more fields."""
        places = tpe._points([config])[0, :tpe.N_AXES]
        if bool(((places < -1e-9) | (places > 1 + 1e-9)).any()):
            return False
        sized = repaired(self.start, resized(self.start, config.n_embd, config.n_layer))
        return all(getattr(config, name) == getattr(sized, name)
                   for name in ("n_head", "hidden", "vocab_size", "rope_base", "grad_accum",
                                *LATER)) and config.optimizer in ALWAYS

    def train(self, config: Config, seed: int, splits: Sequence[str] = ("search",),
              rungs: Sequence[int] = (), is_hopeless: IsHopeless | None = None) -> Ended:
        """Train one configuration for the budget and score it on these shards.

        rungs        steps after which is_hopeless is asked; where it says so the run ends
        is_hopeless  of the number of a rung, from 1, and the bits per byte there
        """
        n_steps, at_rung = config.steps_for(self.budget_tokens), None
        trainer = Trainer(config, seed, n_steps, Texts(self.shard("train")[0],
                                                       *self.shard("search")))
        try:
            while trainer.step < n_steps:
                trainer.advance()
                if is_hopeless and trainer.step in rungs:
                    bpb = trainer.evaluate().bpb
                    at_rung = bpb if at_rung is None else at_rung
                    if is_hopeless(rungs.index(trainer.step) + 1, bpb):
                        return Ended("pruned", trainer.tokens, rung_bpb=at_rung)
            with np.errstate(over="ignore", invalid="ignore"):
                scores = {split: score_model(trainer.model, trainer.evaluation_params(),
                                             *self.shard(split)) for split in splits}
        except Diverged as error:
            return Ended("diverged", trainer.tokens, error=str(error))
        finally:
            trainer.close()
        found = {split: score.bpb for split, score in scores.items()}
        if not all(map(math.isfinite, found.values())):
            return Ended("diverged", trainer.tokens,
                         error="the loss after the last step is not finite")
        nats = scores["search"].nats if "search" in scores else None
        return Ended("finished", trainer.tokens, found, nats, at_rung)


class Fresh:
    """Scores on seeds that no arm has seen, on the test shard; each configuration is run once."""

    def __init__(self, course: Course, seeds: Sequence[int]) -> None:
        self.course, self.seeds = course, seeds
        self._known: dict[str, list[float | None]] = {}

    def bpb(self, config: Config) -> list[float | None]:
        """Bits per byte, one for each seed; None where the run diverged."""
        if config.hash not in self._known:
            self._known[config.hash] = [self.course.train(config, seed, ("test",)).bpb.get("test")
                                        for seed in self.seeds]
        return self._known[config.hash]

    def knows(self, config: Config) -> bool:
        return config.hash in self._known

    @property
    def n_known(self) -> int:
        return len(self._known)


@dataclass(frozen=True)
class Standing:
    """What a night would go on with after so many tokens."""

    tokens: int
    config: Config
    what: str  # start, head, confirmed, best trial

    def to_dict(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "what": self.what, "hash": self.config.hash,
                "config": self.config.to_dict()}


@dataclass
class Found:
    """What an arm did with its night; winner: what it hands over."""

    start: Config
    handed: list[Standing] = field(default_factory=list)  # each change of the winner, first start
    heads: list[Standing] = field(default_factory=list)  # the agent's, confirmed or not
    claimed_gain: float | None = None  # over the start, bits per byte; None: it claims nothing
    n_runs: int = 0  # that trained
    tokens: int = 0
    tokens_by_kind: Counter[str] = field(default_factory=Counter)  # baseline, search, confirm, ...
    wasted: Counter[str] = field(default_factory=Counter)  # by cause
    verdicts: Counter[str] = field(default_factory=Counter)
    end: str = "all tokens spent"
    story: list[str] = field(default_factory=list)  # a line for each run and each decision

    def __post_init__(self) -> None:
        self.hand_over(self.start, "start")

    @property
    def winner(self) -> Config:
        return self.handed[-1].config

    def take(self, ended: Ended, kind: str = "search") -> None:
        self.n_runs += 1
        self.tokens += ended.tokens
        self.tokens_by_kind[kind] += ended.tokens
        if ended.state == "diverged":
            self.wasted["diverged"] += 1

    def hand_over(self, config: Config, what: str) -> None:
        """Take note of what the arm would hand over if it were stopped now."""
        self._note(self.handed, config, what)

    def go_on_with(self, config: Config) -> None:
        """Take note of the agent's head."""
        self._note(self.heads, config, "head")

    def _note(self, standings: list[Standing], config: Config, what: str) -> None:
        now = Standing(self.tokens, config, "start" if config.hash == self.start.hash else what)
        before = standings[-1] if standings else None
        if before is None or (before.config.hash, before.what) != (now.config.hash, now.what):
            standings.append(now)
