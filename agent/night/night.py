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
from agent.night import inbox, pace, remarks, replan, told, turns, withdrawal
from agent.night.adrift import Harbour
from agent.night.following import BACK_OFF_S, follow
from agent.night.following import MAX_DOUBLED as MAX_DOUBLED
from agent.night.ground import Ground
from agent.night.harvest import Harvest, at_end
from agent.night.starting import begin_next
from agent.night.teller import Observer, Teller
from agent.night.watch import Watch
from agent.search import OVERRUN_S, Campaign, Plan, Prepare, Silent, verdict
from agent.trial import UNREADY, Runner, Slots, Stopped, foreseen_mb
from agent.words import Told
from engine.config import Config
from engine.errors import CorpusError, UserError
from engine.text import TokenSet

NOT_KEPT = ("discarded", "pruned", "refuted", "diverged", "killed", "failed", "lost")
SLEEP_S = 5.0  # of sleep are worth a word
SHORTEST = 0.6  # with less of a run's time left, a night ends
SOON = 4.0  # times a baseline run's time before the end, it is looked how long runs take now


class Night:
    """The loop's state: its trials, at most so many at once, and whether to go on."""

    def __init__(self, runner: Runner, plan: Plan, *,
                 prepare: Prepare, observer: Observer, eval_every: int | None = None,
                 read_free_mb: Callable[[], float | None] = guard.free_mb,
                 read_swap: Callable[[], guard.Swap] = guard.read_swap,
                 watch: Watch | None = None) -> None:
        self.ledger, self.home, self.clock = runner.ledger, runner.home, runner.clock
        self.runner, self.plan = runner, plan  # it makes those of the other slots
        self.slots = Slots(runner, plan.n_trials)
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
        self.is_asking = plan.n_trials > 1  # whether the search may have more to ask for now
        self.refused_beside: tuple[object, ...] = ()  # runs in flight when it had nothing
        self._n_told_silent = 0  # confirmed batches whose silent test was told
        self.wait_until_s = 0.0  # nothing is started before
        self.waits_for: guard.Word | None = None  # what memory lacks
        self.pace = pace.Pace()
        self.ground = Ground()  # what every run stands on
        self._is_unheard_noted = False
        self._left_out: set[int] = set()  # runs that need more memory than this night may take
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
        follow(self)
        self._open_inbox()
        if self.slots.free() is None and not self.is_asking:
            return
        turns.go_on(self)
        reason = self.is_stopping or self.why_over()
        if self.slots.trials:  # what ends the night waits for them
            if not reason and self._may_begin():
                begin_next(self)
            return
        if reason:
            turns.end(self)
        if reason and not self.harvest.takes_over():
            self._end(reason)
        elif self._may_begin():
            begin_next(self)

    def _may_begin(self) -> bool:
        return not (self.is_paused or self.is_held) and self.has_waited()

    def has_waited(self) -> bool:
        return self.clock.seconds() >= self.wait_until_s

    def stop(self, reason: str) -> None:
        """Save what runs, then end the night."""
        if not self.is_stopping:
            self.is_stopping = reason
            if self.slots.trials:
                self.note("stop", f"stopping, {reason}: what runs is saved first")

    def is_overrun(self) -> bool:
        return self.clock.boot() > (self.harvest.end_s or math.inf) + OVERRUN_S

    def why_over(self) -> str | None:
        if self.plan.max_runs is not None and self.n_ended >= self.plan.max_runs:
            return f"{words.runs(self.n_ended)} done, as asked"
        if self.plan.deadline_s is None:
            return None
        left_s = self.plan.deadline_s - self.clock.boot()
        if left_s <= 0:
            return "the night's time is over"
        if self.study is None or left_s > SOON * (self.study.run_s or 0.0):
            return None
        one_s = pace.run_s(self.ledger, self.study) or 0.0
        return (f"the night's time is over: {words.duration(left_s)} are left, and a run takes "
                f"about {words.duration(one_s)}") if left_s <= SHORTEST * one_s else None

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
        if news := self.pace.news(self):
            self.observer.say(news)

    def _tell_decision(self, run: Run, against: Run | None, found: verdict.Decision) -> None:
        self.observer.say(told.decided(self.ledger, run, against, found))
        # A night of models nobody goes on with would fill a phone.
        if found.verdict in NOT_KEPT or run.strategy == "confirm":
            self.home.run(run.uid).remove_checkpoints()

    # --- the next run ------------------------------------------------------------------------

    def _go_without(self, error: Exception) -> None:
        """Something of the machine failed in a tick: what runs is looked for again at the next."""
        if reason := self.why_over():
            self.stop(reason)
        if self.is_stopping:  # it cannot even be seen whether what runs has saved
            raise UserError(f"stopping, {self.is_stopping}: {words.told_error(error)}") from error
        if self.has_waited():
            self.wait_for_ground(words.told_error(error))

    def lack(self, why: str) -> None:
        """Something that is waited for elsewhere holds up the next run; what runs already is no
        witness that it is there again.
        """
        self.ground.lacks(why)
        self.slots.discount()

    def wait_for_ground(self, why: str) -> None:
        """No run is blamed for what all of them lack; tried again, or given up with the reason."""
        self.slots.discount()
        wait_s = self.ground.broke(why)
        if wait_s is None or (self.only is not None and wait_s):
            self.stop(f"held up for too long: {self.ground.why}")
            return
        self.wait_until_s = self.clock.seconds() + wait_s
        self.note(UNREADY, self.ground.told(wait_s), {"n": self.ground.n_tries, "wait_s": wait_s})

    def is_wanted(self, run: Run) -> bool:
        """Whether a run that computes already is one this night would launch."""
        return self.study is not None and self.campaign.belongs(run)

    def _room_mb(self) -> float | None:
        """What one more run could take of the machine's memory now; None where it will not tell."""
        free_mb = self.read_free_mb()
        return None if free_mb is None else (
            free_mb - guard.reserve_mb(self.read_swap()) - self.slots.owed_mb())

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
        elif self.watch and not self.slots.trials:
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
            may_prepare = (self.slots.free() is not None and not self.is_stopping
                           and self.has_waited())
            try:
                here = self.ledger, self.home, self.clock.stamp()
                for message in chain(withdrawal.take_up(*here), remarks.take_up(*here),
                                     inbox.take_up(*here, self.prepare if may_prepare else None)):
                    self.note("inbox", message)
            except CorpusError as error:
                self.wait_for_ground(str(error))

    def is_too_large(self, run: Run) -> bool:
        """Whether a queued run is foreseen to take more memory than this night may, which is said
        once: it waits for another.
        """
        most_mb, needs_mb = self.plan.max_ram_mb, foreseen_mb(run)
        if self.plan.is_elsewhere or needs_mb <= most_mb:
            return False
        if run.id not in self._left_out:
            self._left_out.add(run.id)
            self.note("guard", f"{run.label} waits for a night that may take more memory: "
                      f"predicted peak {needs_mb:,.0f} MB is over --max-ram {most_mb:,.0f} MB",
                      {"predicted_mb": needs_mb}, run.id)
        return True

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
