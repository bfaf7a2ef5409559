"""One night of each arm of tests.bench.search: one space, one trainer, one sum of training tokens.

agent   agent/search/campaign.py over a ledger of its own, as the daemon drives it: calibration,
        search, confirmation and ablation are all paid from the same tokens
tpe     Optuna's TPESampler(multivariate=True) and MedianPruner, which looks at a quarter and at
        half of a run
tpe-deaf  the same, but a trial that may not run is told it failed, of which TPE takes no note
random  Optuna's RandomSampler

Optuna's parameters are places on the axes of strategies/tpe.py, so that no range is written twice.
Each of its trials trains on one seed, the first of the agent's. A trial that may not run is told
it was pruned, from which TPE learns as Optuna's manual advises, and it costs no tokens; it counts
as wasted. Time is foreseen as on the machine of feasible.COSTS, so that a night is the same
wherever it is run.
"""

import dataclasses
import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.machine.clock import Clock, later
from agent.search import feasible, study
from agent.search.campaign import MAX_PARAMS, SLOWEST, Campaign, Plan
from agent.search.searcher import KINDS, Searcher
from agent.search.verdict import Decision
from agent.trial import rung
from engine.config import Config
from engine.errors import Diverged, LedgerError, NoProposal
from engine.model.workspace import Array
from engine.text.corpus import TokenSet
from engine.training.data import open_tokens
from engine.training.evaluate import score_model
from engine.training.train import Texts, Trainer
from strategies import tpe
from strategies.base import Limits, repaired, resized, why_not

ARMS = ("agent", "tpe", "tpe-deaf", "random")
START = Config(n_embd=64, n_layer=2, n_head=2, lr=3e-4)  # mediocre: there is something to find
MAX_RAM_MB = 3000.0
RUNGS = (0.25, 0.5)  # of a run, where MedianPruner looks
MAX_TRIALS = 100  # for each run of the night: a sampler that finds nothing legal ends there
BEGAN = "2026-01-01T00:00:00Z"  # of every night, on its own clock
SEEDS_APART = 10_000  # of two nights; the seeds a winner is scored on begin half way
FRESH = SEEDS_APART // 2

Report = Callable[[float], None]  # told which share of the night's tokens is spent
IsHopeless = Callable[[int, float], bool]
Shard = tuple[Array, int]  # tokens, and the bytes that all but the first spell


@dataclass(frozen=True)
class Course:
    """What every arm is given."""

    tokens: TokenSet
    start: Config
    budget_tokens: int  # of a run
    n_runs: int  # that the night's tokens suffice for
    n_fresh: int = 3  # seeds on which a winner is scored

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
            min_steps=study.MIN_STEPS, max_s=SLOWEST * run_s(self.start, self.budget_tokens),
            run_s=run_s, is_inside=self.is_inside)

    def is_inside(self, config: Config) -> bool:
        """Whether Optuna's parameters hold a configuration: the strategies know more fields."""
        places = tpe._points([config])[0, :tpe.N_AXES]
        if bool(((places < -1e-9) | (places > 1 + 1e-9)).any()):
            return False
        sized = repaired(self.start, resized(self.start, config.n_embd, config.n_layer))
        return all(getattr(config, name) == getattr(sized, name)
                   for name in ("n_head", "hidden", "vocab_size", "rope_base", "grad_accum"))


@dataclass(frozen=True)
class Ended:
    """How one run ended; scores in bits per byte by shard, only where it finished."""

    state: Literal["finished", "pruned", "diverged"]
    tokens: int
    bpb: dict[str, float] = field(default_factory=dict)
    nats: float | None = None  # a token of the search shard
    rung_bpb: float | None = None  # at the first rung
    error: str | None = None


@dataclass
class Found:
    """What an arm did with its night."""

    winner: Config
    head: Config | None = None  # the agent's, not confirmed yet; None where it is the winner
    claimed_gain: float | None = None  # over the start, bits per byte; None: it claims nothing
    n_runs: int = 0  # that trained
    tokens: int = 0
    wasted: Counter[str] = field(default_factory=Counter)  # by cause
    verdicts: Counter[str] = field(default_factory=Counter)  # the agent's
    end: str = "all tokens spent"
    story: list[str] = field(default_factory=list)  # a line for each run and each decision

    def take(self, ended: Ended) -> None:
        self.n_runs += 1
        self.tokens += ended.tokens
        if ended.state == "diverged":
            self.wasted["diverged"] += 1


def train_one(course: Course, config: Config, seed: int, splits: Sequence[str] = ("search",),
              rungs: Sequence[int] = (), is_hopeless: IsHopeless | None = None) -> Ended:
    """Train one configuration for the course's budget and score it on these shards.

    rungs        steps after which is_hopeless is asked; where it says so the run ends
    is_hopeless  of the number of a rung, from 1, and the bits per byte there
    """
    n_steps, at_rung = config.steps_for(course.budget_tokens), None
    trainer = Trainer(config, seed, n_steps, Texts(course.shard("train")[0],
                                                   *course.shard("search")))
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
                                         *course.shard(split)) for split in splits}
    except Diverged as error:
        return Ended("diverged", trainer.tokens, error=str(error))
    finally:
        trainer.close()
    found = {split: score.bpb for split, score in scores.items()}
    if not all(map(math.isfinite, found.values())):
        return Ended("diverged", trainer.tokens, error="the loss after the last step is not finite")
    nats = scores["search"].nats if "search" in scores else None
    return Ended("finished", trainer.tokens, found, nats, at_rung)


