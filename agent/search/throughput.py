"""How many runs at once this device computes best: tokens a second in sum, by how it is shared out.

Of a small model one process keeps a processor busy and two wait for each other; so several runs of
one process each beat one run of several. What was measured is kept in the ledger as an event, and
decides what a night is shared out into where nobody says.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.home import Home, RunFolder
from agent.ledger import Ledger, Queries
from agent.machine import machine
from agent.search import foresight, study
from agent.trial import Measuring, Spawn, last_words, read_events
from engine.config import Config
from engine.errors import UserError
from engine.text import TokenSet

THROUGHPUT = "throughput"  # kind of the event
TIMEOUT_S = 300.0
ALIKE = 3.0  # times the work of a token, either way: further off a measurement tells nothing
MARGIN = 1.02  # more runs at once know less of each other: they must be so much faster

Look = Callable[[int, int], None]  # told how many of so many measurements are done


@dataclass(frozen=True, slots=True)
class Throughput:
    """What so many runs at once reach together."""

    n_trials: int
    n_replicas: int  # of each
    tok_per_s: float  # in sum
    eval_token_s: float  # seconds to score one token in one of them, on average

    def speed(self, config: Config) -> study.Speed:
        """That of one of them."""
        return study.Speed(config.tokens_per_step * self.n_trials / self.tok_per_s,
                           self.eval_token_s, config.tokens_per_step, self.n_replicas)


def shares(n_cores: int) -> list[tuple[int, int]]:
    """Ways to share out processors, as runs at once and processes of each: 1, 2, 4, … all."""
    counts = {2**i for i in range(n_cores.bit_length())} | {n_cores}
    return [(n, max(1, n_cores // n)) for n in sorted(counts)]


def measured(config: Config, n_cores: int, spawn: Spawn,
             look: Look = lambda done, total: None) -> list[Throughput]:
    """All ways measured one after the other, on a text of nothing. UserError where one fails."""
    ways, found = shares(n_cores), []
    with tempfile.TemporaryDirectory(prefix="phi-auto-") as folder:
        home = Home(Path(folder))
        tokens = foresight.any_tokens(home, config)
        for i, (n_trials, n_replicas) in enumerate(ways):
            look(i, len(ways))
            found.append(at_once(home, tokens, config, n_trials, n_replicas, spawn))
    look(len(ways), len(ways))
    return found


def at_once(home: Home, tokens: TokenSet, config: Config, n_trials: int, n_replicas: int,
            spawn: Spawn, look: study.Look = lambda seconds: None,
            kernels: str | None = None) -> Throughput:
    """So many workers side by side, each training some seconds as a run does.

    Tried again where one fails, as a single measurement is.
    """
    folders = [home.run(f"measure{i}") for i in range(n_trials)]
    statuses: list[int] = []
    for _ in range(study.MEASURE_TRIES):
        for folder in folders:
            study.prepare_measuring(folder, study.measuring_job(
                tokens, config, n_replicas, kernels))
        statuses = _run(folders, config, spawn, look)
        told = [speed for folder in folders if (speed := _told(folder))]
        if len(told) == n_trials:
            return Throughput(n_trials, n_replicas,
                              sum(config.tokens_per_step / step_s for step_s, _ in told),
                              sum(eval_s for _, eval_s in told) / n_trials)
    failed = next(i for i, folder in enumerate(folders) if not _told(folder))
    raise UserError("the speed of this device could not be measured: "
                    f"{last_words(folders[failed], statuses[failed])}")


def _run(folders: Sequence[RunFolder], config: Config, spawn: Spawn,
         look: study.Look) -> list[int]:
    """Exit statuses of workers that measure at the same time."""
    with ExitStack() as stack:
        workers = []
        for folder in folders:
            try:
                worker = spawn(folder)
            except OSError as error:
                raise UserError(f"cannot start a worker to measure this device: {error}"
                                ) from error
            assert isinstance(worker, Measuring)  # a child here, or a worker of a cluster
            stack.callback(_end, worker)
            workers.append(worker)
        _wait_for(workers, config, look)
        return [worker.wait() for worker in workers]


def _wait_for(workers: Sequence[Measuring], config: Config,
              look: study.Look) -> None:
    start_s = time.monotonic()
    for worker in workers:
        while worker.poll() is None:
            if (passed_s := time.monotonic() - start_s) > TIMEOUT_S:
                raise UserError(f"three steps of {config.describe()} took over {TIMEOUT_S:.0f} s; "
                                "measure a smaller model, of a study of its own")
            look(passed_s)
            with suppress(subprocess.TimeoutExpired):
                worker.wait(study.LOOK_S)


def _end(worker: Measuring) -> None:
    if worker.poll() is None:
        worker.kill()  # it has nothing to save
        worker.wait()


def _told(folder: RunFolder) -> tuple[float, float] | None:
    """(seconds of a step, seconds to score one token) as a worker found; None where it did not."""
    return next(((line["step_s"], line["eval_token_s"]) for line in read_events(folder, 0)[0]
                 if line["kind"] == "measured"), None)


# --- what is kept of it ----------------------------------------------------------------------


def best(found: Sequence[Throughput]) -> Throughput:
    """The way that computes most; one of fewer runs at once where it is about as fast."""
    most = found[0]
    for one in sorted(found, key=lambda row: row.n_trials):
        if one.n_trials == most.n_trials or one.tok_per_s > MARGIN * most.tok_per_s:
            most = one
    return most


def note(ledger: Ledger, config: Config, found: Sequence[Throughput], now: str) -> None:
    """Keep what was measured, with what it is of."""
    most = best(found)
    ledger.event(THROUGHPUT, f"{most.n_trials} runs at once of {most.n_replicas} processes each "
                 f"compute most, {most.tok_per_s:,.0f} tokens/s in sum", now, data={
                     "device": machine.device(), "cores": machine.cores(),
                     "code_version": machine.code_version(), "config": config.to_dict(),
                     "rows": [asdict(one) for one in found]})


def noted(ledger: Queries, config: Config) -> list[Throughput]:
    """What was measured last on this device, of a model about as large; none where nothing was."""
    for event in ledger.events_of(THROUGHPUT):
        data = event.data or {}
        try:
            if (data["device"], data["cores"]) != (machine.device(), machine.cores()):
                continue
            work = Config.from_dict(data["config"]).flops_per_token / config.flops_per_token
            rows = [Throughput(**row) for row in data["rows"]]
        except (KeyError, TypeError, UserError):
            continue  # a person's or another version's
        if 1 / ALIKE <= work <= ALIKE and rows:
            return rows
    return []
