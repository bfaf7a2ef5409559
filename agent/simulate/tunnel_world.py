"""A world of real runs: ideas come from the search's own model, scores from the wind tunnel.

A night here is one of the daemon's, but that a run is looked up instead of trained: the same
strategies, model of results, rung and limits. Its start is one of STARTS recipes that a person
might begin with; those of even numbers are for developing a search, the others for judging one.
What came with the program knows the tunnel's runs, so a night is shown only those of other texts.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from agent.search import Pending, advisor, feasible, prior, rungs
from agent.simulate.surface import BASELINE, Idea, Scores, Surface, World
from agent.simulate.tunnel import OUTPUTS, SEARCH, Tunnel
from agent.trial import rung
from engine.config import LATER, Config
from engine.errors import ConfigError, NoProposal
from strategies import STRATEGIES
from strategies.base import Limits, Outcome, legal_heads, repaired, why_not
from strategies.optimizers import ALWAYS

NAMES = ("no-op", "seed-swap", "planted", "mixed")  # of its surfaces; mixed: the real ideas

STARTS = 40
VOCABULARY = 1024  # of the table's runs
N_VALID = 100_000  # tokens of its search shard, about
MIN_STEPS, SLOWEST = 20, 2.0
RUNG = OUTPUTS.index("rung2")  # at a quarter, where the daemon's is
CONFIRM, TEST = OUTPUTS.index("confirm"), OUTPUTS.index("test")
PLANTED = 2.0  # gain of the plant, in standard deviations of a paired difference
WHERE = {"lr": (3e-4, 1e-2), "n_embd": (32, 128), "batch_size": (4, 32), "seq_len": (32, 128)}


def start_of(number: int) -> Config:
    """The recipe of that number, the same one always."""
    rng = random.Random(f"start {number}")
    while True:
        drawn = {name: low * (high / low) ** rng.random() for name, (low, high) in WHERE.items()}
        width = 16 * round(drawn["n_embd"] / 16)
        try:
            return repaired(Config(vocab_size=VOCABULARY), {
                "n_embd": width, "n_head": legal_heads(width, width / 32),
                "n_layer": rng.randint(1, 4), "lr": float(f"{drawn['lr']:.1e}"),
                "batch_size": 2 * round(drawn["batch_size"] / 2),
                "seq_len": 8 * round(drawn["seq_len"] / 8), "optimizer": rng.choice(ALWAYS)})
        except ConfigError:
            continue


class TunnelWorld:
    """One night's runs in the tunnel."""

    def __init__(self, rng: random.Random, tunnel: Tunnel, start: Config, kind: str) -> None:
        self.kind, self.swaps_seeds = kind, kind == "seed-swap"
        self.tunnel, self.start = tunnel, start
        self._night = tunnel.night(np.random.default_rng(rng.getrandbits(64)))
        self._seed, self._chance = rng.getrandbits(63), random.Random(rng.getrandbits(64))
        self._configs = {BASELINE: start}
        self._on: dict[str, str] = {}  # what each configuration was made from
        self._gain: dict[str, float] = {}  # of the plant, over what its configuration scores
        self._outcomes: list[Outcome] = []
        self._rungs: dict[str | None, list[tuple[float, float | None]]] = {}
        self._elsewhere = [row for row in prior.table()[1]
                           if not row.study.startswith(tunnel.text)]
        run_s, budget = _run_s(), tunnel.budget_tokens
        self.limits = Limits(
            budget_tokens=budget, min_vocab=VOCABULARY, max_vocab=VOCABULARY, min_steps=MIN_STEPS,
            max_s=SLOWEST * run_s(start, budget), run_s=run_s, is_inside=self._is_seen)

    def _is_seen(self, config: Config) -> bool:
        """Whether the tunnel tells it from others: its runs are older than some fields."""
        return config.optimizer in ALWAYS and all(
            getattr(config, name) == getattr(self.start, name) for name in LATER)

    # --- runs --------------------------------------------------------------------------------

    def run(self, key: str, seed: int, kind: str = "confirm", strategy: str = "") -> Scores:
        """What a run shows; an idea may be given up at the rung."""
        config = self._configs[key]
        shown = self._night.draw(config, seed, key)
        gain, at_rung = self._gain.get(key, 0.0), shown.rungs[1]
        is_pruned = self.kind == "mixed" and kind == "search" and self._gives_up(config, at_rung)
        final = None if is_pruned else shown.search - gain
        if kind not in rungs.ARMS:
            self._rungs.setdefault(rung.kind(config), []).append((at_rung, final))
        self._outcomes.append(Outcome(
            config=config, seed=seed, budget_tokens=self.limits.budget_tokens,
            state="pruned" if is_pruned else "finished", val_bpb=final, val_loss=final,
            strategy=strategy, is_pruned=is_pruned, rung_bpb=at_rung))
        return Scores(shown.search - gain, shown.confirm - gain, shown.test - gain, is_pruned)

    def _gives_up(self, config: Config, at_rung: float) -> bool:
        known = self._rungs.get(rung.kind(config), [])
        if rung.kind(config) is None:
            return False
        limit = rung.limit([one for one, _ in known], [end for _, end in known],
                           self._chance.random())
        return limit is not None and at_rung > limit

    def blocks(self, key: str, seed: int) -> None:
        return None  # the table's runs kept none

    def true(self, key: str) -> float:
        """On the shard that nothing is selected on."""
        mean = float(self.tunnel.means([self._configs[key]])[0, TEST])
        return mean - self._gain.get(key, 0.0)

    # --- ideas -------------------------------------------------------------------------------

    def idea(self, head: str, names: Sequence[str], pending: Sequence[Pending]) -> Idea | None:
        """What the search's own model chooses; without effect where the world has none."""
        if self.kind == "seed-swap":
            return Idea(head, names[0])
        if self.kind != "mixed":
            return Idea(self._child(head, 0.0), names[0])
        running = [Outcome(config=self._configs[one.key], seed=one.seed,
                           budget_tokens=self.limits.budget_tokens, state="running")
                   for one in pending if one.key in self._configs]
        known = advisor.Known([*self._outcomes, *running], self._elsewhere)
        number = len(self._outcomes) + len(running)
        try:
            found = advisor.choose(self._configs[head], known, names, [self._seed, 3, number],
                                   self.limits)
        except NoProposal:
            return None
        return Idea(self._known_as(found.config, head), found.strategy)

    def plain(self, head: str) -> str | None:
        """The plain loop's idea: one mutation of one strategy, drawn by chance."""
        if self.kind != "mixed":
            found = self.idea(head, [""], [])
            return found and found.key
        names = [name for name in STRATEGIES if name != "explore"]
        self._chance.shuffle(names)
        for name in names:
            try:
                offer = STRATEGIES[name](self._configs[head], self._outcomes, np.random.default_rng(
                    self._chance.getrandbits(63)), self.limits)
            except NoProposal:
                continue
            return self._known_as(offer.config, head)
        return None

    def plant(self) -> str | None:
        """A configuration that is better than the start by so much and no more."""
        if self.kind != "planted":
            return None
        sd = float(self.tunnel.sds(self.tunnel.means([self.start]))[0, SEARCH])
        return self._child(BASELINE, PLANTED * sd * math.sqrt(2 * (1 - self.tunnel.rho)))

    def without(self, base: str, steps: Sequence[str]) -> str | None:
        """The base with what these steps changed; None where that is not legal."""
        if self.kind != "mixed":
            return self._child(base, sum(
                self._gain[step] - self._gain.get(self._on[step], 0.0) for step in steps))
        fields: dict[str, Any] = {}
        for step in steps:
            fields |= {name: value for name, (_, value) in self._configs[
                self._on[step]].difference(self._configs[step]).items()}
        try:
            config = replace(self._configs[base], **fields)
        except ConfigError:
            return None
        return self._known_as(config, base) if why_not(config, self.limits) is None else None

    def _child(self, head: str, gain: float) -> str:
        key = f"{head}.{len(self._configs)}"
        self._configs[key] = self._configs[head]
        self._gain[key], self._on[key] = self._gain.get(head, 0.0) + gain, head
        return key

    def _known_as(self, config: Config, head: str) -> str:
        key = BASELINE if config.hash == self.start.hash else config.hash
        self._configs.setdefault(key, config)
        self._on.setdefault(key, head)
        return key


def _run_s() -> Callable[[Config, int], float]:
    """Seconds of a run on the machine that the model of time was made on."""
    model = feasible.learn([])
    return lambda config, budget: model.run_s(config, budget, 1, N_VALID)


def sigma(text: str) -> float:
    """How far a seed moves a score of the first start, bits per byte."""
    tunnel = Tunnel.open(text)
    return float(tunnel.sds(tunnel.means([start_of(0)]))[0, SEARCH])


def worlds(text: str, half: str, kind: str) -> Surface:
    """Nights in the tunnel of a text, each from another start of that half."""
    tunnel, first = Tunnel.open(text), int(half == "judge")

    def world(rng: random.Random) -> World:
        return TunnelWorld(rng, tunnel, start_of(2 * rng.randrange(STARTS // 2) + first), kind)

    return world
