"""What the scheduler costs with many workers: nights of one-minute runs, whose minutes are none.

The search, its proposals and every write of the ledger are the daemon's own code on a real file;
only the training is made up and time is a number. What each call took of the processor is charged
to a scheduler that does one thing at a time, so that a worker waits as long as it would. Processor
time is measured, not the clock's, so that a loaded machine tells nearly the same.

    python -m tests.bench.scale --workers 10,100,1000
"""

import argparse
import heapq
import json
import math
import random
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from agent.ledger.ledger import Ledger
from agent.ledger.records import Metric, NewCalibration, NewCorpus, Run
from agent.machine.clock import later
from agent.search.searcher import Searcher, Wanted
from agent.search.study import Origin, new_run, note_noise, queue_baselines
from engine.config import Config
from engine.errors import NoProposal
from strategies import explore
from strategies.base import Limits, why_not

T = TypeVar("T")
START = "2026-01-01T00:00:00Z"
BUDGET = 200_000  # tokens of a run
RUN_S, SPREAD = 60.0, 0.2  # of a run, and by how much of it one differs from another
LOG_S = 1.0  # between two lines of a worker's log, of which each is a commit
N_LOGGED = 400  # commits that are made; what those behind them cost is the mean of these
BASE = Config(n_embd=64, n_layer=2, n_head=2)
BUSY = 0.95
LIMITS = Limits(budget_tokens=BUDGET, n_replicas=1, max_params=10_000_000, max_mb=3000.0,
                max_vocab=BASE.vocab_size, min_steps=20)


@dataclass(frozen=True, slots=True)
class Scale:
    """A night of so many workers, from when all of them were in the middle of a run."""

    workers: int
    runs: int  # that ended
    busy: float  # share of the workers' time in which they computed, all of them at the start
    lasting: float  # the same of a long night, by what a run takes of the scheduler
    simulated_s: float
    cpu_s: float  # of the scheduler
    run_ms: float  # what one run took of the scheduler, from its idea to its verdict
    ms: dict[str, float]  # of it by what was done
    last_next_ms: float  # an idea at the end, when the most was known
    decisions_per_s: float  # that the scheduler could make, if it did nothing but runs
    writes_per_s: float  # commits a second of the night
    most_workers: int  # that it could keep so busy, by what a run took
    memory_mb: float  # of the process at its largest
    ended_by: str


