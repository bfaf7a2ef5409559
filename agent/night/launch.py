"""From what a person asked for to a night that ticks: text, speed, budget, study.

`run_night` is `agent run`; `train_once` is `agent train`. Both hold the home's lock while
they write its ledger.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from agent import words
from agent.home import Home, is_asked, only_one, take_command
from agent.ledger import (
    BLOCKED,
    Calibration,
    Ledger,
    Run,
    current_study,
    is_like,
    kernels_of,
    last_state,
    waiting_elsewhere,
)
from agent.machine import Clock, Guard, Sensors, kernels, later, machine, proof
from agent.night import harvest, signals, told, withdrawal
from agent.night.adrift import Harbour, in_harbour
from agent.night.choice import (
    Choice,
    Classes,
    base_of,
    choose,
    held_of,
    note_of,
    with_last_text,
)
from agent.night.cores import settled
from agent.night.daemon import Daemon
from agent.night.herald import Hooks, heralded
from agent.night.measuring import measured, tell_measuring
from agent.night.needs import (
    Prove,
    require_memory,
    require_right,
    require_room,
    require_steps,
    require_time,
    why_short,
)
from agent.night.night import Night
from agent.night.opening import opening, remarks, until
from agent.night.pace import run_s
from agent.night.recover import recover
from agent.night.remarks import take_up as take_up_remarks
from agent.night.replan import correct_budget, sweep
from agent.night.shares import shared_out
from agent.night.teller import Observer, Teller
from agent.night.watch import Watch
from agent.night.wish import DEFAULT_LIMITS
from agent.night.wish import Wish as Wish
from agent.search import Outsiders, Plan, budget, plugins, prior, study
from agent.trial import (
    Executor,
    Progress,
    Runner,
    Source,
    Stopped,
    Texts,
    end_orphans,
    living_worker,
    require_windows,
    token_files,
)
from agent.words import Told
from engine.config import Config
from engine.errors import UserError
from engine.text import TokenSet

LOOK_S = 1.0  # a tick waits so long for a locked ledger; the daemon tries again at the next


@dataclass(slots=True)
class Desk:
    """What every command that writes needs: ledger, home, clock and who to tell."""

    home: Home
    ledger: Ledger
    observer: Observer
    progress: Progress
    clock: Clock = field(default_factory=Clock)
    prove: Prove = proof.wrong_numbers
    harbour: Harbour | None = None  # where the ledger is kept if it is swapped
    asked: threading.Event = field(default_factory=threading.Event)  # by a signal, to stop
    executor: Executor | None = None  # where trials are computed; None: here
    classes: Classes | None = None  # of devices that compute them, where anyone asks
    meanwhile: Callable[[], None] = lambda: None  # what a text that takes its time must not keep
    remarks: set[str] = field(default_factory=set)  # on texts, that were said

    def look(self) -> None:
        """Stopped where `agent stop` or a signal asks for an end, which no tick takes up yet."""
        self.meanwhile()
        if self.asked.is_set() or is_asked(self.home.control, "stop"):
            raise Stopped

    def computes(self, found: Calibration) -> bool:
        """Whether what computes runs now is the device that a study was measured on."""
        here = self.executor.device(found.id) if self.executor else machine.device()
        return None in (found.device, here) or is_like(found.device, here)

    def look_at_measuring(self, seconds: float) -> None:
        self.look()
        tell_measuring(self.progress, seconds)

    def tokens(self, source: Source) -> Callable[[int], TokenSet]:
        """Token files by vocabulary size, each made or checked once, or where it has changed."""
        def make(vocab_size: int, folder: str | None) -> TokenSet:
            found = token_files(source, vocab_size, self.progress, folder, self.look)
            for remark in found.corpus.remarks:  # once, whatever is cut of it
                if not folder and remark not in self.remarks:
                    self.observer.say(remark)
                    self.remarks.add(remark)
            return found

        return Texts(make)

    def note_end(self, why: str) -> None:
        """Leave in the ledger why nothing came of it, as far as it can be written."""
        with suppress(*BLOCKED):
            self.ledger.event("signal", f"ended before the first run began: {why}",
                              self.clock.stamp())

    def night(self, plan: Plan, source: Source, eval_every: int | None = None,
              watch: Watch | None = None) -> Night:
        """A night on this desk; what a dead one left is taken up once it is known what it is for.
        """
        runner = Runner(self.ledger, self.home, self.clock, plan.max_ram_mb,
                        executor=self.executor)
        night = Night(runner, plan, prepare=self.tokens(source), observer=self.observer,
                      eval_every=eval_every, watch=watch)
        night.harbour, self.meanwhile = self.harbour, night.slots.guard
        return night


@contextmanager
def desk(home: Home, observer: Observer, progress: Progress) -> Iterator[Desk]:
    """The home's lock and its ledger, open for writing."""
    home.require_writable()
    try:
        home.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {home.root}: {error.strerror}; use another "
                        "--home") from error
    clock = Clock()
    with (only_one(home.lock) as held, Ledger.open(home.ledger) as ledger,
          in_harbour(home, held, ledger, clock.stamp()) as harbour):
        take_command(home.control)  # it was meant for a daemon that is gone
        home.guard.unlink(missing_ok=True)  # so was its word
        ledger.hold_whole()
        at = Desk(home, ledger, Teller(observer), progress, clock, harbour=harbour)
        if ledger.set_aside:
            message = (f"{ledger.path} was put in place of another, whose log lay beside it still: "
                       f"that is set aside as {ledger.set_aside}")
            ledger.event("set_aside", message, clock.stamp())
            at.observer.say(message)
        with signals.interrupting(at.note_end):
            yield at