def night(arm: str, number: int, course: Course, report: Report) -> dict[str, Any]:
    """One night of an arm, its winner scored on fresh seeds on the test shard: plain values."""
    seed = SEEDS_APART * (number + 1)
    found = (agent_night(course, seed, report) if arm == "agent"
             else optuna_night(course, seed, arm, report))
    fresh = range(seed + FRESH, seed + FRESH + course.n_fresh)
    return {
        "arm": arm, "night": number, "winner": found.winner.to_dict(),
        "winner_text": found.winner.describe(), "claimed_gain": found.claimed_gain,
        "n_runs": found.n_runs, "tokens": found.tokens, "wasted": dict(found.wasted),
        "verdicts": dict(found.verdicts), "end": found.end, "story": found.story,
        "unigram_bpb": course.tokens.bpb(course.tokens.yardsticks.unigram),
        "fresh_bpb": fresh_scores(course, found.winner, fresh),
        "head_bpb": fresh_scores(course, found.head, fresh) if found.head else None,
        "start_bpb": fresh_scores(course, course.start, fresh)}


def fresh_scores(course: Course, config: Config, seeds: Sequence[int]) -> list[float | None]:
    """Bits per byte on the test shard, one for each seed; None where the run diverged."""
    return [train_one(course, config, seed, ("test",)).bpb.get("test") for seed in seeds]


# --- this agent ------------------------------------------------------------------------------


class Inside(Campaign):
    """A campaign that stays in the space of the others."""

    course: Course

    def _limits(self, run_s: Callable[[Config, int], float] | None) -> Limits:
        limits = self.course.limits()
        return dataclasses.replace(super()._limits(run_s), min_vocab=limits.min_vocab,
                                   is_inside=limits.is_inside)


class Agent:
    """The daemon's part of a night: queue, claim, train, finish, judge."""

    def __init__(self, course: Course, seed: int, ledger: Ledger) -> None:
        self.course, self.ledger = course, ledger
        self.elapsed_s = 0.0  # on the night's own clock
        self.found = Found(course.start)
        clock = Clock(stamp=self.now)
        plan = Plan(MAX_RAM_MB, seed=seed, max_runs=course.n_runs)
        self.campaign = Inside(ledger, clock, plan, lambda _: course.tokens, lambda: None)
        self.campaign.course = course
        self.study = self.campaign.study = study.open_study(
            ledger, clock, course.tokens, course.start, seed, self._speed(course.start),
            course.budget_tokens)
        study.queue_baselines(ledger, self.study, self.now(), 1)

    def now(self) -> str:
        return later(BEGAN, self.elapsed_s)

    @staticmethod
    def _speed(config: Config) -> study.Speed:
        model = feasible.learn([])
        return study.Speed(model.step_s(config), model.eval_token_s(config),
                           config.tokens_per_step)

    def queue(self) -> None:
        """Queue what the search asks for. Raises NoProposal where it ends."""
        n_left = self.course.n_left(self.found.tokens)
        run = self.campaign.queue_next(self.course.n_runs - n_left)
        if why_not(Config.from_dict(run.config), self.course.limits()):
            self.found.wasted["out of bounds"] += 1

    def run(self) -> None:
        """Execute the oldest queued run and decide on it."""
        run = self.ledger.claim(self.now())
        assert run is not None  # queued just before
        config, budget = Config.from_dict(run.config), self.course.budget_tokens
        step, max_bpb = rung.step_of(config, budget), self.campaign.rung_limit(run)
        splits = ("search", "confirm", "test") if run.strategy in KINDS else ("search",)
        ended = train_one(self.course, config, run.seed or 0, splits, [step] if step else [],
                          lambda _, bpb: max_bpb is not None and bpb > max_bpb)
        self.found.take(ended)
        run_s = (self.course.run_s(config, budget) - feasible.SPAWN_S) * ended.tokens / budget
        self.elapsed_s += run_s
        run = self.ledger.finish(
            run.id, ended.state, self.now(), steps=ended.tokens // config.tokens_per_step,
            tokens=ended.tokens, val_loss=ended.nats, val_bpb=ended.bpb.get("search"),
            confirm_bpb=ended.bpb.get("confirm"), test_bpb=ended.bpb.get("test"),
            rung_bpb=ended.rung_bpb, tok_per_s=self._speed(config).tok_per_s, duration_s=run_s,
            error=ended.error)
        self.found.story.append(f"{run.label} {run.strategy} {run.config_text} seed {run.seed}: "
                                f"{run.val_bpb or run.state}; {run.reason}")
        self.campaign.judge(run, self._tell)

    def _tell(self, run: Run, against: Run | None, found: Decision) -> None:
        # A step that turns out to be needed is confirmed by name, yet no confirmation.
        name = "needed" if "cost_bpb" in found.evidence and found.verdict == "confirmed" else (
            found.verdict)
        self.found.verdicts[name] += "with" not in found.evidence
        self.found.story.append(f"    {run.label} against {against.label if against else 'none'}: "
                                f"{found.verdict}: {found.reason}")

    def conclude(self) -> Found:
        """The winner: what was confirmed, or else the head, of which nothing is claimed."""
        search = Searcher(self.ledger, self.study).search  # as the next night would take it up
        node = search.confirmed if search.claims else search.head
        if node:
            self.found.winner = Config.from_dict(self.ledger.run(node.run_id).config)
        if search.head and search.head != node:
            self.found.head = Config.from_dict(self.ledger.run(search.head.run_id).config)
        self.found.claimed_gain = sum(search.claims) if search.claims else None
        return self.found


