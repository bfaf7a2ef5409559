"""The child process of one run: `python -m agent.trial.worker RUN_DIR DAEMON_PID`.

Reads job.json, appends JSON lines to events.jsonl, saves checkpoint.npz. It never waits for the
daemon. Asked to stop, or without any daemon to adopt it for the job's `orphan_s`, it saves and
leaves with exit status STOPPED.
"""

import errno
import os
import signal
import statistics
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.home import RunFolder, holder
from agent.machine import proof
from agent.trial import trunk
from agent.trial.events import Events
from agent.trial.job import (
    NO_GROUND,
    NO_NUMBERS,
    NO_STORAGE,
    NUMBERS,
    STOPPED,
    STORAGE,
    UNREADY,
    Job,
)
from agent.trial.lesson import trainer_of
from agent.trial.orphan import only_worker, start_ticks
from agent.trial.peak import own_mb, peak_mb
from agent.trial.watching import Watching
from agent.words import told_error
from engine.config import EVAL_TOKENS
from engine.errors import CheckpointError, Diverged, Left, ReplicaDied, StorageError, UserError
from engine.files import storage_error
from engine.native import named
from engine.proof import faults_of_products, passes_of
from engine.sampling import continuations
from engine.text import Cut, Tokenizer, cut_blocks
from engine.training import (
    Done,
    Eval,
    Shard,
    Step,
    Texts,
    beginning,
    checkpoint,
    default_eval_every,
    open_tokens,
    seeded,
    training,
)

SAMPLE_TOKENS = 60
ORPHAN_LOOK_S = 1.0  # between looks for a daemon, once the own one is gone
TELL_S = 1.0  # between two words on how far an evaluation is
MEASURED_PASSES = 8  # of evaluation, when only the speed is wanted


