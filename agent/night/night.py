"""What a night does at each tick: news of the running trial, its verdict, the next one.

Everything is in the ledger before the next thing begins, so a night that dies at any tick is
taken up by the next one where it stood.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from itertools import chain
from typing import Any

from agent import words
from agent.home import take_command
from agent.ledger import BLOCKED, Calibration, Run, is_on_text
from agent.machine import guard
from agent.night import inbox, remarks, replan, told, withdrawal
from agent.night.adrift import Harbour
from agent.night.ground import Ground
from agent.night.harvest import Harvest, at_end
from agent.night.teller import Observer, Teller
from agent.night.watch import Watch
from agent.search import OVERRUN_S, Campaign, Plan, Prepare, Silent, verdict
from agent.trial import NUMBERS, RETRY, STORAGE, UNREADY, Runner, ShortOfMemory, Stopped, Unready
from agent.words import Told
from engine.config import Config
from engine.errors import CorpusError, NoProposal, StorageError, UserError
from engine.text import TokenSet

BEGUN = ("step", "done", "pruned", "diverged")  # a worker's words that show it could begin
NOT_KEPT = ("discarded", "pruned", "refuted", "diverged", "killed", "failed", "lost")
SLEEP_S = 5.0  # of sleep are worth a word
BACK_OFF_S = 5.0  # before a run the system killed, or memory kept out, is tried again; doubled
MAX_DOUBLED = 7  # times: 320 s at most
SHORTEST = 0.6  # with less of a baseline run's time left, a night ends


class Night:
    """The loop's state: at most one trial, and whether to go on."""

    def __init__(self, runner: Runner, plan: Plan, *,
                 prepare: Prepare, observer: Observer, eval_every: int | None = None,
                 read_free_mb: Callable[[], float | None] = guard.free_mb,
                 read_swap: Callable[[], guard.Swap] = guard.read_swap,
                 watch: Watch | None = None) -> None:
        self.ledger, self.home, self.clock = runner.ledger, runner.home, runner.clock
        self.runner, self.plan = runner, plan
        self.prepare, self.observer, self.eval_every = prepare, Teller(observer), eval_every
        self.read_free_mb, self.read_swap, self.watch = read_free_mb, read_swap, watch
        self.harbour: Harbour | None = None  # where the ledger is kept if it is swapped
        self.campaign = Campaign(self.ledger, self.clock, plan, prepare, self._room_mb)
        self.harvest = Harvest(self)
        self.only: int | None = None  # the one run to execute, by id
        self.n_ended = 0
        self.is_stopping: str | None = None  # the reason
        self.fault: str | None = None  # why nothing this night computes is to be believed
        self.is_paused = self.is_held = False  # by a person, by the machine
        self.is_over = False
        self._n_told_silent = 0  # confirmed batches whose silent test was told
        self.wait_until_s = 0.0  # nothing is started before
        self.waits_for: guard.Word | None = None  # what memory lacks
        self.ground = Ground()  # what every run stands on
        self._is_unheard_noted = False
        self._untold: list[tuple[Any, ...]] = []  # events the ledger could not take yet
        self._asleep_s = self.clock.boot() - self.clock.seconds()

    @property
    def study(self) -> Calibration | None:
        """What this night goes on with; None: nothing is proposed."""
        return self.campaign.study

    @study.setter
    def study(self, found: Calibration) -> None:
        self.campaign.study = found

    # --- one tick ----------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due; short, unless a new vocabulary has to be prepared."""
        if self.harbour:
            self.harbour.look()
        try:
            self._obey()
            self._note_unheard()
            self._notice_sleep()
            self._ask_machine()
            self._go_on()
            self._tell_ledger()
        except Stopped:
            return  # a text was being prepared; the next tick obeys who asked
        except BLOCKED:
            self.wait_until_s = self.clock.seconds() + BACK_OFF_S
            raise
        except (OSError, ImportError) as error:  # no file to be had, a folder or a module gone
            self._go_without(error)

    def _go_on(self) -> None:
        self.harvest.look()
        is_busy = self.runner.trial is not None and self._follow()
        self._open_inbox()
        if is_busy:
            return
        for run in self.ledger.undecided():
            self.judge(run)
        reason = self.is_stopping or self._why_over()
        if reason and not self.harvest.takes_over():
            self._end(reason)
        elif not (self.is_paused or self.is_held) and self._has_waited():
            self._begin_next()

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
        if (self.is_stopping or self.is_paused or self.is_held or self._is_overrun()
                or replan.is_due(self)):
            self.runner.ask_to_stop()
        run = self.runner.poll()
        self.observer.progress(trial.run, trial.last)
        if self.ground.why and not trial.last.keys().isdisjoint(BEGUN) and self.ground.held():
            self.note("ready", f"{trial.run.label} computes: what held up this night is over")
        if run is None:
            return True
        if run.state == "queued":
            self._note_requeued(run)
            return False
        self.n_ended += 1
        return False  # the verdict follows in this tick

    def _note_requeued(self, run: Run) -> None:
        newest = self.ledger.events(limit=1, run_id=run.id)[0]
        if newest.kind == UNREADY:
            self._wait_for_ground(newest.message)
        else:
            self.observer.say(told.waiting(run, newest.message))
        if newest.kind == STORAGE:
            self.ground.lacks(newest.message)
        if newest.kind in (RETRY, STORAGE):  # what stopped it may need a while to pass
            n = min(self.ledger.n_events(run.id, newest.kind), MAX_DOUBLED)
            self.wait_until_s = self.clock.seconds() + BACK_OFF_S * 2 ** (n - 1)
        if newest.kind == NUMBERS:
            self.fault = newest.message
            self.stop("its numbers are not to be believed")
        if newest.kind == STORAGE and self.only is not None:
            self.stop(newest.message)  # somebody waits for this one run, and can make room
        if self._is_overrun():
            self.stop("the night's time is over")

    def _is_overrun(self) -> bool:
        return self.clock.boot() > (self.harvest.end_s or math.inf) + OVERRUN_S

    def _why_over(self) -> str | None:
        if self.plan.max_runs is not None and self.n_ended >= self.plan.max_runs:
            return f"{words.runs(self.n_ended)} done, as asked"
        if self.plan.deadline_s is None:
            return None
        left_s = self.plan.deadline_s - self.clock.boot()
        least_s = SHORTEST * (self.study.run_s or 0.0) if self.study else 0.0
        return "the night's time is over" if left_s <= least_s else None

    def _end(self, reason: str) -> None:
        silent = self._tell_silent("verbose")  # the end says it, too
        self._note_unheard()
        self._tell_ledger()
        message = told.over(reason, self.n_ended, self.campaign.at_end(), silent, at_end(self))
        self.ledger.event("night_over", str(message), self.clock.stamp(), None, {
            "reason": reason, "n_ended": self.n_ended, "standing": self.campaign.standing})
        self.is_over = True  # only now: a ledger that failed is told at the next tick
        self.observer.say(message)

    def _tell_silent(self, level: words.Level = "usual") -> Silent | None:
        """What the confirmed chain gained on the shard that decides nothing, at a night's end.

        A night without end tells it when the machine makes it wait.
        """
        found = self.campaign.silent()
        if found and found.n_batches != self._n_told_silent:
            self._n_told_silent = found.n_batches
            self.note("silent_test", Told(told.gained(found), level=level), asdict(found))
        return found

    # --- verdicts ----------------------------------------------------------------------------

    def judge(self, run: Run) -> None:
        """Append the decision on a run that has ended, and those that follow from it."""
        replan.correct_budget(self)  # the first baseline may have left the study by that
        run = self.ledger.run(run.id)
        self.campaign.judge(run, self._tell_decision)
        if run.strategy == "baseline" and self.study and (
                noise := told.noise(self.ledger, self.study)):
            self.observer.say(noise)

    def _tell_decision(self, run: Run, against: Run | None, found: verdict.Decision) -> None:
        self.observer.say(told.decided(self.ledger, run, against, found))
        # A night of models nobody goes on with would fill a phone.
        if found.verdict in NOT_KEPT or run.strategy == "confirm":
            self.home.run(run.uid).remove_checkpoints()

    # --- the next run ------------------------------------------------------------------------

    def _begin_next(self) -> None:
        """Launch what is next; where nothing could be launched, wait for what is missing."""
        try:
            self._next()
        except StorageError as error:
            self.ground.lacks(str(error))
            raise
        except (CorpusError, Unready) as error:
            self._wait_for_ground(str(error))

    def _go_without(self, error: Exception) -> None:
        """Something of the machine failed in a tick: what runs is looked for again at the next."""
        if reason := self._why_over():
            self.stop(reason)
        if self.is_stopping:  # it cannot even be seen whether what runs has saved
            raise UserError(f"stopping, {self.is_stopping}: {words.told_error(error)}") from error
        if self._has_waited():
            self._wait_for_ground(words.told_error(error))

    def _wait_for_ground(self, why: str) -> None:
        """No run is blamed for what all of them lack; tried again, or given up with the reason."""
        wait_s = self.ground.broke(why)
        if wait_s is None or (self.only is not None and wait_s):
            self.stop(f"held up for too long: {self.ground.why}")
            return
        self.wait_until_s = self.clock.seconds() + wait_s
        self.note(UNREADY, self.ground.told(wait_s), {"n": self.ground.n_tries, "wait_s": wait_s})

    def _next(self) -> None:
        """Launch what is queued, or else a proposal."""
        for run in self.ledger.runs("running"):  # claimed, and no room to start it or to say so
            self.ledger.requeue(run.id, self.clock.stamp(), "no worker could be started", STORAGE)
        if (due := self.only or self.harvest.due()) is not None:
            self.launch(self.ledger.run(due))
            return
        replan.correct_budget(self)
        waiting = [run for run in self.ledger.runs("queued") if self.campaign.belongs(run)
                   and self.harvest.may_go_on(run)]
        if waiting and waiting[0].calibration_id is not None:  # of a study: its noise comes first
            waiting.sort(key=lambda run: run.strategy != "baseline")
        if waiting and not self.campaign.fits(waiting[0]):
            self.harvest.end_search(
                f"{waiting[0].label} is queued and would take longer than what is left")
        elif waiting:
            self.launch(waiting[0])
        elif self.study is None:
            self.stop("nothing is queued")
        else:
            try:
                self.launch(self.campaign.queue_next(self.n_ended))
            except NoProposal as refusal:
                self.harvest.end_search(told.why_none(
                    str(refusal), self.campaign.left_s(), self.study.run_s))

    def is_wanted(self, run: Run) -> bool:
        """Whether a run that computes already is one this night would launch."""
        return self.study is not None and self.campaign.belongs(run)

    def launch(self, waiting: Run) -> None:
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
            self.runner.write_job(waiting, tokens, self.eval_every,
                                  self.campaign.rung_limit(waiting))
        except (*BLOCKED, CorpusError) as error:
            if not isinstance(error, ShortOfMemory):
                raise  # it passes, and is no fault of the run
            self._fail(waiting, error)
            return
        except UserError as error:
            self._fail(waiting, error)
            return
        run = self.ledger.claim(self.clock.stamp(), run_id=waiting.id)
        if run is None:
            return  # it is no longer queued
        self.observer.say(told.started(run))
        if self.waits_for:
            self.note("guard", f"{run.label} goes on: {word.reason}", word.readings, run.id)
        self.waits_for = None
        self.runner.start(run)

    def _fail(self, waiting: Run, error: UserError) -> None:
        """A run that cannot be begun, by its own fault; the verdict follows at the next tick."""
        self.ledger.finish(waiting.id, "failed", self.clock.stamp(), error=str(error))
        self.n_ended += 1

    def _room_mb(self) -> float | None:
        """What a run could take of the machine's memory now; None where it will not tell."""
        free_mb = self.read_free_mb()
        return None if free_mb is None else free_mb - guard.reserve_mb(self.read_swap())

    def _memory_for(self, run: Run) -> guard.Word:
        config = Config.from_dict(run.config)
        predicted_mb = run.predicted_mb or config.predicted_mb(run.replicas or 1)
        return guard.may_launch(predicted_mb, self.plan.max_ram_mb, self.read_free_mb(),
                                self.read_swap())

    def _tokens_of(self, run: Run) -> TokenSet:
        """Token files of a run; its text must be the one this night works on."""
        tokens = self.prepare(Config.from_dict(run.config).vocab_size)
        if not is_on_text(self.ledger, run, tokens.corpus.sha256):
            wanted = self.ledger.corpus(run.corpus_id or 0)
            raise UserError(f"{run.label} was queued for the corpus {wanted.name}, this night has "
                            f"{tokens.corpus.name}; start it with that --corpus")
        return tokens

    def _ask_machine(self) -> None:
        """Hold where battery, heat, disk or the hour ask for it: what runs saves and leaves."""
        look = self.watch.look() if self.watch else None
        if look:
            for message in look.news:
                self.note("guard", message, look.readings)
            was_held, self.is_held = self.is_held, not look.word.is_go
            if self.is_held and not was_held:
                self._tell_silent()
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
            self.pause("paused by `agent pause`; `agent resume` goes on")
        elif command == "resume" and self.is_paused:
            self.is_paused = False
            self.note("resume", "going on, as asked by `agent resume`")

    def pause(self, message: str) -> None:
        self.is_paused = True
        self.note("pause", message)

    def _open_inbox(self) -> None:
        """Queue what `agent enqueue` left; a new vocabulary is only made where a run may start."""
        if self.study:
            may_prepare = not (self.runner.trial or self.is_stopping) and self._has_waited()
            try:
                here = self.ledger, self.home, self.clock.stamp()
                for message in chain(withdrawal.take_up(*here), remarks.take_up(*here),
                                     inbox.take_up(*here, self.prepare if may_prepare else None)):
                    self.note("inbox", message)
            except CorpusError as error:
                self._wait_for_ground(str(error))

    def note(self, kind: str, message: str, data: dict[str, Any] | None = None,
             run_id: int | None = None, *, is_said: bool = False) -> None:
        """Tell the person at once, unless that was said, and the ledger as soon as it can be."""
        self._untold.append((kind, str(message), self.clock.stamp(), run_id, data))
        if not is_said:
            self.observer.say(message)
        with suppress(*BLOCKED):
            self._tell_ledger()

    def _note_unheard(self) -> None:
        """What nobody hears is dropped, and the ledger is told so once."""
        if not self._is_unheard_noted and (why := self.observer.unheard()):
            self._is_unheard_noted = True
            self.note("unheard", f"nobody hears this night: {why}; it goes on, what cannot be said "
                                 "is dropped, and the ledger has what became of each run")

    def _tell_ledger(self) -> None:
        while self._untold:
            self.ledger.event(*self._untold[0])
            del self._untold[0]
