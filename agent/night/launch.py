"""From what a person asked for to a night that ticks: text, speed, budget, study.

`run_night` is `agent run`; `train_once` is `agent train`; `queue_grid` is `agent grid`. All three
hold the home's lock while they write its ledger.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent import words
from agent.home import Home, only_one, take_command
from agent.ledger import Calibration, Ledger, Run, current_study, last_state, waiting_elsewhere
from agent.machine import Clock, Guard, Sensors, guard, later, machine
from agent.night.choice import Choice, base_of, choose, note_of, with_last_text
from agent.night.daemon import Daemon
from agent.night.night import Night, Observer
from agent.night.opening import in_lines, opening, remarks, until
from agent.night.recover import recover
from agent.night.watch import Watch
from agent.night.wish import DEFAULT_LIMITS
from agent.night.wish import Wish as Wish
from agent.search import MAX_PARAMS, OVERRUN_S, Outsiders, Plan, plugins, prior, study, verdict
from agent.trial import (
    Progress,
    Runner,
    Source,
    end_orphan,
    living_worker,
    spawn_worker,
    token_files,
)
from engine.config import Config
from engine.errors import UserError
from engine.text import TokenSet
from strategies import grid
from strategies.base import Limits

LOOK_S = 1.0  # a tick waits so long for a locked ledger; the daemon tries again at the next


@dataclass(slots=True)
class Desk:
    """What every command that writes needs: ledger, home, clock and who to tell."""

    home: Home
    ledger: Ledger
    observer: Observer
    progress: Progress
    clock: Clock = field(default_factory=Clock)

    def tokens(self, source: Source) -> Callable[[int], TokenSet]:
        """Token files by vocabulary size, each made or checked once."""
        known: dict[int, TokenSet] = {}

        def get(vocab_size: int) -> TokenSet:
            if vocab_size not in known:
                known[vocab_size] = token_files(source, vocab_size, self.progress)
            return known[vocab_size]

        return get

    def night(self, plan: Plan, source: Source, eval_every: int | None = None,
              watch: Watch | None = None) -> Night:
        """A night on this desk; what a dead one left is taken up once it is known what it is for.
        """
        runner = Runner(self.ledger, self.home, self.clock, plan.max_ram_mb)
        return Night(runner, plan, prepare=self.tokens(source), observer=self.observer,
                     eval_every=eval_every, watch=watch)


@contextmanager
def desk(home: Home, observer: Observer, progress: Progress) -> Iterator[Desk]:
    """The home's lock and its ledger, open for writing."""
    try:
        home.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {home.root}: {error.strerror}; use another "
                        "--home") from error
    with only_one(home.lock), Ledger.open(home.ledger) as ledger:
        take_command(home.control)  # it was meant for a daemon that is gone
        home.guard.unlink(missing_ok=True)  # so was its word
        yield Desk(home, ledger, observer, progress)


def run_night(at: Desk, wish: Wish) -> Night:
    """Prepare, calibrate, and run experiments until the budget ends or someone says stop."""
    started_s, started_at = at.clock.boot(), at.clock.stamp()
    wish, remark = with_last_text(at.ledger, wish)
    deadline_s = None if wish.night_s is None else started_s + wish.night_s
    # A machine that has no battery is no phone that hides it: silence is worth a word where limits
    # were asked for, and on a phone.
    watch = Watch(Sensors(at.home.root), Guard(wish.limits), at.clock,
                  machine.is_termux(os.environ) or wish.limits != DEFAULT_LIMITS)
    plan = Plan(wish.max_ram_mb, wish.n_replicas, wish.seed, deadline_s, wish.max_runs,
                wish.with_prior)
    night = at.night(plan, wish.source, watch=watch)
    found = study.note_noise(at.ledger, _study(at, wish, night, deadline_s, remark))
    night.study = found
    was_paused = _is_left_paused(at.ledger)
    study.queue_baselines(at.ledger, found, at.clock.stamp(), wish.n_replicas)
    for waiting in waiting_elsewhere(at.ledger, found):
        at.observer.say(str(waiting))
    night.note("night", _announce(found, wish, at.clock), {
        "started_at": started_at, "max_runs": wish.max_runs, "max_ram_mb": wish.max_ram_mb,
        "deadline_at": None if wish.night_s is None else later(started_at, wish.night_s),
        "n_ended_before": at.ledger.n_ended(),
        "budget_tokens": found.budget_tokens, "run_s": found.run_s, "study": found.id,
        "newest_study": max(one.id for one in at.ledger.studies()),
        "source": note_of(at.ledger, wish, found)}, is_said=True)
    if wish.with_prior:
        at.observer.say(prior.in_words())
    _invite(night)
    if was_paused:
        night.pause("still paused, since the agent before this one did not live to hear `agent "
                    "resume`; that goes on")
    try:
        _tick_through(night)
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