def agent_night(course: Course, seed: int, report: Report) -> Found:
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as ledger:
        agent = Agent(course, seed, ledger)
        while n_left := course.n_left(agent.found.tokens):
            report(1 - n_left / course.n_runs)
            try:
                if not ledger.runs("queued"):
                    agent.queue()
            except LedgerError:  # the same run is there: the search would ask for it for ever
                agent.found.wasted["duplicate"] += 1
                agent.found.end = "the search asked for a run it has had"
                break
            except NoProposal as stop:
                agent.found.end = str(stop)
                break
            agent.run()
        return agent.conclude()


# --- Optuna ----------------------------------------------------------------------------------


def places(start: Config) -> dict[str, Any]:
    """Optuna's parameters of a configuration, without those that have no effect in it."""
    point = tpe._points([start])[0]
    found: dict[str, Any] = {axis.name: float(place) for axis, place
                             in zip(tpe.AXES, point, strict=False)}
    found |= {name: getattr(start, name) for name in tpe.CHOICES}
    return {name: found[name] for name, place in zip(tpe.NAMES, point, strict=True)
            if not math.isnan(place)}


def config_of(trial: Any, start: Config) -> Config:
    """The configuration at the place that Optuna suggests."""
    point = [trial.suggest_float(axis.name, 0.0, 1.0) for axis in tpe.AXES]
    point += [options.index(trial.suggest_categorical(name, options))
              for name, options in tpe.CHOICES.items()]
    active = tpe._active(np.array([point], dtype=float))[0]
    return repaired(start, tpe._fields(active, start))


def optuna_night(course: Course, seed: int, arm: str, report: Report) -> Found:
    import optuna  # the extra `bench`

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # multivariate is called experimental
        sampler = (optuna.samplers.RandomSampler(seed=seed) if arm == "random"
                   else optuna.samplers.TPESampler(multivariate=True, seed=seed))
    pruner = optuna.pruners.NopPruner() if arm == "random" else optuna.pruners.MedianPruner()
    peer = optuna.create_study(sampler=sampler, pruner=pruner)
    peer.enqueue_trial(places(course.start))
    found, known = Found(course.start), dict[str, float | None]()
    limits = course.limits()
    for _ in range(MAX_TRIALS * course.n_runs):
        n_left = course.n_left(found.tokens)
        if not n_left:
            break
        trial = peer.ask()
        config = config_of(trial, course.start)
        value = _value(trial, config, seed, course, limits, found, known)
        if value is None:
            is_unheard = arm == "tpe-deaf" and why_not(config, limits)
            peer.tell(trial, state=optuna.trial.TrialState.FAIL if is_unheard
                      else optuna.trial.TrialState.PRUNED)
        else:
            peer.tell(trial, value)
        report(1 - n_left / course.n_runs)
    else:
        found.end = f"{MAX_TRIALS * course.n_runs} trials"
    values = {trial.number: trial.value for trial in peer.trials
              if trial.state == optuna.trial.TrialState.COMPLETE}
    if values:
        found.winner = config_of(peer.best_trial, course.start)
    if 0 in values:  # the start
        found.claimed_gain = values[0] - peer.best_value
    return found


def _value(trial: Any, config: Config, seed: int, course: Course, limits: Limits, found: Found,
           known: dict[str, float | None]) -> float | None:
    """What Optuna is told of a trial; None where it has no final score."""
    if why_not(config, limits):
        found.wasted["out of bounds"] += 1
        return None
    if config.hash in known:
        found.wasted["duplicate"] += 1
        return known[config.hash]

    def is_hopeless(number: int, bpb: float) -> bool:
        trial.report(bpb, number)
        return bool(trial.should_prune())

    n_steps = config.steps_for(course.budget_tokens)
    ended = train_one(course, config, seed, ("search",),
                      [round(share * n_steps) for share in RUNGS], is_hopeless)
    found.take(ended)
    value = known[config.hash] = ended.bpb.get("search")
    found.verdicts["pruned"] += ended.state == "pruned"
    found.story.append(f"{trial.number} {config.describe()}: {value or ended.state}")
    return value