def run_night(at: Desk, wish: Wish) -> Night:
    """Prepare, calibrate, and run experiments until the budget ends or someone says stop."""
    started_s, started_at = at.clock.boot(), at.clock.stamp()
    for done in withdrawal.take_up(at.ledger, at.home, started_at):  # before a study is chosen
        at.observer.say(done)
    wish, remark = with_last_text(at.ledger, wish)
    wish = settled(at, wish, base := base_of(at.ledger, wish))
    wish = shared_out(at.ledger, wish, base)
    deadline_s = None if wish.night_s is None else started_s + wish.night_s
    is_counted = wish.max_runs is not None and wish.harvest_s is None  # what was asked is runs
    kept_s = 0.0 if is_counted else harvest.kept_s(wish.night_s, wish.harvest_s)
    # A machine that has no battery is no phone that hides it: silence is worth a word where limits
    # were asked for, and on a phone.
    watch = Watch(Sensors(at.home.root), Guard(wish.limits), at.clock,
                  machine.is_termux(os.environ) or wish.limits != DEFAULT_LIMITS)
    plan = Plan(wish.max_ram_mb, wish.n_replicas, wish.seed, deadline_s, wish.max_runs,
                wish.with_prior, wish.n_trials or 1,
                at.executor is not None and at.executor.is_elsewhere, wish.is_portable)
    night = at.night(plan, wish.source, watch=watch)
    night.harvest.keep(kept_s)
    found = study.note_noise(at.ledger, _study(at, wish, night, night.plan.deadline_s, remark))
    night.study = found
    correct_budget(night)  # a night before this one may have seen that it is due, and was killed
    sweep(night)
    found = night.study or found
    if gone := night.campaign.take_up():
        at.observer.say(gone)
    was_paused = _is_left_paused(at.ledger)
    study.queue_baselines(at.ledger, found, at.clock.stamp(), wish.n_replicas)
    for waiting in waiting_elsewhere(at.ledger, found):
        at.observer.say(str(waiting))
    night.pace.said(found, one_s := run_s(at.ledger, found))
    night.note("night", _announce(found, one_s, wish, at.clock), {
        "started_at": started_at, "max_runs": wish.max_runs, "max_ram_mb": wish.max_ram_mb,
        "deadline_at": None if wish.night_s is None else later(started_at, wish.night_s),
        "n_ended_before": at.ledger.n_ended(),
        "budget_tokens": found.budget_tokens, "run_s": found.run_s, "study": found.id,
        "n_trials": plan.n_trials, "cluster": wish.cluster,
        "newest_study": max(one.id for one in at.ledger.studies()),
        "source": note_of(at.ledger, wish, found)}, is_said=True)
    night.harvest.announce(found, is_asked=wish.harvest_s is not None)
    if wish.with_prior:
        at.observer.say(prior.in_words())
    _invite(night)
    if was_paused:
        night.pause("still paused, since the agent before this one did not live to hear `agent "
                    "resume`; that goes on")
    try:
        _tick_through(at, night, wish.hooks)
    finally:
        watch.close()
    return night


