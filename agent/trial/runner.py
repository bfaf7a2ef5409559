"""One trial from claim to its final state: folder, child process, events, guard.

The runner never waits: `poll` is called again and again and does what is due. The worker's files
are the only thing it believes, so it does not matter which of the two dies first.

    claimed ──start──► worker runs ──poll──► done, pruned        → finished, pruned
                          │                  diverged            → diverged
                          │                  over its memory     → killed
                          │                  the machine's short → queued again, up to 3 times
                          │                  exit 75 (asked)     → queued again
                          │                  exit 74 (no room)   → queued again, until there is
                          │                  numbers are wrong   → queued again, the night ends
                          │                  SIGKILL, not ours   → queued again, up to 3 times
                          │                  not begun           → queued again: no fault of its own
                          └──────────────────any other exit      → failed
"""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.home import Home, RunFolder, holder
from agent.ledger import (
    Ending,
    Ledger,
    Metric,
    Outcome,
    Run,
    kernels_of,
    note_measures,
    unique_tokens,
)
from agent.machine import Clock, guard, machine
from agent.trial import rung
from agent.trial.events import blocks_in, measures_in, note, read_events, this_attempt
from agent.trial.job import (
    NO_GROUND,
    NO_STORAGE,
    NUMBERS,
    SHARDS,
    STOPPED,
    STORAGE,
    UNREADY,
    Job,
    ShardFile,
)
from agent.trial.watching import seen_in
from engine.config import Config
from engine.errors import FolderBusy, StorageError, UserError
from engine.files import storage_error
from engine.text import TokenSet
from engine.training import checkpoint

MAX_RETRIES = 3  # a run the system killed is started again so often
RETRY = "retry"  # kind of the event that notes it
ASK_GRACE_S = 10.0  # a worker asked to stop saves first; a step may take a while on a phone
HEARTBEAT_S = 10.0
LONGEST_LOOK_S = 5.0  # more between two polls was spent asleep, and is no sign of a stall
UNKNOWN_STALL_S = 1800.0  # without a word, while the worker's own speed is not known yet
LEAST_STALL_S = 300.0
STALL_FACTOR = 20.0  # times what a worker needs from one word to the next
CONFIRMING = ("baseline", "confirm", "ablate")  # strategies whose runs are scored on all shards


class Unready(UserError):
    """No worker can be had: the system refuses one, or Python is gone. It says nothing of a run."""