@dataclass
class Night:
    """The scheduler and its workers; one thing happens at a time."""

    ledger: Ledger
    n_workers: int
    rng: random.Random
    batch: int = 1  # ideas that are asked for at once, at most
    cpu: Callable[[], float] = time.process_time
    now_s: float = 0.0
    free_s: float = 0.0  # when the scheduler has done what it was asked
    n_ended: int = 0
    busy_s: float = 0.0
    n_writes: int = 0
    spent: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    running: list[tuple[float, int, int, float]] = field(default_factory=list)  # end, run, seed, s

    def __post_init__(self) -> None:
        corpus = self.ledger.add_corpus(NewCorpus(
            name="made up", source="builtin", text_sha256="aa", vocab_size=BASE.vocab_size,
            tokenizer_sha256="bb", search_sha256="cc", created_at=START, n_tokens_train=10**6,
            n_tokens_search=10**5, n_bytes_search=3 * 10**5, unigram_nats=5.78))
        number = self.ledger.add_calibration(NewCalibration(
            created_at=START, corpus_id=corpus, text_sha256="aa", budget_tokens=BUDGET,
            config=BASE.to_dict(), seeds=[0, 1, 2, 3, 4], n=0, run_s=RUN_S))
        self.study = self.ledger.calibration(number)
        queue_baselines(self.ledger, self.study, START, 1)
        self.searcher = Searcher(self.ledger, self.study)
        for run in self.ledger.runs("queued"):
            self._begin(run)
        while self.running:
            self._end()
        self.study = note_noise(self.ledger, self.study)
        self.searcher = Searcher(self.ledger, self.study)
        self.began_s = self.now_s
        self._fill(corpus)
        self.spent.clear()
        self.busy_s = self.n_writes = self.n_ended = 0
        self.free_s = self.now_s

    def _fill(self, corpus: int) -> None:
        """All workers in the middle of a run, so that a night's usual hour is measured at once."""
        rng = np.random.default_rng(self.n_workers)
        known = {BASE.hash}
        while len(self.running) < self.n_workers:
            config = explore.move(BASE, rng, explore.SIZES[int(rng.integers(len(explore.SIZES)))])
            if config.hash in known or why_not(config, LIMITS) is not None:
                continue
            known.add(config.hash)
            run = self.ledger.queue(new_run(self.ledger, config, 0, BUDGET, corpus, START, Origin(
                "explore", "runs already", self.study.id)))
            self.ledger.claim(START, 1, run_id=run.id)
            left_s = RUN_S * self.rng.random()
            heapq.heappush(self.running, (self.now_s + left_s, run.id, 0, left_s))

    # --- what the scheduler does -------------------------------------------------------------

    def _charged(self, what: str, n_writes: int, do: Callable[[], T]) -> T:
        """Do it, and let the scheduler be busy for as long as it took of the processor."""
        before = self.cpu()
        found = do()
        took = self.cpu() - before
        self.spent[what].append(took)
        self.free_s = max(self.free_s, self.now_s) + took
        self.n_writes += n_writes
        return found

    def stamp(self) -> str:
        return later(START, int(self.now_s))

    def give(self) -> bool:
        """Give free workers runs; False where the search has to hear of others first."""
        flying = {run_id for _, run_id, _, _ in self.running}
        most = min(self.batch, self.n_workers - len(self.running))
        some = self._charged("next", 0, lambda: self.searcher.next_some(
            most, math.inf, LIMITS, 0, in_flight=flying))
        for wanted in some:
            self._queue(wanted)
        return bool(some)

    def _queue(self, wanted: Wanted) -> None:
        new = new_run(self.ledger, wanted.config, wanted.seed, BUDGET, self.study.corpus_id,
                      self.stamp(), wanted.origin)
        self._begin(self._charged("queue", 1, lambda: self.ledger.queue(new)))

    def _begin(self, run: Run) -> None:
        self._charged("claim", 2, lambda: (self.ledger.claim(self.stamp(), run_id=run.id),
                                           self.ledger.start(run.id, self.stamp(), 1)))
        length_s = RUN_S * self.rng.uniform(1 - SPREAD, 1 + SPREAD)
        self._log(run, int(length_s / LOG_S))
        heapq.heappush(self.running, (max(self.free_s, self.now_s) + length_s, run.id,
                                      run.seed or 0, length_s))

    def _log(self, run: Run, n: int) -> None:
        """The lines a worker writes, each taken in as it comes: spread over the run in truth."""
        known = self.spent["log"]
        if len(known) < N_LOGGED:
            for i in range(n):
                self._charged("log", 1, lambda i=i: self.ledger.ingest(  # type: ignore[misc]
                    run.id, [Metric(i, i, train_loss=3.0, lr=1e-3, tok_per_s=1e4)], i,
                    self.stamp()))
            return
        mean = statistics.fmean(known[:N_LOGGED])
        known.append(mean * n)
        self.free_s += mean * n
        self.n_writes += n

    def _end(self) -> None:
        """The run that ends next, and its verdict."""
        self.now_s, run_id, seed, length_s = heapq.heappop(self.running)
        self.busy_s += length_s
        self.n_ended += 1
        run = self.ledger.run(run_id)
        bpb = score(Config.from_dict(run.config), seed, self.rng)
        ended = self._charged("finish", 1, lambda: self.ledger.finish(
            run_id, "finished", self.stamp(), steps=100, tokens=BUDGET, val_loss=2 * bpb,
            val_bpb=bpb, confirm_bpb=bpb, duration_s=length_s, tok_per_s=1e4))
        self._charged("verdict", 1, lambda: self.searcher.settle(
            ended, self.stamp(), lambda *_: None))

    # --- the night ---------------------------------------------------------------------------

    def run(self, n_runs: int, most_cpu_s: float) -> str:
        """Until so many runs have ended, or the scheduler has used so much of the processor."""
        while self.n_ended < n_runs:
            if sum(map(sum, self.spent.values())) > most_cpu_s:
                return "processor time"
            try:
                while len(self.running) < self.n_workers and self._is_free_first():
                    if not self.give():
                        break
            except NoProposal as refusal:
                return str(refusal)
            self._end()
        return "runs"

    def _is_free_first(self) -> bool:
        """Whether the scheduler gets to a free worker before the next run ends."""
        return not self.running or self.free_s <= self.running[0][0]