def _invite(night: Night) -> None:
    """Let strategies of other packages take part, and say once which do and which cannot."""
    found = plugins.find()
    for remark in found.remarks:
        night.note("strategies", remark.text, {"package": remark.package})
    if found.mutators:
        night.note("strategies", f"from other packages: {found.told()}",
                   {"packages": dict(found.packages)})
        night.campaign.outsiders = Outsiders(night.ledger, found.mutators, night.note)


def end_pause(at: Desk) -> bool:
    """Let the next agent work where the last one died paused; False if it did not."""
    if not _is_left_paused(at.ledger):
        return False
    at.ledger.event("resume", "asked to by `agent resume`; no agent runs yet", at.clock.stamp())
    return True


def _is_left_paused(ledger: Ledger) -> bool:
    """Whether the last agent died while a person wanted it to be quiet."""
    last = last_state(ledger.events_of_night())
    return last is not None and last.kind == "pause"


def _tick_through(at: Desk, night: Night, hooks: Hooks | None = None) -> None:
    """Tick a night until it is over. UserError where it ended held up, or on numbers that are
    wrong."""
    night.ledger.wait_at_most(LOOK_S)
    with heralded(night, hooks) as herald:
        Daemon(night, at.asked, herald).run()
        _require_held(night)
    for written in take_up_remarks(at.ledger, at.home, at.clock.stamp()):  # a run by hand's, too
        at.observer.say(written)


def _require_held(night: Night) -> None:
    """UserError where a night ended for want of what every run stands on."""
    if night.fault:
        raise UserError(night.fault)
    if night.ground.why and (night.only is None or night.ground.n_tries):
        raise UserError(f"the night ended held up: {night.ground.why}; once that is mended, the "
                        "same command goes on (`agent doctor` tells what it finds)")


def _announce(found: Calibration, run_s: float | None, wish: Wish, clock: Clock) -> str:
    """What the ledger keeps of how a night began."""
    speed = "" if found.tok_per_s is None else f" at {found.tok_per_s:,.0f} tokens/s"
    how_long = "" if run_s is None else f", about {words.duration(run_s)} a run with its scoring"
    return (f"study {found.id}: {found.budget_tokens:,} tokens a run{speed}{how_long}; "
            f"{until(wish, clock)}")


def _study(at: Desk, wish: Wish, night: Night, deadline_s: float | None,
           remark: str | None = None) -> Calibration:
    """The study to go on with, or a new one whose budget fits the night; said as it is known."""
    base = base_of(at.ledger, wish)
    require_steps(base, wish.run_tokens)  # before a text is made
    tokens = night.prepare(base.vocab_size)
    if kernels.is_asked():  # else a study goes on with its own
        kernels.make_ready(at.progress)
    choice = choose(at.ledger, wish, tokens.corpus.sha256, tokens.corpus.name, at.classes)
    require_steps(choice.base, wish.run_tokens)
    left_s = None if deadline_s is None else max(1.0, deadline_s - at.clock.boot())
    if (known := choice.study) is not None:
        require_memory(choice.base, wish, waits=True)
        if at.computes(known):  # else it is measured first
            require_room(at.ledger, known, left_s)
        require_right(at.prove, Config.from_dict(known.config), wish)
        _open(at, wish, choice, known, tokens, remark)
        night.study = known
        recover(night, end_orphans, living_worker, at.executor)
        return _on_this_device(at, wish, night, known)
    recover(night, end_orphans, executor=at.executor)  # before measuring: it would be slowed down
    found = _new_study(at, wish, choice, night.prepare(choice.base.vocab_size), left_s)
    _open(at, wish, choice, found, tokens, remark)
    return found


def _open(at: Desk, wish: Wish, choice: Choice, found: Calibration, tokens: TokenSet,
          remark: str | None) -> None:
    """Say what this night is: home, text, study, budget and until when."""
    at.observer.say(Told(opening(at.ledger, at.home.root, tokens.corpus.name, found, choice,
                                 wish, at.clock), level="always"))
    if remark:
        at.observer.say(remark)
    if tokens.corpus.is_cut_short:
        at.observer.say(why_short(tokens))
    for text in remarks(choice, found, wish):
        at.observer.say(text)


