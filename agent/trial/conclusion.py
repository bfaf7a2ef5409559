"""A run under way, and what is concluded when its worker has ended.

    done, pruned        → finished, pruned
    diverged            → diverged
    over its memory     → killed
    the machine's short → queued again, up to 3 times
    exit 75 (asked)     → queued again
    exit 74 (no room)   → queued again, until there is
    numbers are wrong   → queued again, the night ends
    SIGKILL, not ours   → queued again, up to 3 times
    all together are
    over the memory     → queued again
    not begun           → queued again: no fault of its own
    any other exit      → failed
"""

import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from agent.home import RunFolder
from agent.ledger import Ending, Ledger, Outcome, Run, note_measures
from agent.machine import Clock, guard
from agent.trial.events import blocks_in, measures_in, read_events
from agent.trial.executor import Process, Where
from agent.trial.job import (
    NO_GROUND,
    NO_STORAGE,
    NUMBERS,
    SHARDS,
    STOPPED,
    STORAGE,
    UNREADY,
    Job,
)
from engine.errors import UserError
from engine.training import checkpoint

MAX_RETRIES = 3  # a run the system killed is started again so often
RETRY = "retry"  # kind of the event that notes it
CROWDED = "crowded"  # of one whose run had to leave since all that ran took too much memory


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
    group_mb: float | None = None  # of its processes at the last look
    is_witness: bool = True  # that a worker can begin; not of what came to lack later
    is_watched: bool = True  # by its memory, which is this machine's
    crowded_why: str | None = None  # all that runs takes too much: it leaves, and is not to blame


class Conclusions:
    """Brings trials whose workers have ended to their state in the ledger."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger, self.clock = ledger, clock

    def of(self, trial: Trial, status: int, where: Where) -> Run:
        """The run as it ended, or was queued again.

        where  what computed it
        """
        if ended := self._of_words(trial, where):
            return ended
        if trial.killed_why:
            return self._finish(trial, where, "killed", {}, error=trial.killed_why)
        if trial.crowded_why:
            return self._requeue(trial, f"{trial.crowded_why}; goes on from its checkpoint",
                                 CROWDED)
        asked = trial.asked_at_s is not None
        has_saved = status == STOPPED or "stopped" in trial.last
        if not trial.stalled_why and (has_saved or asked):
            return self._requeue(trial, "stopped at a checkpoint" if has_saved
                                 else "stopped before it saved; goes on from what it saved "
                                 "before, if anything")
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
            return self._finish(trial, where, "killed", {}, error=f"{why} {n_before + 1} times")
        return self._of_dead(trial, status, where)

    def _of_words(self, trial: Trial, where: Where) -> Run | None:
        """The run as its worker said that it ended; None where it did not."""
        if "done" in trial.last:
            return self._finish(trial, where, "finished", trial.last["done"])
        if "pruned" in trial.last:
            return self._finish(trial, where, "pruned", trial.last["pruned"])
        if "diverged" in trial.last:
            event, told = trial.last["diverged"], trial.last.get("trace", {}).get("told")
            return self._finish(trial, where, "diverged", event, error=f"{event['message']}; {told}"
                                if told else event["message"])
        return None

    def _of_dead(self, trial: Trial, status: int, where: Where) -> Run:
        """Of a worker that ended without a word on its run."""
        words = last_words(trial.folder, status)
        if self._is_blameless(trial, status):
            _forget_torn_job(trial.folder)
            told = trial.last.get(UNREADY, {}).get("message") or words
            return self._requeue(trial, told, UNREADY)
        return self._finish(trial, where, "failed", {}, error=words)

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

    def _finish(self, trial: Trial, where: Where, state: Ending, event: dict[str, Any],
                error: str | None = None) -> Run:
        peaks = [mb for mb in (event.get("peak_mb"), trial.peak_mb) if mb is not None]
        fields: Outcome = {
            "peak_mb": max(peaks, default=None), "error": error,
            "device": where.device, "cores": where.cores, "code_version": where.code_version,
            "duration_s": event.get("elapsed_s"), "rung_bpb": event.get("rung_bpb"),
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


def _forget_torn_job(folder: RunFolder) -> None:
    """A job that cannot be read is written anew with the next start."""
    try:
        Job.read(folder.job)
    except UserError:
        with suppress(OSError):
            folder.job.unlink()


def last_words(folder: RunFolder, status: int) -> str:
    """The last line a worker printed, with how it ended."""
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    try:
        lines = folder.output.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    printed = [line.strip() for line in lines if line.strip()]
    return f"{printed[-1]} ({how})" if printed else f"the worker ended with {how} and no word"