def score(config: Config, seed: int, rng: random.Random) -> float:
    """Bits per byte of a made-up world, with one best setting of each field and a seed's luck."""
    log = math.log2
    far = (0.05 * log(config.lr / 6e-3) ** 2 + 0.03 * log(config.n_embd / 256) ** 2
           + 0.02 * log(config.batch_size / 4) ** 2 + 0.02 * log(config.seq_len / 64) ** 2
           + 0.05 * (config.beta1 - 0.85) ** 2)
    return 1.2 + far + 0.003 * random.Random(f"{config.hash} {seed}").gauss(0, 1)


def measure(n_workers: int, folder: Path, n_runs: int, most_cpu_s: float, batch: int = 1,
            cpu: Callable[[], float] = time.process_time) -> Scale:
    """A night of so many workers in a new ledger."""
    with Ledger.open(folder / f"{n_workers}.db") as ledger:
        night = Night(ledger, n_workers, random.Random(n_workers), batch, cpu)
        why = night.run(n_runs, most_cpu_s)
        return _told(night, why)


def _told(night: Night, why: str) -> Scale:
    n = max(1, night.n_ended)
    ms = {what: 1e3 * sum(each) / n for what, each in sorted(night.spent.items())}
    n_given = max(1, len(night.spent["queue"]))
    for what in ("next", "queue", "claim", "log"):  # of what was given, also of what still runs
        ms[what] = ms.get(what, 0.0) * n / n_given
    run_ms = sum(ms.values())
    over_s = max(night.now_s - night.began_s, 1e-9)
    # Of runs that are not over the part until now; one may be given and not have begun.
    inside = night.busy_s + sum(max(0.0, length - (end - night.now_s))
                                for end, _, _, length in night.running)
    return Scale(
        workers=night.n_workers, runs=night.n_ended,
        busy=min(1.0, inside / (over_s * night.n_workers)),
        lasting=min(1.0, 1e3 * RUN_S / run_ms / night.n_workers), simulated_s=over_s,
        cpu_s=sum(map(sum, night.spent.values())), run_ms=run_ms, ms=ms,
        last_next_ms=1e3 * statistics.fmean(night.spent["next"][-20:] or [0.0]),
        decisions_per_s=1e3 / run_ms,
        writes_per_s=night.n_writes / over_s,
        most_workers=int(1e3 * RUN_S / run_ms / BUSY),
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, ended_by=why)


def table(found: Sequence[Scale]) -> str:
    """What was measured, a line for each number of workers, and what a run costs by its parts."""
    heads = ("workers", "runs", "busy", "lasting", "ms a run", "ms an idea", "runs/s", "commits/s",
             "MB", "at most")
    lines = ["  ".join([*heads, "ended by"])]
    for one in found:
        cells = (f"{one.workers:,}", f"{one.runs:,}", f"{one.busy:.1%}", f"{one.lasting:.1%}",
                 f"{one.run_ms:.1f}", f"{one.last_next_ms:.1f}", f"{one.decisions_per_s:.1f}",
                 f"{one.writes_per_s:,.0f}", f"{one.memory_mb:.0f}", f"{one.most_workers:,}")
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
    parser.add_argument("--batch", type=int, default=1, help="ideas asked for at once, at most")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for n in map(int, asked.workers.split(",")):
            found.append(measure(n, Path(folder), int(n * asked.minutes), asked.cpu,
                                 asked.batch))
    told: Any = [asdict(one) for one in found]
    print(json.dumps(told, indent=1) if asked.json else table(found))  # noqa: T201 a bench's word
    return found


if __name__ == "__main__":
    main()
