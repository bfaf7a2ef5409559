"""What the scheduler costs with many workers: nights of one-minute runs, whose minutes are none.

The night's own loop does all of it, on a real ledger and real folders: it asks the search, begins
runs, takes in what they log, and decides. Only the workers are made up, and time is a number. What
a tick took of the processor is charged to it, so that a worker waits as long as it would for the
next. Processor time is measured, not the clock's, so that a loaded machine tells nearly the same.

    python -m tests.bench.scale --workers 10,100,1000
"""

import argparse
import cProfile
import dataclasses
import json
import math
import pstats
import random
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.home.paths import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.ledger.records import NewCalibration, Run
from agent.machine import guard
from agent.machine.clock import Clock, later
from agent.night.night import Night
from agent.night.turns import in_flight
from agent.search.campaign import Plan
from agent.search.foresight import any_tokens
from agent.search.study import Origin, new_run, queue_baselines, register_corpus
from agent.trial.executor import Process, Spawn, Where
from agent.trial.runner import Runner
from agent.trial.watching import LOG_POINTS
from engine.config import Config
from engine.text.corpus import Corpus, Split, TokenSet, Yardsticks
from strategies import explore
from strategies.base import Limits, why_not

START = "2026-01-01T00:00:00Z"
BUDGET = 200_000  # tokens of a run
RUN_S, SPREAD = 60.0, 0.2  # of a run, and by how much of it one differs from another
NIGHT_S = 8 * 3600.0
TICK_S = 0.5  # from one tick to the next, or as long as one takes
BASE = Config(n_embd=64, n_layer=2, n_head=2)
BUSY = 0.95
ROOM_MB = 1e9  # the workers are elsewhere
LIMITS = Limits(budget_tokens=BUDGET, n_replicas=1, max_params=10_000_000, max_mb=3000.0,
                max_vocab=BASE.vocab_size, min_steps=20)
MEASURED = {"start": "begin", "write_job": "begin", "poll": "news", "fetch": "news",
            "write": "news"}  # methods of a runner, by what they do
PARTS = ("ideas", "verdicts", "begin", "news")  # of a tick; what is left is its own


@dataclass(frozen=True, slots=True)
class Scale:
    """A night of so many workers, from when all of them were in the middle of a run."""

    workers: int
    runs: int  # that ended
    busy: float  # share of the workers' time in which they computed
    simulated_s: float
    cpu_s: float  # of the scheduler
    load: float  # of that, a second of the night: near 1 it is saturated
    run_ms: float  # what one run took of the scheduler, from its idea to its verdict
    ms: dict[str, float]  # of it by what was done
    runs_per_s: float  # decided on in the night
    decisions_per_s: float  # that the scheduler could make, if it did nothing but runs
    most_workers: int  # that it could keep so busy, by what a run took
    memory_mb: float  # of the process at its largest
    ended_by: str


# --- workers that are none --------------------------------------------------------------------


@dataclass
class Worker:
    """One that writes what a worker writes, at the moments it would."""

    run: Run
    folder: RunFolder
    begun_s: float
    length_s: float
    busy_from_s: float  # the part of it before is not counted
    score: float
    n_logged: int = 0
    status: int | None = None
    pid: int = 2**22 + 1  # above Linux's largest pid: no signal reaches anyone

    def poll(self) -> int | None:
        return self.status

    def write(self, now_s: float) -> None:
        """The lines that are due by now; with the last one it has ended."""
        share = (now_s - self.begun_s) / self.length_s
        due = min(LOG_POINTS, int(share * LOG_POINTS))
        lines = [line for i in range(self.n_logged + 1, due + 1) for line in self._step(i)]
        self.n_logged = max(due, self.n_logged)
        if share >= 1.0:
            self.status = 0
            lines.append({"kind": "done", "step": LOG_POINTS, "tokens": BUDGET, "train_loss": 4.4,
                          "nats": 2 * self.score, "bpb": self.score, "confirm_bpb": self.score,
                          "test_bpb": self.score, "tok_per_s": BUDGET / self.length_s,
                          "peak_mb": 60.0, "elapsed_s": self.length_s})
        if lines:
            with open(self.folder.events, "ab") as file:
                file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _step(self, i: int) -> list[dict[str, Any]]:
        n = Config.from_dict(self.run.config).n_layer
        tokens = BUDGET * i // LOG_POINTS
        return [{"kind": "step", "step": i, "tokens": tokens, "loss": 3.0, "lr": 1e-3,
                 "grad_norm": 1.0, "tok_per_s": BUDGET / self.length_s},
                {"kind": "layers", "step": i, **{name: [0.5] * n for name in (
                    "act_rms", "grad_rms", "max_score", "entropy", "dead_gates")}}]