def _tick_through(night: Night) -> None:
    night.ledger.wait_at_most(LOOK_S)
    Daemon(night).run()


def _announce(found: Calibration, wish: Wish, clock: Clock) -> str:
    """What the ledger keeps of how a night began."""
    speed = "" if found.tok_per_s is None else f" at {found.tok_per_s:,.0f} tokens/s"
    how_long = "" if found.run_s is None else (
        f", about {words.duration(found.run_s)} a run with its scoring")
    return (f"study {found.id}: {found.budget_tokens:,} tokens a run{speed}{how_long}; "
            f"{until(wish, clock)}")


def _study(at: Desk, wish: Wish, night: Night, deadline_s: float | None,
           remark: str | None = None) -> Calibration:
    """The study to go on with, or a new one whose budget fits the night; said as it is known."""
    tokens = night.prepare(base_of(at.ledger, wish).vocab_size)
    choice = choose(at.ledger, wish, tokens.corpus.sha256, tokens.corpus.name)
    left_s = None if deadline_s is None else max(1.0, deadline_s - at.clock.boot())
    known = choice.study
    if known is not None:
        _require_room(at.ledger, known, left_s)
        _open(at, wish, choice, known, tokens, remark)
        night.study = known
        recover(night, end_orphan, living_worker)
        return known
    recover(night, end_orphan)  # before measuring: what still runs would slow it down
    found = _new_study(at, wish, choice.base, night.prepare(choice.base.vocab_size), left_s)
    _open(at, wish, choice, found, tokens, remark)
    return found


def _open(at: Desk, wish: Wish, choice: Choice, found: Calibration, tokens: TokenSet,
          remark: str | None) -> None:
    """Say what this night is: home, text, study, budget and until when."""
    at.observer.say(in_lines(opening(at.ledger, at.home.root, tokens.corpus.name, found, choice,
                                     wish, at.clock)))
    if remark:
        at.observer.say(remark)
    if tokens.corpus.is_cut_short:
        at.observer.say(_why_short(tokens))
    for text in remarks(choice, found, wish):
        at.observer.say(text)


def _new_study(at: Desk, wish: Wish, base: Config, tokens: TokenSet,
               left_s: float | None) -> Calibration:
    """A study of a budget that was asked for, or one whose runs fit the night."""
    _require_memory(base, wish)
    at.observer.say(f"measuring this device with {base.describe()}, some seconds")
    speed = study.measure(at.home, tokens, base, wish.n_replicas, spawn_worker)
    run_s = wish.run_s or study.planned_run_s(left_s)
    budget = wish.run_tokens or study.plan_budget(speed, base, tokens.n_tokens["search"], run_s)
    _require_time(speed.run_s(base, budget, tokens.n_tokens["search"]), wish, left_s)
    n_passes = budget / tokens.n_tokens["train"]
    if n_passes > 2:
        at.observer.say(f"note: {budget:,} tokens are {n_passes:.0f} passes over this text; more "
                        "text, or a smaller --run-tokens, tells more")
    return study.open_study(at.ledger, at.clock, tokens, base, wish.seed, speed, budget)


def _require_room(ledger: Ledger, known: Calibration, left_s: float | None) -> None:
    """A night has time for one run of the study it goes on with, or for the rest of one."""
    run_s = known.run_s or 0.0
    has_begun = any(run.tokens for run in ledger.study_runs(known.id) if run.state == "queued")
    if left_s is not None and run_s > left_s + OVERRUN_S and not has_begun:
        raise UserError(f"one run of study {known.id} takes about {words.duration(run_s)}, longer "
                        f"than the {words.duration(left_s)} of this night; give it more time with "
                        "--for, or open a study of shorter runs with --run-for or --run-tokens")


def _why_short(tokens: TokenSet) -> str:
    n = tokens.n_tokens
    return (f"note: {n['confirm']:,} tokens confirm beside the {n['search']:,} that search: an "
            "earlier version cut this text so, and its studies go on with that; a new --home cuts "
            "it into a half and two quarters")


