"""One trial from claim to its final state: folder, worker, events, guard.

The runner never waits: `poll` is called again and again and does what is due. The worker's files
are the only thing it believes, so it does not matter which of the two dies first.

    claimed ──start──► worker runs ──poll──► what `conclusion` makes of its end
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from agent.home import Home, holder
from agent.ledger import CONFIRMING as CONFIRMING  # scored on all shards
from agent.ledger import Ledger, Metric, Run, kernels_of, unique_tokens
from agent.machine import Clock, guard
from agent.trial import rung
from agent.trial.conclusion import MAX_RETRIES as MAX_RETRIES
from agent.trial.conclusion import RETRY as RETRY
from agent.trial.conclusion import Conclusions, Trial
from agent.trial.conclusion import last_words as last_words
from agent.trial.events import note, read_events, this_attempt
from agent.trial.executor import Executor, Here, Process, Spawn, spawn_worker
from agent.trial.job import SHARDS, STORAGE, UNREADY, Job, ShardFile
from agent.trial.trunk import on_trunk
from agent.trial.watching import seen_in
from engine.config import Config
from engine.errors import FolderBusy, StorageError, UserError
from engine.files import storage_error
from engine.text import TokenSet

ASK_GRACE_S = 10.0  # a worker asked to stop saves first; a step may take a while on a phone
HEARTBEAT_S = 10.0
LONGEST_LOOK_S = 5.0  # more between two polls was spent asleep, and is no sign of a stall
UNKNOWN_STALL_S = 1800.0  # without a word, while the worker's own speed is not known yet
LEAST_STALL_S = 300.0
STALL_FACTOR = 20.0  # times what a worker needs from one word to the next
HARVEST = "harvest"  # strategy of runs that are the confirmed configuration, grown


class Unready(UserError):
    """No worker can be had: the system refuses one, or Python is gone. It says nothing of a run."""


@dataclass(frozen=True, slots=True)
class News:
    """What a worker logged since the last look, and how far its events are read with it."""

    lines: list[dict[str, Any]]
    offset: int


class Runner:
    """Starts one trial at a time and brings it to its final state in the ledger."""

    def __init__(self, ledger: Ledger, home: Home, clock: Clock, max_ram_mb: float, *,
                 spawn: Spawn = spawn_worker,
                 read: Callable[[int], guard.Reading] = guard.read,
                 executor: Executor | None = None) -> None:
        self.ledger, self.home, self.clock = ledger, home, clock
        self.max_ram_mb, self._spawn, self._read = max_ram_mb, spawn, read
        self.executor: Executor = executor or Here(lambda folder: self._spawn(folder),
                                                   lambda pid: self._read(pid))
        self.conclusions = Conclusions(ledger, clock)
        self.trial: Trial | None = None
        self.n_others, self.is_last = 0, True  # trials beside this one; it began after them

    def another(self) -> Self:
        """One more of its kind, for a trial beside this one's."""
        return type(self)(self.ledger, self.home, self.clock, self.max_ram_mb,
                          executor=self.executor)

    def write_job(self, run: Run, tokens: TokenSet, eval_every: int | None = None,
                  rung_max_bpb: float | None = None) -> None:
        """Write what the worker is asked, before the run is claimed; a run taken up keeps its own.

        FolderBusy where a worker that is not ours to see, as from another container, computes it.
        """
        folder = self.home.run(run.uid)
        if holder(folder.lock) is not None:
            raise FolderBusy(f"another worker still computes {run.label}; it leaves by itself a "
                             "minute after its agent, and this one goes on then")
        if not folder.job.exists():
            if run.strategy == "improve":
                raise UserError(f"{folder.job} is gone, and with it what {run.label} was to learn; "
                                "give the same `agent improve` again")
            try:
                folder.root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise storage_error(error, folder.root, 0) from error
            job = job_of(run, tokens, eval_every, rung_max_bpb, unique_tokens(self.ledger, run))
            on_trunk(self.ledger, self.home, run, job).write(folder.job)

    def start(self, run: Run) -> None:
        """Launch the worker of a claimed run, from its checkpoint if it has one."""
        folder = self.home.run(run.uid)
        n_written = folder.events.stat().st_size if folder.events.exists() else 0
        try:
            process = self.executor.start(run, folder)
        except OSError as error:  # no process to be had, no space for its output
            is_storage = isinstance(storage_error(error, folder.output, 0), StorageError)
            self.ledger.requeue(run.id, self.clock.stamp(), f"cannot start a worker: {error}",
                                STORAGE if is_storage else UNREADY)
            kind = StorageError if is_storage else Unready
            raise kind(f"cannot start a worker for {run.label}: {error}") from error
        now_s = self.clock.seconds()
        self.trial = Trial(run, folder, process, run.events_offset, beat_at_s=now_s,
                           polled_at_s=now_s, begins_at=n_written)
        self.ledger.start(run.id, self.clock.stamp(), process.pid)

    def adopt(self, run: Run, process: Process) -> None:
        """Follow a worker that a daemon before this one started and that still computes."""
        folder, now_s = self.home.run(run.uid), self.clock.seconds()
        self.trial = Trial(run, folder, process, run.events_offset, this_attempt(folder),
                           beat_at_s=now_s, polled_at_s=now_s)

    def is_computing(self) -> bool:
        """Whether a worker is at work, and not only its end left to be noted."""
        return self.trial is not None and self.trial.process.poll() is None

    def ask_to_stop(self) -> None:
        """Ask the worker to save and leave; it is killed if it does not within ASK_GRACE_S."""
        trial = self.trial
        if trial and trial.asked_at_s is None and trial.ending is None:
            trial.asked_at_s = self.clock.seconds()
            try:
                self.executor.signal(trial.process, signal.SIGTERM)
            except ProcessLookupError:
                pass  # it has just ended by itself

    def poll(self, *, is_read: bool = False) -> Run | None:
        """Take in news, watch memory; the run as it ended or was queued again, None while it runs.

        is_read  whether the ledger has this moment's news of one that still computes
        """
        trial = self.trial
        if trial is None:
            return None
        status = trial.process.poll()  # before reading, so that nothing is written after
        if status is None:
            self._watch(trial)  # before the ledger, which may be slow or fail
        self._ingest(trial, is_read=is_read and status is None)
        if status is None:
            return None
        run = self.conclusions.of(trial, status, self.executor.where(trial.process))
        self.trial = None  # only now: a ledger that failed is asked again at the next poll
        return run

    def watch(self) -> None:
        """Watch the memory of what computes, and take in nothing."""
        if self.trial and self.is_computing():
            self._watch(self.trial)

    # --- while it runs -----------------------------------------------------------------------

    def _ingest(self, trial: Trial, *, is_read: bool) -> None:
        """Move whole lines of events.jsonl into the ledger, with the offset, in one commit."""
        if not is_read and (news := self.fetch()):
            self.write(news)
            self.note_written(news)
            return
        now_s = self.clock.seconds()
        if now_s - trial.beat_at_s >= HEARTBEAT_S:
            self.ledger.heartbeat(trial.run.id, self.clock.stamp())
            trial.beat_at_s = now_s

    def fetch(self) -> News | None:
        """What the worker logged and the ledger does not have; None where that is nothing.

        `write` and then `note_written` take it in. Of many runs one commit may hold all.
        """
        if self.trial is None:
            return None
        lines, offset = read_events(self.trial.folder, self.trial.offset)
        return News(lines, offset) if lines else None

    def write(self, news: News) -> None:
        """Bring news into the ledger."""
        assert self.trial is not None  # whose news it is
        metrics = [metric for metric in map(_metric, news.lines) if metric]
        seen = [row for line in news.lines for row in seen_in(line)]
        self.ledger.ingest(self.trial.run.id, metrics, news.offset, self.clock.stamp(), seen)

    def note_written(self, news: News) -> None:
        """Take note of news that the ledger has."""
        trial = self.trial
        assert trial is not None  # whose news it is
        trial.offset, trial.beat_at_s, trial.quiet_s = news.offset, self.clock.seconds(), 0.0
        for line in news.lines:
            note(trial.last, line)

    def _watch(self, trial: Trial) -> None:
        now_s = self.clock.seconds()
        trial.quiet_s += min(now_s - trial.polled_at_s, LONGEST_LOOK_S)
        trial.polled_at_s = now_s
        reading = self.executor.read(trial.process)
        trial.is_watched = reading is not None
        trial.group_mb = reading.group_mb if reading else None
        if trial.group_mb is not None:
            trial.peak_mb = max(trial.peak_mb or 0.0, trial.group_mb)
        if trial.ending:
            trial.ending.press(now_s)
            return
        if trial.asked_at_s is not None and now_s - trial.asked_at_s > ASK_GRACE_S:
            trial.ending = self._ending(trial, now_s)
            return
        if reading and not self._may_keep(trial, reading):
            return
        if trial.quiet_s > (bound_s := stall_bound_s(trial.run, trial.last)):
            trial.stalled_why = f"no word for {bound_s:,.0f} s, so it was stopped"
            trial.ending = self._ending(trial, now_s)

    def _may_keep(self, trial: Trial, reading: guard.Reading) -> bool:
        """Whether the worker may keep its memory, or it is not known yet whether it may."""
        word = guard.may_go_on(reading, self.max_ram_mb)
        trial.n_blind = 0 if reading.is_known else trial.n_blind + 1
        if trial.n_blind == 1:
            return False  # it may have ended this moment
        trial.word = word
        if word.is_go:
            return True
        if word.cause == "memory" and self.n_others:
            if not self.is_last:
                return True  # the newest leaves first; if that does not do, it is looked at again
            trial.crowded_why = word.reason
        elif word.may_pass:
            trial.stalled_why = word.reason
        else:
            trial.killed_why = word.reason
        self._send_away(trial, word)
        return False

    def set_aside(self, word: guard.Word) -> None:
        """Have the worker leave since all that runs takes too much; the run waits, unblamed."""
        trial = self.trial
        if trial and trial.ending is None:
            trial.word, trial.crowded_why = word, word.reason
            self._send_away(trial, word)

    def _send_away(self, trial: Trial, word: guard.Word) -> None:
        trial.ending = self._ending(trial, self.clock.seconds())
        self.ledger.event("guard", word.reason, self.clock.stamp(), trial.run.id, word.readings)

    def _ending(self, trial: Trial, now_s: float) -> guard.Ending:
        return guard.Ending(trial.process.pid, now_s,
                            lambda _, number: self.executor.signal(trial.process, number))