class Process(Protocol):
    """What the runner needs of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None: ...


Spawn = Callable[[RunFolder], Process]


def spawn_worker(folder: RunFolder) -> Process:
    """Start the worker of a run in its own session, its output in a file."""
    with open(folder.output, "ab") as output:
        return subprocess.Popen(
            machine.child("agent.trial.worker", str(folder.root), str(os.getpid())),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, env=machine.worker_environment())


@dataclass(slots=True)
class Trial:
    """A run under way."""

    run: Run
    folder: RunFolder
    process: Process
    offset: int  # bytes of events.jsonl taken in
    last: dict[str, dict[str, Any]] = field(default_factory=dict)  # newest event of each kind
    peak_mb: float | None = None
    ending: guard.Ending | None = None
    killed_why: str | None = None  # the guard's reason, when it was the guard
    asked_at_s: float | None = None
    beat_at_s: float = 0.0
    polled_at_s: float = 0.0
    quiet_s: float = 0.0  # without a word from the worker, sleep of the machine not counted
    stalled_why: str | None = None  # or what the machine lacked: it is not the run's fault
    word: guard.Word | None = None  # the newest on its memory
    begins_at: int = 0  # bytes of events.jsonl from workers before this one
    n_blind: int = 0  # looks in a row that did not tell the memory


class Runner:
    """Starts one trial at a time and brings it to its final state in the ledger."""

    def __init__(self, ledger: Ledger, home: Home, clock: Clock, max_ram_mb: float, *,
                 spawn: Spawn = spawn_worker,
                 read: Callable[[int], guard.Reading] = guard.read) -> None:
        self.ledger, self.home, self.clock = ledger, home, clock
        self.max_ram_mb, self._spawn, self._read = max_ram_mb, spawn, read
        self.trial: Trial | None = None

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
            job_of(run, tokens, eval_every, rung_max_bpb,
                   unique_tokens(self.ledger, run)).write(folder.job)

    def start(self, run: Run) -> None:
        """Launch the worker of a claimed run, from its checkpoint if it has one."""
        folder = self.home.run(run.uid)
        n_written = folder.events.stat().st_size if folder.events.exists() else 0
        try:
            process = self._spawn(folder)
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
                os.killpg(trial.process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass  # it has just ended by itself

    def poll(self) -> Run | None:
        """Take in news, watch memory; the run as it ended or was queued again, None while it runs.
        """
        trial = self.trial
        if trial is None:
            return None
        status = trial.process.poll()  # before reading, so that nothing is written after
        if status is None:
            self._watch(trial)  # before the ledger, which may be slow or fail
        self._ingest(trial)
        if status is None:
            return None
        run = self._conclude(trial, status)
        self.trial = None  # only now: a ledger that failed is asked again at the next poll
        return run

    # --- while it runs -----------------------------------------------------------------------

    def _ingest(self, trial: Trial) -> None:
        """Move whole lines of events.jsonl into the ledger, with the offset, in one commit."""
        lines, offset = read_events(trial.folder, trial.offset)
        now_s = self.clock.seconds()
        if not lines:
            if now_s - trial.beat_at_s >= HEARTBEAT_S:
                self.ledger.heartbeat(trial.run.id, self.clock.stamp())
                trial.beat_at_s = now_s
            return
        metrics = [metric for metric in map(_metric, lines) if metric]
        seen = [row for line in lines for row in seen_in(line)]
        self.ledger.ingest(trial.run.id, metrics, offset, self.clock.stamp(), seen)
        trial.offset, trial.beat_at_s, trial.quiet_s = offset, now_s, 0.0
        for line in lines:
            note(trial.last, line)

    def _watch(self, trial: Trial) -> None:
        now_s = self.clock.seconds()
        trial.quiet_s += min(now_s - trial.polled_at_s, LONGEST_LOOK_S)
        trial.polled_at_s = now_s
        reading = self._read(trial.process.pid)
        if reading.group_mb is not None:
            trial.peak_mb = max(trial.peak_mb or 0.0, reading.group_mb)
        if trial.ending:
            trial.ending.press(now_s)
            return
        if trial.asked_at_s is not None and now_s - trial.asked_at_s > ASK_GRACE_S:
            trial.ending = guard.Ending(trial.process.pid, now_s)
            return
        word = guard.may_go_on(reading, self.max_ram_mb)
        trial.n_blind = 0 if reading.is_known else trial.n_blind + 1
        if trial.n_blind == 1:
            return  # it may have ended this moment
        trial.word = word
        if not word.is_go:
            if word.may_pass:
                trial.stalled_why = word.reason
            else:
                trial.killed_why = word.reason
            trial.ending = guard.Ending(trial.process.pid, now_s)
            self.ledger.event("guard", word.reason, self.clock.stamp(), trial.run.id,
                              word.readings)
        elif trial.quiet_s > (bound_s := stall_bound_s(trial.run, trial.last)):
            trial.stalled_why = f"no word for {bound_s:,.0f} s, so it was stopped"
            trial.ending = guard.Ending(trial.process.pid, now_s)

    # --- when it has ended -------------------------------------------------------------------

    def _conclude(self, trial: Trial, status: int) -> Run:
        if "done" in trial.last:
            return self._finish(trial, "finished", trial.last["done"])
        if "pruned" in trial.last:
            return self._finish(trial, "pruned", trial.last["pruned"])
        if "diverged" in trial.last:
            event, told = trial.last["diverged"], trial.last.get("trace", {}).get("told")
            return self._finish(trial, "diverged", event, error=f"{event['message']}; {told}"
                                if told else event["message"])
        if trial.killed_why:
            return self._finish(trial, "killed", {}, error=trial.killed_why)
        asked = trial.asked_at_s is not None
        has_saved = status == STOPPED or "stopped" in trial.last
        if not trial.stalled_why and (has_saved or asked):
            return self._requeue(trial, "stopped at a checkpoint" if has_saved
                                 else "did not save in time; goes on from an earlier checkpoint")
        if status == NO_STORAGE or STORAGE in trial.last:
            told = trial.last.get(STORAGE, {}).get("message") or "the disk had no room for it"
            return self._requeue(trial, f"{told}; goes on from its checkpoint", STORAGE)
        if NUMBERS in trial.last:  # of this machine, and no fault of the run
            return self._requeue(trial, trial.last[NUMBERS]["message"], NUMBERS)
        why = trial.stalled_why or trial.last.get("killed", {}).get("message") or (
            "killed by the system" if status == -signal.SIGKILL and "failed" not in trial.last
            else None)
        if why:
            n_before = self.ledger.n_events(trial.run.id, RETRY)
            if n_before < MAX_RETRIES:
                return self._requeue(trial, f"{why}; goes on from its checkpoint", RETRY)
            return self._finish(trial, "killed", {}, error=f"{why} {n_before + 1} times")
        return self._conclude_dead(trial, status)

    def _conclude_dead(self, trial: Trial, status: int) -> Run:
        """Of a worker that ended without a word on its run."""
        words = last_words(trial.folder, status)
        if self._is_blameless(trial, status):
            _forget_torn_job(trial.folder)
            told = trial.last.get(UNREADY, {}).get("message") or words
            return self._requeue(trial, told, UNREADY)
        return self._finish(trial, "failed", {}, error=words)

    def _is_blameless(self, trial: Trial, status: int) -> bool:
        """Whether a worker's death says nothing of its configuration.

        Its "start" is written between the two: before it come Python, numpy, the job, the texts
        and the checkpoint, behind it the network is built. What the system refused (UNREADY), or
        a text cut short under a worker's map of it (SIGBUS), is never the configuration's; a
        crash while the network is built may be, where it comes again and again.
        """
        if UNREADY in trial.last or status in (NO_GROUND, -signal.SIGBUS):
            return True
        lines, _ = read_events(trial.folder, trial.begins_at)
        kinds = {line["kind"] for line in lines}
        if "start" not in kinds:
            return True
        return (status < 0 and not kinds & {"step", "failed"}
                and self.ledger.n_events(trial.run.id, UNREADY) < MAX_RETRIES)

    def _requeue(self, trial: Trial, reason: str, kind: str = "requeue") -> Run:
        return self.ledger.requeue(trial.run.id, self.clock.stamp(), reason, kind)

    def _finish(self, trial: Trial, state: Ending, event: dict[str, Any],
                error: str | None = None) -> Run:
        peaks = [mb for mb in (event.get("peak_mb"), trial.peak_mb) if mb is not None]
        fields: Outcome = {
            "peak_mb": max(peaks, default=None), "error": error,
            "device": machine.device(), "cores": machine.cores(),
            "code_version": machine.code_version(), "duration_s": event.get("elapsed_s"),
            "rung_bpb": event.get("rung_bpb"),
        }
        checkpoint.previous(trial.folder.checkpoint).unlink(missing_ok=True)
        if "step" in event:
            fields |= {"steps": event["step"], "tokens": event["tokens"]}
        if state in ("finished", "pruned"):
            fields |= {"tok_per_s": event["tok_per_s"]}
        if state == "finished":
            fields |= {"train_loss": event["train_loss"], "val_loss": event["nats"],
                       "val_bpb": event["bpb"], "confirm_bpb": event.get("confirm_bpb"),
                       "test_bpb": event.get("test_bpb"),
                       "vs_unigram": self._vs_unigram(trial.run, event["nats"])}
        blocks = {shard: found for shard in SHARDS if (found := blocks_in(event, shard))}
        with self.ledger.deciding():
            note_measures(self.ledger, trial.run.id, measures_in(event))
            return self.ledger.finish(trial.run.id, state, self.clock.stamp(), blocks, **fields)

    def _vs_unigram(self, run: Run, nats: float) -> float | None:
        """Loss relative to the unigram of the same text and vocabulary: −0.013 is 1.3 % below."""
        assert run.corpus_id is not None  # every measured run has one
        unigram = self.ledger.corpus(run.corpus_id).unigram_nats
        return None if unigram is None else nats / unigram - 1


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
               unique_tokens=unique, kernels=kernels_of(run))


def _forget_torn_job(folder: RunFolder) -> None:
    """A job that cannot be read is written anew with the next start."""
    try:
        Job.read(folder.job)
    except UserError:
        with suppress(OSError):
            folder.job.unlink()


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


def last_words(folder: RunFolder, status: int) -> str:
    """The last line a worker printed, with how it ended."""
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    try:
        lines = folder.output.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    printed = [line.strip() for line in lines if line.strip()]
    return f"{printed[-1]} ({how})" if printed else f"the worker ended with {how} and no word"