class Workers:
    """The place where they are: as many as the night has slots."""

    is_elsewhere = True

    def __init__(self, n: int, seed: int) -> None:
        self.n_at_once: int | None = n
        self._rng, self.now = random.Random(seed), lambda: 0.0
        self.at_work: list[Worker] = []
        self.is_begun = False  # the first of them are in the middle of a run

    def start(self, run: Run, folder: RunFolder) -> Process:
        length_s = RUN_S * self._rng.uniform(1 - SPREAD, 1 + SPREAD)
        now_s, n = self.now(), self.n_at_once or 1
        # Those that run at the start were begun one after the other, as they are in a long night.
        share = 0.0 if self.is_begun else max(0.0, 1 - len(self.at_work) / n)
        begun_s = now_s - length_s * share
        worker = Worker(run, folder, begun_s, length_s, now_s,
                        score(Config.from_dict(run.config), run.seed or 0),
                        int(share * LOG_POINTS))
        self.at_work.append(worker)
        return worker

    def write(self, now_s: float) -> None:
        for worker in self.at_work:
            worker.write(now_s)
        self.at_work = [worker for worker in self.at_work if worker.status is None]

    def find(self, run: Run, folder: RunFolder) -> Process | None:
        return None

    def end_left(self, run: Run, folder: RunFolder, pid: int) -> None: ...

    def signal(self, process: Process, number: int) -> None: ...

    def read(self, process: Process) -> guard.Reading | None:
        return None

    def may_start(self, run: Run, predicted_mb: float) -> guard.Word | None:
        return guard.Word(True, "there is room")

    def where(self, process: Process) -> Where:
        return Where("made up", "0", "0")

    def device(self, study: int | None = None) -> str | None:
        return "made up"

    def n_beside(self, n_trials: int, look: Callable[[], None]) -> int:
        return 1

    def measuring(self, study: int | None, predicted_mb: float) -> Spawn:
        raise OSError("nothing is measured")


class Silent:
    """Nobody listens."""

    def say(self, message: str) -> None: ...

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None: ...


def score(config: Config, seed: int) -> float:
    """Bits per byte of a made-up world, with one best setting of each field and a seed's luck."""
    log = math.log2
    far = (0.05 * log(config.lr / 6e-3) ** 2 + 0.03 * log(config.n_embd / 256) ** 2
           + 0.02 * log(config.batch_size / 4) ** 2 + 0.02 * log(config.seq_len / 64) ** 2
           + 0.05 * (config.beta1 - 0.85) ** 2)
    return 1.2 + far + 0.003 * random.Random(f"{config.hash} {seed}").gauss(0, 1)


# --- the night --------------------------------------------------------------------------------