def _require_time(run_s: float, wish: Wish, left_s: float | None) -> None:
    """A night has room for the baselines, or is not worth beginning."""
    least_s = verdict.N_BASELINE_SEEDS * run_s
    if left_s is not None and least_s > left_s and wish.max_runs is None:
        raise UserError(f"{left_s:.0f} s are too short for a night here: five baseline runs take "
                        f"about {words.duration(least_s)}; give it more time with --for, or a "
                        "smaller model with --set n_embd=64")
    if left_s is not None and run_s > left_s:
        raise UserError(f"one run takes about {words.duration(run_s)} here, longer than the "
                        f"{words.duration(left_s)} that are left; give it more time with --for, or "
                        "a smaller --run-tokens or --run-for")


def train_once(at: Desk, wish: Wish) -> Run:
    """One run by hand, through the path every run takes; a run stopped before goes on."""
    config, wish = Config().assign(wish.settings), _on_last_text(at, wish)
    _require_memory(config, wish)
    night = at.night(Plan(wish.max_ram_mb, wish.n_replicas, wish.seed, max_runs=1), wish.source,
                     wish.eval_every)
    tokens = night.prepare(config.vocab_size)
    recover(night, end_orphan)
    budget = wish.run_tokens or (wish.steps or 0) * config.tokens_per_step
    if not budget:
        speed = study.measure(at.home, tokens, config, wish.n_replicas, spawn_worker)
        budget = study.plan_budget(speed, config, tokens.n_tokens["search"],
                                   wish.run_s or study.RUN_S)
    now = at.clock.stamp()
    corpus_id = study.register_corpus(at.ledger, tokens, now)
    run = at.ledger.waiting_twin(config, wish.seed, budget, corpus_id) or at.ledger.queue(
        study.new_run(at.ledger, config, wish.seed, budget, corpus_id, now,
                      study.Origin("hand", "asked for with agent train"), wish.n_replicas))
    night.only = run.id
    _tick_through(night)
    return at.ledger.run(run.id)


def _on_last_text(at: Desk, wish: Wish) -> Wish:
    """The wish with the text of the last study where none was given, which is said."""
    found, remark = with_last_text(at.ledger, wish)
    last = current_study(at.ledger)
    if found is not wish and last is not None:
        at.observer.say(f"text {at.ledger.corpus(last.corpus_id).name}, that of study {last.id}")
    if remark:
        at.observer.say(remark)
    return found


def queue_grid(at: Desk, wish: Wish, sizes: Sequence[str], tokens: Sequence[str], *,
               is_dry: bool) -> grid.Plan:
    """Plan a size × data grid and, unless dry, queue its cells; `agent run` executes them."""
    base, wish = Config().assign(wish.settings), _on_last_text(at, wish)
    found = at.tokens(wish.source)(base.vocab_size)
    now = at.clock.stamp()
    corpus_id = study.register_corpus(at.ledger, found, now)
    done = {(run.config_hash or "", run.budget_tokens or 0) for run in at.ledger.runs()
            if run.corpus_id == corpus_id and run.seed == wish.seed
            and run.state in ("queued", "running", "finished", "pruned", "diverged")}
    max_mb = wish.max_ram_mb - study.text_mb(at.ledger.corpus(corpus_id))
    limits = Limits(n_replicas=wish.n_replicas, max_params=MAX_PARAMS, max_mb=max_mb,
                    max_vocab=base.vocab_size, min_steps=study.MIN_STEPS)
    plan = grid.plan(sizes, tokens, base, limits, done)
    if plan.cells and not is_dry:
        grid_id = at.ledger.add_grid(list(sizes), sorted({c.budget_tokens for c in plan.cells}),
                                     wish.seed, None, now)
        for cell in plan.cells:
            at.ledger.queue(study.new_run(
                at.ledger, cell.config, wish.seed, cell.budget_tokens, corpus_id, now,
                study.Origin("grid", cell.reason, grid_id=grid_id), wish.n_replicas))
    return plan


def _require_memory(config: Config, wish: Wish) -> None:
    predicted_mb = config.predicted_mb(wish.n_replicas)
    word = guard.may_launch(predicted_mb, wish.max_ram_mb, guard.free_mb(), guard.read_swap())
    if not word.is_go:
        raise UserError(word.reason)