def job_of(run: Run, tokens: TokenSet, eval_every: int | None,
           rung_max_bpb: float | None = None, unique: int | None = None) -> Job:
    """The job a worker is given for a run; without a comparable rung there is no limit at it."""
    assert run.seed is not None  # every measured run has both
    assert run.budget_tokens is not None
    config = Config.from_dict(run.config)
    rung_step = rung.step_of(config, run.budget_tokens)
    shards = {name: ShardFile(str(tokens.paths[name]), tokens.n_bytes[name])
              for name in SHARDS if run.strategy in CONFIRMING}
    return Job(config=config, seed=run.seed, budget_tokens=run.budget_tokens,
               train_tokens=str(tokens.paths["train"]), valid_tokens=str(tokens.paths["search"]),
               n_valid_bytes=tokens.n_bytes["search"], tokenizer=str(tokens.tokenizer_path),
               eval_every=eval_every, n_replicas=run.replicas or 1, shards=shards,
               rung_step=rung_step, rung_max_bpb=None if rung_step is None else rung_max_bpb,
               unique_tokens=unique, kernels=kernels_of(run), is_measured=run.strategy == HARVEST)


def stall_bound_s(run: Run, last: dict[str, dict[str, Any]]) -> float:
    """Seconds without a word after which a worker counts as hung, by its own speed."""
    speed = last.get("step", {}).get("tok_per_s")
    if not speed:
        return UNKNOWN_STALL_S
    # A worker logs a hundredth of its steps, evaluates between two of them, and saves.
    log_s = (run.budget_tokens or 0) / 100 / speed
    eval_s = last["eval"]["eval_s"] if "eval" in last else log_s * 10
    return max(LEAST_STALL_S, STALL_FACTOR * float(log_s + eval_s))


def _metric(event: dict[str, Any]) -> Metric | None:
    """The ledger's row of an event that has a step's numbers; None where they are spoilt."""
    try:
        if event["kind"] == "step":
            return Metric(event["step"], event["tokens"], train_loss=event["loss"],
                          lr=event["lr"], grad_norm=event["grad_norm"],
                          tok_per_s=event["tok_per_s"])
        if event["kind"] == "eval":
            return Metric(event["step"], event["tokens"], val_loss=event["nats"],
                          val_bpb=event["bpb"])
    except KeyError:
        pass  # a bit fell over in a name
    return None