class Stage:
    """A night of so many slots, its workers, and the moment it is."""

    def __init__(self, ledger: Ledger, root: Path, n_workers: int,
                 cpu: Callable[[], float] = time.process_time) -> None:
        self.ledger, self.home, self.n_workers, self.cpu = ledger, Home(root), n_workers, cpu
        self.now_s = self._tick_began = 0.0
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []  # of parts under way, what parts inside them took
        self.workers = Workers(n_workers, n_workers)
        self.workers.now = self.moment
        clock = Clock(stamp=lambda: later(START, int(self.now_s)), seconds=lambda: self.now_s,
                      boot=lambda: self.now_s, local_minutes=lambda: 0)
        self.tokens = _tokens(self.home)
        runner = Runner(ledger, self.home, clock, ROOM_MB, executor=self.workers)
        plan = Plan(ROOM_MB, n_trials=n_workers, deadline_s=NIGHT_S)
        self.night = Night(runner, plan, observer=Silent(),
                           prepare=lambda vocab_size: self.tokens, read_free_mb=lambda: ROOM_MB)
        self._begin()
        self._measure_parts()

    def _begin(self) -> None:
        """A study whose noise is known, and as many runs as the night may have asked for."""
        corpus = register_corpus(self.ledger, self.tokens, START)
        number = self.ledger.add_calibration(NewCalibration(
            created_at=START, corpus_id=corpus, text_sha256=self.tokens.corpus.sha256,
            budget_tokens=BUDGET, config=BASE.to_dict(), seeds=[0, 1, 2, 3, 4], n=0, run_s=RUN_S))
        study = self.night.study = self.ledger.calibration(number)
        queue_baselines(self.ledger, study, START, 1)
        while self.ledger.calibration(number).n < 5:
            self.tick(RUN_S / 10)
        self._queue_some(corpus, number)
        while len(self.night.slots) < self.n_workers:
            self.tick(0.0)
        self.workers.is_begun = True

    def _queue_some(self, corpus: int, study: int) -> None:
        rng = np.random.default_rng(self.n_workers)
        known, n = {BASE.hash}, self.night.plan.window - len(in_flight(self.night))
        while len(known) <= n:
            size = explore.SIZES[int(rng.integers(len(explore.SIZES)))]
            config = explore.move(BASE, rng, size)
            if config.hash in known or why_not(config, LIMITS) is not None:
                continue
            known.add(config.hash)
            self.ledger.queue(new_run(self.ledger, config, 0, BUDGET, corpus, START, Origin(
                "explore", "runs already", study)))

    def moment(self) -> float:
        """Now, as late in a tick as it took of the processor."""
        return self.now_s + max(0.0, self.cpu() - self._tick_began)

    def tick(self, at_least_s: float = TICK_S) -> float:
        """What workers wrote by now, and one tick; seconds of the processor that it took."""
        self.workers.write(self.now_s)
        self._tick_began = self.cpu()
        self.night.tick()
        took = self.cpu() - self._tick_began
        self.now_s += max(at_least_s, took)
        return took

    # --- what it takes -----------------------------------------------------------------------

    def _measure_parts(self) -> None:
        night, campaign = self.night, self.night.campaign
        campaign.ask = self._part("ideas", campaign.ask)  # type: ignore[method-assign]
        night.judge = self._part("verdicts", night.judge)  # type: ignore[method-assign]
        for name, part in MEASURED.items():
            setattr(Runner, name, self._part(part, getattr(Runner, name)))

    def _part(self, name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*values: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            before = self.cpu()
            try:
                return do(*values, **named)
            finally:
                took = self.cpu() - before
                self.spent[name] += took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took
        return measured

    def run(self, n_runs: int, most_cpu_s: float) -> str:
        """Until so many runs have ended, or the scheduler has used so much of the processor."""
        while self.night.n_ended < n_runs:
            self.spent["all"] += self.tick()
            if self.night.is_over:
                return "the night was over"
            if self.spent["all"] > most_cpu_s:
                return "processor time"
        return "runs"


def _tokens(home: Home) -> TokenSet:
    """A text of nothing, with all its parts."""
    found = any_tokens(home, BASE)
    parts = ("train", "search", "confirm", "test")
    text = Corpus("made up", "file", home.data, "aa", {
        name: Split(n_stories=1, n_bytes=100, sha256="cc") for name in parts})
    return dataclasses.replace(
        found, corpus=text, yardsticks=Yardsticks(6.2, 5.8, 3.4, 2.8),
        paths=dict.fromkeys(parts, found.paths["train"]),
        n_tokens=dict.fromkeys(parts, 10**5), n_bytes=dict.fromkeys(parts, 3 * 10**5))


def measure(n_workers: int, root: Path, n_runs: int, most_cpu_s: float,
            cpu: Callable[[], float] = time.process_time,
            profile: cProfile.Profile | None = None) -> Scale:
    """A night of so many workers in a new home."""
    methods = {name: getattr(Runner, name) for name in MEASURED}
    try:
        with Ledger.open(root / "ledger.db") as ledger:
            stage = Stage(ledger, root, n_workers, cpu)
            stage.night.n_ended, began_s = 0, stage.now_s
            if profile:
                profile.enable()
            why, busy_s = _through(stage, n_runs, most_cpu_s)
            if profile:
                profile.disable()
            return _told(stage, stage.now_s - began_s, busy_s, why)
    finally:
        for name, method in methods.items():
            setattr(Runner, name, method)


def _through(stage: Stage, n_runs: int, most_cpu_s: float) -> tuple[str, float]:
    """How it ended, and for how long its workers computed in sum."""
    seen, start = list(stage.workers.at_work), stage.workers.start
    for one in seen:
        one.busy_from_s = stage.now_s

    def noted(run: Run, folder: RunFolder) -> Process:
        worker = start(run, folder)
        assert isinstance(worker, Worker)
        seen.append(worker)
        return worker

    stage.workers.start = noted  # type: ignore[method-assign]
    why = stage.run(n_runs, most_cpu_s)
    return why, sum(max(0.0, min(stage.now_s, one.begun_s + one.length_s) - one.busy_from_s)
                    for one in seen)


def _told(stage: Stage, over_s: float, busy_s: float, why: str) -> Scale:
    n, cpu_s = max(1, stage.night.n_ended), stage.spent["all"]
    ms = {name: 1e3 * stage.spent[name] / n for name in PARTS}
    ms["ticks"] = 1e3 * cpu_s / n - sum(ms.values())
    run_ms = sum(ms.values())
    return Scale(
        workers=stage.n_workers, runs=stage.night.n_ended,
        busy=busy_s / (over_s * stage.n_workers), simulated_s=over_s, cpu_s=cpu_s,
        load=cpu_s / over_s, run_ms=run_ms, ms=ms, runs_per_s=stage.night.n_ended / over_s,
        decisions_per_s=1e3 / run_ms, most_workers=int(1e3 * RUN_S / run_ms / BUSY),
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, ended_by=why)


def table(found: Sequence[Scale]) -> str:
    """What was measured, a line for each number of workers, and what a run costs by its parts."""
    heads = ("workers", "runs", "busy", "load", "ms a run", "runs/s", "at most/s", "MB", "at most")
    lines = ["  ".join([*heads, "ended by"])]
    for one in found:
        cells = (f"{one.workers:,}", f"{one.runs:,}", f"{one.busy:.1%}", f"{one.load:.0%}",
                 f"{one.run_ms:.1f}", f"{one.runs_per_s:.2f}", f"{one.decisions_per_s:.1f}",
                 f"{one.memory_mb:.0f}", f"{one.most_workers:,}")
        lines.append("  ".join([*(cell.rjust(len(head)) for cell, head in
                                  zip(cells, heads, strict=True)), one.ended_by[:40]]))
    for one in found:
        parts = ", ".join(f"{what} {ms:.2f}" for what, ms in sorted(
            one.ms.items(), key=lambda item: -item[1]))
        lines.append(f"{one.workers:,} workers, ms a run: {parts}")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> list[Scale]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", default="10,100,1000")
    parser.add_argument("--minutes", type=float, default=5.0, help="runs each worker may make")
    parser.add_argument("--cpu", type=float, default=60.0, help="seconds of the processor for each")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="N dearest functions")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    found, profile = [], cProfile.Profile() if asked.profile else None
    for n in map(int, asked.workers.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(n, Path(folder), int(n * asked.minutes), asked.cpu,
                                 profile=profile))
    told: Any = [asdict(one) for one in found]
    print(json.dumps(told, indent=1) if asked.json else table(found))  # noqa: T201 a bench's word
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(asked.profile)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(asked.profile)
    return found


if __name__ == "__main__":
    main()
