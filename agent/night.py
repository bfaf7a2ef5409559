"""What a night does at each tick: news of the running trial, its verdict, the next one.

Everything is in the ledger before the next thing begins, so a night that dies at any tick is
taken up by the next one where it stood.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from agent import guard, inbox, proposer, study, verdict, words
from agent.control import take_command
from agent.job import STORAGE
from agent.queries import BLOCKED
from agent.records import Calibration, Run
from agent.runner import RETRY, Runner
from agent.watch import Watch
from engine.config import Config
from engine.corpus import TokenSet
from engine.errors import CorpusError, NoProposal, TokenizerError, UserError
from strategies.base import Limits

OVERRUN_S = 15.0  # past its deadline a night lets a run go on so long, then saves and queues it
MAX_PARAMS = 10_000_000
NOT_KEPT = ("discarded", "diverged", "killed", "failed", "lost")  # no checkpoint is kept of them
SLEEP_S = 5.0  # of sleep are worth a word
BACK_OFF_S = 5.0  # before a run the system killed, or memory kept out, is tried again; doubled
MAX_DOUBLED = 7  # times: 320 s at most
SLOWEST = 2.0  # a proposal may take so many times as long as the baseline
SHORTEST = 0.6  # with less of a baseline run's time left, a night ends
SAFETY = 0.8  # of the time left may be planned: what feasible.py foresees errs by a quarter


@dataclass(frozen=True, slots=True)
class Plan:
    """What a night was asked for; None is without limit."""

    max_ram_mb: float
    n_replicas: int = 1  # of the runs it proposes
    seed: int = 0
    deadline_s: float | None = None  # on the clock that runs on while the device sleeps
    max_runs: int | None = None


class Observer(Protocol):
    """Where a night tells a person what happens."""

    def say(self, message: str) -> None: ...

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None: ...


Prepare = Callable[[int], TokenSet]  # token files for a vocabulary size


class Night:
    """The loop's state: at most one trial, and whether to go on."""

    def __init__(self, runner: Runner, plan: Plan, *,
                 prepare: Prepare, observer: Observer, eval_every: int | None = None,
                 read_free_mb: Callable[[], float | None] = guard.free_mb,
                 read_swap: Callable[[], guard.Swap] = guard.read_swap,
                 watch: Watch | None = None) -> None:
        self.ledger, self.home, self.clock = runner.ledger, runner.home, runner.clock
        self.runner, self.plan = runner, plan
        self.prepare, self.observer, self.eval_every = prepare, observer, eval_every
        self.read_free_mb, self.read_swap, self.watch = read_free_mb, read_swap, watch
        self.study: Calibration | None = None  # None: nothing is proposed
        self.only: int | None = None  # the one run to execute, by id
        self.n_ended = 0
        self.is_stopping: str | None = None  # the reason
        self.is_paused = False
        self.is_held = False  # by the machine
        self.is_over = False
        self.wait_until_s = 0.0  # nothing is started before
        self.waits_for: guard.Word | None = None  # what memory lacks
        self._untold: list[tuple[Any, ...]] = []  # events the ledger could not take yet
        self._asleep_s = self.clock.boot() - self.clock.seconds()

    # --- one tick ----------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due; short, unless a new vocabulary has to be prepared."""
        self._obey()
        self._notice_sleep()
        self._ask_machine()
        try:
            self._go_on()
            self._tell_ledger()
        except BLOCKED:
            self.wait_until_s = self.clock.seconds() + BACK_OFF_S
            raise

    def _go_on(self) -> None:
        is_busy = self.runner.trial is not None and self._follow()
        self._open_inbox()
        if is_busy:
            return
        for run in self.ledger.undecided():
            self.judge(run)
        reason = self.is_stopping or self._why_over()
        if reason:
            self._end(reason)
        elif not (self.is_paused or self.is_held) and self._has_waited():
            self._next()

    def _has_waited(self) -> bool:
        return self.clock.seconds() >= self.wait_until_s

    def stop(self, reason: str) -> None:
        """Save what runs, then end the night."""
        if not self.is_stopping:
            self.is_stopping = reason
            if self.runner.trial:
                self.note("stop", f"stopping, {reason}: what runs is saved first")

    def _follow(self) -> bool:
        """News of the running trial; whether it still runs."""
        trial = self.runner.trial
        assert trial is not None
        if self.is_stopping or self.is_paused or self.is_held or self._is_overrun():
            self.runner.ask_to_stop()
        run = self.runner.poll()
        self.observer.progress(trial.run, trial.last)
        if run is None:
            return True
        if run.state == "queued":
            self._note_requeued(run)
            return False
        self.n_ended += 1
        return False  # the verdict follows in this tick

    def _note_requeued(self, run: Run) -> None:
        newest = self.ledger.events(limit=1, run_id=run.id)[0]
        self.observer.say(f"{run.label} waits: {newest.message}")
        if newest.kind in (RETRY, STORAGE):  # what stopped it may need a while to pass
            n = min(self.ledger.n_events(run.id, newest.kind), MAX_DOUBLED)
            self.wait_until_s = self.clock.seconds() + BACK_OFF_S * 2 ** (n - 1)
        if newest.kind == STORAGE and self.only is not None:
            self.stop(newest.message)  # somebody waits for this one run, and can make room
        if self._is_overrun():
            self.stop("the night's time is over")

    def _is_overrun(self) -> bool:
        deadline = self.plan.deadline_s
        return deadline is not None and self.clock.boot() > deadline + OVERRUN_S

    def _why_over(self) -> str | None:
        if self.plan.max_runs is not None and self.n_ended >= self.plan.max_runs:
            return f"{_count(self.n_ended)} done, as asked"
        if self.plan.deadline_s is None:
            return None
        left_s = self.plan.deadline_s - self.clock.boot()
        least_s = SHORTEST * (self.study.run_s or 0.0) if self.study else 0.0
        return "the night's time is over" if left_s <= least_s else None

    def _end(self, reason: str) -> None:
        self._tell_ledger()
        message = f"over: {reason}; {_count(self.n_ended)} ended"
        self.ledger.event("night_over", message, self.clock.stamp())
        self.is_over = True  # only now: a ledger that failed is told at the next tick
        self.observer.say(message)

    # --- verdicts ----------------------------------------------------------------------------

    def judge(self, run: Run) -> None:
        """Append the decision on a run that has ended."""
        if run.strategy == "baseline" and run.calibration_id is not None:
            noted = study.note_noise(self.ledger, self.ledger.calibration(run.calibration_id))
            if self.study and noted.id == self.study.id:
                self.study = noted
        found, against = self._verdict(run)
        self.ledger.decide(run.id, against.id if against else None, found.verdict,
                           verdict.RULE, found.evidence, found.reason, self.clock.stamp())
        score = "" if run.val_loss is None else (
            f" {run.val_loss:.3f} nats/token, {run.val_bpb:.3f} bits/byte")
        self.observer.say(f"{run.label} {run.config_text}:{score} → {found.verdict}: "
                          f"{found.reason}")
        if found.verdict in NOT_KEPT:  # a night of discarded models would fill a phone
            self.home.run(run.uid).remove_checkpoints()

    def _verdict(self, run: Run) -> tuple[verdict.Decision, Run | None]:
        if run.state in ("diverged", "killed", "failed", "lost"):
            return verdict.Decision(run.state, {"error": run.error},
                                    run.error or f"the run is {run.state}"), None
        assert run.val_bpb is not None  # a finished run has a score
        if run.strategy == "baseline":
            return verdict.Decision("baseline", {"bpb": run.val_bpb, "seed": run.seed},
                                    "the study's starting point; its spread over seeds is the "
                                    "noise"), None
        if run.calibration_id is None:
            return verdict.Decision("recorded", {"bpb": run.val_bpb},
                                    "a measurement of its own; compared with nothing"), None
        calibration = self.ledger.calibration(run.calibration_id)
        incumbent = self.ledger.incumbent(run.calibration_id)
        found = verdict.judge(run.val_bpb, incumbent.val_bpb if incumbent else None,
                              calibration.sigma_bpb, calibration.n or 0)
        return found, incumbent

    # --- the next run ------------------------------------------------------------------------

    def _next(self) -> None:
        """Launch what is queued, or else a proposal."""
        for run in self.ledger.runs("running"):  # claimed, and no room to start it or to say so
            self.ledger.requeue(run.id, self.clock.stamp(), "no worker could be started", STORAGE)
        if self.only is not None:
            self._launch(self.ledger.run(self.only))
            return
        waiting = [run for run in self.ledger.runs("queued") if self._belongs(run)]
        if waiting and not self._fits(waiting[0]):
            self.stop(f"{waiting[0].label} is queued and would take longer than what is left")
        elif waiting:
            self._launch(waiting[0])
        elif self.study is None:
            self.stop("nothing is queued")
        else:
            try:
                self._launch(self._propose())
            except NoProposal as refusal:
                self.stop(str(refusal))

    def _belongs(self, run: Run) -> bool:
        """Whether a queued run is for this night: of its text, of its study or of none.

        The others keep what they have done and wait for a night of their own.
        """
        if self.study is None:
            return True
        text = self.ledger.corpus(run.corpus_id or 0).text_sha256
        return text == self.study.text_sha256 and run.calibration_id in (None, self.study.id)

    def is_wanted(self, run: Run) -> bool:
        """Whether a run that computes already is one this night would launch."""
        return self.study is not None and self._belongs(run)

    def _fits(self, run: Run) -> bool:
        """Whether a run is likely to end before the night does; what is done of it counts."""
        if self.plan.deadline_s is None or self.study is None:
            return True
        run_s = study.foresee(self.ledger, self.study, run.replicas or 1)
        if run_s is None:
            return True
        budget = run.budget_tokens or 0
        left_s = run_s(Config.from_dict(run.config), budget) * (1 - (run.tokens or 0) / budget)
        return left_s <= self.plan.deadline_s - self.clock.boot() + OVERRUN_S

    def _propose(self) -> Run:
        """Queue what a strategy proposes. Raises NoProposal where none has anything that fits."""
        assert self.study is not None
        idea = proposer.propose(self.ledger, self.study, self._limits(), self.plan.seed)
        config, now = idea.proposal.config, self.clock.stamp()
        try:
            tokens = self.prepare(config.vocab_size)
        except (CorpusError, TokenizerError):
            corpus_id = self.study.corpus_id  # launching it will fail, and the ledger say why
        else:
            if tokens.corpus.sha256 != self.study.text_sha256:
                raise NoProposal(f"the text {tokens.corpus.name} has changed since the night "
                                 "began; start again to study the new one")
            corpus_id = study.register_corpus(self.ledger, tokens, now)
        seed = (self.study.seeds or [self.plan.seed])[0]  # challengers run on the incumbent's
        return self.ledger.queue(study.new_run(
            self.ledger, config, seed, self.study.budget_tokens, corpus_id, now,
            study.Origin(idea.proposal.strategy, idea.proposal.reason,
                         calibration_id=self.study.id, parent_id=idea.parent.id),
            self.plan.n_replicas))

    def _limits(self) -> Limits:
        """What a proposal may cost in what is left of the night."""
        assert self.study is not None
        free_mb = self.read_free_mb()
        max_mb = self.plan.max_ram_mb if free_mb is None else min(
            self.plan.max_ram_mb, free_mb - guard.reserve_mb(self.read_swap()))
        base = Config.from_dict(self.study.config)
        run_s = study.foresee(self.ledger, self.study, self.plan.n_replicas)
        max_s = run_s and SLOWEST * run_s(base, self.study.budget_tokens)
        if self.plan.deadline_s is not None and max_s is not None:
            left_s = self.plan.deadline_s - self.clock.boot()
            max_s = min(max_s, SAFETY * left_s)
        text_mb = study.text_mb(self.ledger.corpus(self.study.corpus_id))
        return Limits(
            budget_tokens=self.study.budget_tokens, n_replicas=self.plan.n_replicas,
            max_params=MAX_PARAMS, max_mb=max_mb - text_mb, max_vocab=base.vocab_size,
            min_steps=study.MIN_STEPS, max_s=max_s, run_s=run_s)

    def _launch(self, waiting: Run) -> None:
        """Claim a queued run and start its worker; fail it, or wait, if something is in the way."""
        word = self._memory_for(waiting)
        if word.may_pass:
            if self.waits_for is None or self.waits_for.cause != word.cause:
                self.note("guard", f"{waiting.label} waits: {word.reason}", word.readings,
                          waiting.id)
            self.waits_for = word
            self.wait_until_s = self.clock.seconds() + BACK_OFF_S
            return
        try:
            if not word.is_go:
                raise UserError(word.reason)
            tokens = self._tokens_of(waiting)
            self.runner.write_job(waiting, tokens, self.eval_every)
        except BLOCKED:
            raise  # it passes, and is no fault of the run
        except UserError as error:
            self.n_ended += 1
            self.ledger.finish(waiting.id, "failed", self.clock.stamp(), error=str(error))
            return  # the verdict follows at the next tick
        run = self.ledger.claim(self.clock.stamp(), run_id=waiting.id)
        if run is None:
            return  # it is no longer queued
        self.observer.say(f"{run.label} {run.config_text}, seed {run.seed}: {run.reason}")
        if self.waits_for:
            self.note("guard", f"{run.label} goes on: {word.reason}", word.readings, run.id)
        self.waits_for = None
        self.runner.start(run)

    def _memory_for(self, run: Run) -> guard.Word:
        config = Config.from_dict(run.config)
        predicted_mb = run.predicted_mb or config.predicted_mb(run.replicas or 1)
        return guard.may_launch(predicted_mb, self.plan.max_ram_mb, self.read_free_mb(),
                                self.read_swap())

    def _tokens_of(self, run: Run) -> TokenSet:
        """Token files of a run; its text must be the one this night works on."""
        tokens = self.prepare(Config.from_dict(run.config).vocab_size)
        wanted = self.ledger.corpus(run.corpus_id or 0)
        if tokens.corpus.sha256 != wanted.text_sha256:
            raise UserError(f"{run.label} was queued for the corpus {wanted.name}, this night has "
                            f"{tokens.corpus.name}; start it with that --corpus")
        return tokens

    def _ask_machine(self) -> None:
        """Hold where battery, heat, disk or the hour ask for it: what runs saves and leaves."""
        look = self.watch.look() if self.watch else None
        if look:
            for message in look.news:
                self.note("guard", message, look.readings)
            self.is_held = not look.word.is_go
        elif self.watch and not self.runner.trial:
            self.is_held = True  # an adopted worker goes on until the sensors have spoken

    def _notice_sleep(self) -> None:
        """The device slept where the clock of the boot has run away from the other."""
        asleep_s = self.clock.boot() - self.clock.seconds()
        if (slept_s := asleep_s - self._asleep_s) >= SLEEP_S:
            self.note("suspend", f"the device slept for {words.duration(slept_s)}; what runs goes "
                                 "on where it was", {"slept_s": slept_s})
            self._asleep_s = asleep_s

    # --- what is asked from outside ----------------------------------------------------------

    def _obey(self) -> None:
        """Take up pause, resume and stop from the control file."""
        command = take_command(self.home.control)
        if command == "stop":
            self.stop("asked to by `agent stop`")
        elif command == "pause" and not self.is_paused:
            self.is_paused = True
            self.note("pause", "paused by `agent pause`; `agent resume` goes on")
        elif command == "resume" and self.is_paused:
            self.is_paused = False
            self.note("resume", "going on, as asked by `agent resume`")

    def _open_inbox(self) -> None:
        """Queue what `agent enqueue` left; a new vocabulary is only made where a run may start."""
        if self.study:
            may_prepare = not (self.runner.trial or self.is_stopping) and self._has_waited()
            for message in inbox.take_up(self.ledger, self.home, self.clock.stamp(),
                                         self.prepare if may_prepare else None):
                self.note("inbox", message)

    def note(self, kind: str, message: str, data: dict[str, Any] | None = None,
             run_id: int | None = None) -> None:
        """Tell the person at once, and the ledger as soon as it can be written."""
        self._untold.append((kind, message, self.clock.stamp(), run_id, data))
        self.observer.say(message)
        with suppress(*BLOCKED):
            self._tell_ledger()

    def _tell_ledger(self) -> None:
        while self._untold:
            self.ledger.event(*self._untold[0])
            del self._untold[0]


def _count(n: int) -> str:
    return f"{n} run" if n == 1 else f"{n} runs"