class Worker:
    """One run from its job, or from its last checkpoint, to its end."""

    def __init__(self, folder: RunFolder, daemon_pid: int) -> None:
        self.folder, self.job = folder, Job.read(folder.job)
        self.daemon_pid, self.is_asked_to_stop = daemon_pid, False
        self._lock = only_worker(folder)
        self.events = Events(folder.events)
        self.n_steps = self.job.config.steps_for(self.job.budget_tokens)
        self.tokenizer = Tokenizer.load(Path(self.job.tokenizer))
        texts, self.cuts = _open(self.job, self.tokenizer)
        kernels = named(self.job.kernels)
        saved = self._saved() or trunk.taken(self.job, self.n_steps)
        # What comes before this line says nothing of the configuration; what follows may.
        self.events.write("start", pid=os.getpid(), ticks=start_ticks(os.getpid()),
                          step=saved[1]["step"] if saved else 0, n_steps=self.n_steps)
        self.trainer = trainer_of(self.job, folder, texts, self.tokenizer, self.events, kernels)
        self.watching = Watching(self.trainer, self.events, self.job.task is None)
        if saved:
            self.trainer.restore(*saved)
        earlier = saved[1]["timing"] if saved else {"elapsed_s": 0.0, "train_s": 0.0, "n": 0}
        self.train_s, self.n_timed = earlier["train_s"], earlier["n"]
        self.rung_bpb: float | None = earlier.get("rung_bpb")
        self.saved_at = self.looked_at = self.alone_since = self.told_at = time.monotonic()
        self.shard: str | None = None  # that is scored; None is the one that searches
        self.started_at = self.saved_at - earlier["elapsed_s"]
        self.home_lock = folder.home.lock

    def _saved(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The newest whole checkpoint; a run whose checkpoints are torn begins again, to the same
        end.
        """
        try:
            return checkpoint.load_newest(self.folder.checkpoint)
        except CheckpointError as error:
            self.events.write("torn", message=str(error))
            return None

    def run(self) -> int:
        """Exit status; everything else is in the events."""
        self.trainer.should_leave = self._between_windows
        try:
            if self.job.measure_s is not None:
                return self._measure(self.job.measure_s)
            return self._prove() or self._train()
        except Left:  # between two windows of an evaluation: the next worker scores the others
            return self._stop()

    def _prove(self) -> int:
        """Exit status where numpy computes wrong numbers here, 0 where it does not.

        The night has proved its baseline; an idea brings shapes of its own, and so does a home
        that moved. Less than a tenth of a second, and nothing of it is left in the run.
        """
        wrong = faults_of_products(self.job.config, passes_of(
            self.job.config, self.job.n_replicas, self.trainer.windows))
        if not wrong:
            return 0
        self.events.write(NUMBERS, message=f"{proof.told(wrong)}; try: {proof.remedy()}")
        return NO_NUMBERS

    def _train(self) -> int:
        every = self.job.eval_every or default_eval_every(
            self.job.config, self.n_steps, self.trainer.texts.valid.size)
        self.watching.prepare()
        try:
            for event, seconds in _timed(training(self.trainer, every, self.job.rung_step)):
                if isinstance(event, Step):
                    self.train_s, self.n_timed = self.train_s + seconds, self.n_timed + 1
                    self._after_step(event)
                    if self._should_stop() and event.step < self.n_steps:
                        return self._stop()
                elif isinstance(event, Eval):
                    self.events.write("eval", step=event.step, tokens=event.tokens,
                                      nats=event.score.nats, bpb=event.score.bpb, eval_s=seconds,
                                      **self.trainer.told())
                    if event.step == self.job.rung_step and self._ends_at_rung(event):
                        break
                else:
                    self._finish(event)
        except Diverged as error:
            self.events.write("diverged", step=self.trainer.step, tokens=self.trainer.tokens,
                              message=str(error), **self._ending())
            self.watching.trace(self._saved, self._should_stop)
        self.events.sync()
        return 0

    def _stop(self) -> int:
        """Save, so that the next worker goes on from here; a measurement has nothing to save."""
        if self.job.measure_s is None:
            self._save()
        self.events.write("stopped", step=self.trainer.step)
        return STOPPED

    def _after_step(self, event: Step) -> None:
        if self.watching.is_due(event.step):
            self.events.write("step", step=event.step, tokens=event.tokens, loss=event.loss,
                              lr=event.lr, grad_norm=event.grad_norm, tok_per_s=self._speed(),
                              **self.trainer.told())
        self.watching.note(event)
        if event.step == self.job.trunk_step:
            trunk.keep(self.folder, self.trainer)
        if event.step == self.n_steps:
            self._save()  # the finished model, to sample from; its scoring may take long
        elif event.step % self.job.checkpoint_every_steps == 0 or self._is_overdue():
            self._save()
            if not self._should_stop():  # which a text, on a phone, would keep waiting
                self._sample()

    def _is_overdue(self) -> bool:
        return time.monotonic() - self.saved_at >= self.job.checkpoint_every_s

    def _ends_at_rung(self, event: Eval) -> bool:
        """Note the score at the rung; whether it is not good enough for the run to go on."""
        self.rung_bpb, max_bpb = event.score.bpb, self.job.rung_max_bpb
        self.events.write("rung", step=event.step, tokens=event.tokens, bpb=self.rung_bpb)
        if max_bpb is None or self.rung_bpb <= max_bpb:
            return False
        self.events.write("pruned", step=event.step, tokens=event.tokens, max_bpb=max_bpb,
                          tok_per_s=self._speed(), **self._ending())
        return True

    def _finish(self, done: Done) -> None:
        trunk.drop_taken(self.folder, self.job)
        self._sample()
        self.watching.look_over()
        findings = [*self.trainer.findings(done.score), *self._written()]
        shards: dict[str, Any] = {"measures": [one[:6] for one in findings]}
        for name, one in self.cuts.items():
            self.shard = name
            score = self.trainer.evaluate(name)
            shards |= {f"{name}_bpb": score.bpb, f"{name}_blocks": score.block_bits,
                       f"{name}_block_bytes": one.n_bytes}
        self.events.write("done", step=done.step, tokens=done.tokens, train_loss=done.train_loss,
                          nats=done.score.nats, bpb=done.score.bpb, tok_per_s=self._speed(),
                          **shards, **self._ending())

    def _written(self) -> list[Any]:
        if not self.job.is_measured:
            return []
        from agent.trial import written  # of a harvest alone: other workers need not hold it

        its, texts = self.trainer, self.trainer.texts
        return written.measured(its.model, its.evaluation_params(), self.tokenizer, texts.train,
                                texts.valid, step=its.step, seed=self.job.seed)

    def _ending(self) -> dict[str, float | None]:
        """What every last event tells."""
        return {"rung_bpb": self.rung_bpb, "peak_mb": self._peak_mb(),
                "elapsed_s": self._elapsed_s()}

    def _speed(self) -> float | None:
        """Tokens a second of training alone, over all processes of this run."""
        done = self.n_timed * self.trainer.tokens / max(1, self.trainer.step)
        return done / self.train_s if self.train_s > 0 else None

    def _peak_mb(self) -> float | None:
        """Highest memory of this process and its replicas, pages they share counted once.

        A replica keeps what it has taken, so what it holds after an evaluation is its peak.
        """
        parts = [peak_mb(), *map(own_mb, self.trainer.team.pids)]
        known = [mb for mb in parts if mb is not None]
        return sum(known) if len(known) == len(parts) else None

    def _elapsed_s(self) -> float:
        """Seconds this run has been computed, over all its processes."""
        return time.monotonic() - self.started_at

    def _save(self) -> None:
        self.events.sync()  # what the checkpoint is past must not be lost after it
        timing = {"elapsed_s": self._elapsed_s(), "train_s": self.train_s, "n": self.n_timed,
                  "rung_bpb": self.rung_bpb}
        # With its tokenizer a checkpoint is a whole model, wherever it is copied to.
        scalars = self.trainer.scalars() | {"timing": timing, "tokenizer": self.tokenizer.json}
        checkpoint.save(self.folder.checkpoint, self.trainer.arrays(), scalars)
        self.saved_at = time.monotonic()
        self.events.write("checkpoint", step=self.trainer.step)

    def _sample(self) -> None:
        prompt = [self.tokenizer.eot_id, *self.tokenizer.encode(self.job.sample_prompt)]
        ids = continuations(self.trainer.model, self.trainer.evaluation_params(), [prompt],
                       SAMPLE_TOKENS, seeded(self.job.seed, self.trainer.step),
                       eot_id=self.tokenizer.eot_id)
        self.events.write("sample", step=self.trainer.step,
                          text=self.job.sample_prompt + self.tokenizer.decode(ids[0]))

    def _between_windows(self, done: int, total: int) -> bool:
        """Whether to leave an evaluation; where that is long, it is told how far it has come."""
        now = time.monotonic()
        if done == 0:
            self.told_at = now
        if now - self.told_at >= TELL_S:
            self.told_at = now
            self.events.write("scoring", step=self.trainer.step, shard=self.shard, done=done,
                              total=total, what=self.trainer.asks)
        if self._is_overdue() and self.job.measure_s is None:
            self._save()  # with the windows that are scored
        return self._should_stop()

    def _should_stop(self) -> bool:
        return self.is_asked_to_stop or self._is_alone()

    def _is_alone(self) -> bool:
        """Whether the daemon has been gone for orphan_s and none has come in its place.

        The parent changes when the daemon dies. The next one adopts this worker if it comes soon;
        nobody watches memory, battery and heat until then.
        """
        now = time.monotonic()
        if os.getppid() == self.daemon_pid:
            self.alone_since = now
            return False
        if now - self.looked_at >= ORPHAN_LOOK_S:
            self.looked_at = now
            if holder(self.home_lock) is not None:
                self.alone_since = now
        return now - self.alone_since >= self.job.orphan_s

    def _measure(self, budget_s: float) -> int:
        """Median seconds of a step and of scoring one token, without spending a whole run."""
        start = time.monotonic()
        step_s: list[float] = []
        while len(step_s) < 3 or time.monotonic() - start < budget_s:
            before = time.monotonic()
            self.trainer.advance()
            step_s.append(time.monotonic() - before)
            if self._should_stop():
                return self._stop()
        before = time.monotonic()
        n_scored = self.trainer.evaluate().n_tokens
        self.events.write("measured", step_s=statistics.median(step_s), n_steps=len(step_s),
                          eval_token_s=(time.monotonic() - before) / n_scored,
                          peak_mb=self._peak_mb())
        self.events.sync()
        return 0


def _open(job: Job, tokenizer: Tokenizer) -> tuple[Texts, dict[str, Cut]]:
    """The token files of a job, and the blocks of its shards."""
    vocab_size = job.config.vocab_size
    valid = open_tokens(Path(job.valid_tokens), vocab_size)
    if job.measure_s is not None:  # a few passes tell the speed of all of it
        valid = valid[: MEASURED_PASSES * EVAL_TOKENS + 1]
    shards, cuts = {}, {}
    for name, one in job.shards.items():
        tokens = open_tokens(Path(one.path), vocab_size)
        cuts[name] = cut_blocks(tokens, tokenizer)
        shards[name] = Shard(tokens, one.n_bytes, cuts[name].edges)
    train = beginning(open_tokens(Path(job.train_tokens), vocab_size), tokenizer.eot_id,
                      job.unique_tokens)
    return Texts(train, valid, job.n_valid_bytes, shards, tokenizer.eot_id), cuts


def _timed(events: Any) -> Any:
    """(event, seconds it took) of an iterator."""
    before = time.monotonic()
    for event in events:
        yield event, time.monotonic() - before
        before = time.monotonic()


def _by_the_system(error: Exception) -> bool:
    """Whether a replica was killed, as the whole run may be on a phone, and did not fail."""
    return isinstance(error, ReplicaDied) and error.signal == signal.SIGKILL


def _kind(error: Exception) -> str:
    """What a worker's end by this error says of its run.

    That the system refused something, or that a module is gone, is never the configuration's
    fault; that there is no memory for a network of its size is.
    """
    if _by_the_system(error):
        return "killed"
    if isinstance(error, StorageError):
        return STORAGE
    is_size = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return UNREADY if isinstance(error, OSError | ImportError) and not is_size else "failed"


def _last_words(events: Events | None, error: Exception, kind: str) -> None:
    """Say why it ends, as far as the disk takes it."""
    told = str(error) if isinstance(error, UserError | ReplicaDied | Diverged) else (
        told_error(error))
    with suppress(OSError):
        os.write(2, f"{told}\n".encode())  # not sys.stderr, which would try again at exit
    with suppress(OSError):
        if events:  # an adopted worker's exit status reaches nobody
            events.write(kind, message=told)


def main(arguments: list[str]) -> int:
    """Run the job in a folder for the daemon of that pid."""
    worker: Worker | None = None

    def stop(_number: int, _frame: object) -> None:
        if worker is None:
            sys.exit(STOPPED)
        worker.is_asked_to_stop = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # What was ignored from the start stays so, as under nohup; SIGTERM is how a daemon asks.
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        worker = Worker(RunFolder(Path(arguments[0])), int(arguments[1]))
        return worker.run()
    except (UserError, ReplicaDied, Diverged, OSError, ImportError, MemoryError) as error:
        told = storage_error(error, Path(arguments[0]), 0) if isinstance(error, OSError) else error
        kind = _kind(told)
        _last_words(worker.events if worker else None, told, kind)
        return {STORAGE: NO_STORAGE, UNREADY: NO_GROUND}.get(kind, 1)
    finally:
        if worker:
            worker.trainer.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