def _new_study(at: Desk, wish: Wish, choice: Choice, tokens: TokenSet,
               left_s: float | None) -> Calibration:
    """A study of a budget that was asked for, or one whose runs fit the night."""
    base = choice.base
    require_memory(base, wish)
    require_windows(tokens, base)
    require_right(at.prove, base, wish)
    n_trials = wish.n_trials or 1
    kernels.make_ready(at.progress)
    speed = measured(at, tokens, base, wish.n_replicas, n_trials)
    run_s = wish.run_s or study.planned_run_s(left_s, n_trials)
    n_valid = tokens.n_tokens["search"]
    n_tokens = wish.run_tokens or study.plan_budget(speed, base, n_valid, run_s)
    require_time(speed.run_s(base, n_tokens, n_valid), wish, left_s)
    n_passes = n_tokens / tokens.n_tokens["train"]
    if n_passes > 2:
        at.observer.say(f"note: {n_tokens:,} tokens are {n_passes:.0f} passes over this text; more "
                        "text, or a smaller --run-tokens, tells more")
    seed = wish.seed if not choice.is_on_other_class else study.unused_seed(
        at.ledger, tokens.corpus.sha256, base, n_tokens, wish.seed)
    with at.ledger.deciding():  # both or neither: what is not noted is never corrected
        found = study.open_study(at.ledger, at.clock, tokens, base, seed, speed, n_tokens)
        if wish.run_tokens is None:
            budget.note_plan(at.ledger, found.id, speed, run_s, at.clock.stamp())
    return found


def _on_this_device(at: Desk, wish: Wish, night: Night, known: Calibration) -> Calibration:
    """The study with the speed of this device, measured where a home was moved here."""
    if at.computes(known) or night.slots.trials:
        return known
    base = Config.from_dict(known.config)
    tokens = night.prepare(base.vocab_size)
    found = study.move_here(at.ledger, known, tokens, measured(
        at, tokens, base, wish.n_replicas, wish.n_trials or 1, kernels_of(known), known.id),
        at.clock.stamp())
    night.note(study.MOVED, f"study {known.id} was measured on {known.device}; here, on "
               f"{found.device}, a run takes about {words.duration(found.run_s or 0.0)}, before "
               f"{words.duration(known.run_s or 0.0)}",
               {"study": known.id, "from": known.device, "to": found.device, "run_s": known.run_s})
    return found


def train_once(at: Desk, wish: Wish) -> Run:
    """One run by hand, through the path every run takes; a run stopped before goes on."""
    config, wish = Config().assign(wish.settings), on_last_text(at, settled(at, wish))
    require_memory(config, wish)
    require_steps(config, wish.run_tokens, or_steps=True)
    night = at.night(Plan(wish.max_ram_mb, wish.n_replicas, wish.seed, max_runs=1), wish.source,
                     wish.eval_every)
    tokens = night.prepare(config.vocab_size)
    require_windows(tokens, config)
    recover(night, end_orphans)
    require_right(at.prove, config, wish)
    kernels.make_ready(at.progress)
    budget = wish.run_tokens or (wish.steps or 0) * config.tokens_per_step
    if not budget:
        speed = measured(at, tokens, config, wish.n_replicas)
        budget = study.plan_budget(speed, config, tokens.n_tokens["search"],
                                   wish.run_s or study.RUN_S)
    now = at.clock.stamp()
    corpus_id = study.register_corpus(at.ledger, tokens, now)
    as_earlier = held_of(Config.from_dict({}), config, wish)  # it may have begun in that order
    own = kernels.usual() if kernels.is_asked() else None
    twins = (at.ledger.waiting_twin(one, wish.seed, budget, corpus_id, own)
             for one in (config, as_earlier))
    run = next(filter(None, twins), None) or at.ledger.queue(
        study.new_run(at.ledger, config, wish.seed, budget, corpus_id, now,
                      study.Origin("hand", "asked for with agent train"), wish.n_replicas))
    at.observer.say(told.asked_for(run, config))
    night.only = run.id
    _tick_through(at, night)
    return at.ledger.run(run.id)


def on_last_text(at: Desk, wish: Wish) -> Wish:
    """The wish with the text of the last study where none was given, which is said."""
    found, remark = with_last_text(at.ledger, wish)
    last = current_study(at.ledger)
    if found is not wish and last is not None:
        at.observer.say(f"text {at.ledger.corpus(last.corpus_id).name}, that of study {last.id}")
    if remark:
        at.observer.say(remark)
    return found

