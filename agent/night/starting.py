"""What a night begins next, as far as there is room for it: processors, memory and time."""

from typing import TYPE_CHECKING

from agent.ledger import BLOCKED, Run, broken_start, running_ids
from agent.machine import guard
from agent.night import replan, told
from agent.night.following import BACK_OFF_S
from agent.search import harvest
from agent.trial import STORAGE, Runner, ShortOfMemory, Unready, foreseen_mb
from engine.errors import CorpusError, NoProposal, StorageError, UserError

if TYPE_CHECKING:
    from agent.night.night import Night


def begin_next(night: "Night") -> None:
    """Launch what is next into every free slot; where nothing could be launched, wait for what is
    missing.
    """
    queue: list[Run] = []  # read once: of what waits a launch takes the first, and changes no other
    try:
        if night.slots.free() is not None:
            _put_back(night)
        while (runner := night.slots.free()) is not None and _begin(night, runner, queue):
            pass
    except StorageError as error:
        night.lack(str(error))
        raise
    except (CorpusError, Unready) as error:
        night.wait_for_ground(str(error))


def _put_back(night: "Night") -> None:
    """Queue again what was claimed when there was no room to start it, or to say so."""
    under_way = {trial.run.id for trial in night.slots.trials}
    for run_id in running_ids(night.ledger):
        if run_id not in under_way:
            night.ledger.requeue(run_id, night.clock.stamp(), "no worker could be started",
                                 STORAGE)


def _begin(night: "Night", runner: Runner, queue: list[Run]) -> bool:
    """Whether a worker was started: for the run that is to come, one that waits, or an idea."""
    trials = night.slots.trials
    if (due := night.only or night.harvest.due()) is not None:
        return not trials and launch(night, night.ledger.run(due), runner)
    if not trials:
        replan.correct_budget(night)
    elif replan.is_due(night) or _are_all_begun(night):
        return False
    if not trials or not queue:
        queue[:] = _waiting(night)
    if not queue:
        return not trials and night.plan.n_trials == 1 and _begin_idea(night, runner)
    waiting = queue.pop(0)
    if _is_in_vain(night, waiting):
        return False
    if not night.campaign.fits(waiting):
        if not trials:
            night.harvest.end_search(
                f"{waiting.label} is queued and would take longer than what is left")
        return False
    return _has_cores(night, waiting) and launch(night, waiting, runner)


def _is_in_vain(night: "Night", waiting: Run) -> bool:
    """Whether it is of a baseline whose other seeds diverge, which ends the night."""
    if waiting.strategy != "baseline" or night.study is None:
        return False
    broken = broken_start(night.ledger, night.study)
    if broken and not night.slots.trials:
        night.harvest.end_search(broken.in_words)
    return broken is not None


def _waiting(night: "Night") -> list[Run]:
    """What is queued for this night, in the order in which it begins."""
    waiting = [run for run in night.ledger.runs("queued") if night.campaign.belongs(run)
               and night.harvest.may_go_on(run) and not night.is_too_large(run)]
    if waiting and waiting[0].calibration_id is not None:  # of a study: its noise comes first
        waiting.sort(key=lambda run: run.strategy != "baseline")
    # A harvest that was cut short, before ideas that were asked ahead of it.
    waiting.sort(key=lambda run: run.strategy != harvest.HARVEST)
    if not waiting and night.study is None and not night.slots.trials:
        night.stop("nothing is queued")
    return waiting


def _begin_idea(night: "Night", runner: Runner) -> bool:
    """Of a night with one slot, which asks when it is free; others ask in turn."""
    if night.study is None:
        return False
    try:
        return launch(night, night.campaign.queue_next(night.n_ended), runner)
    except NoProposal as refusal:
        night.harvest.end_search(told.why_none(
            str(refusal), night.campaign.left_s(), night.study.run_s))
        return False


def _are_all_begun(night: "Night") -> bool:
    """Whether as many runs as were asked for have ended or are under way."""
    most = night.plan.max_runs
    return most is not None and night.n_ended + len(night.slots.trials) >= most


def _has_cores(night: "Night", run: Run) -> bool:
    """Whether its processes find a share of the processors that no other trial has; alone any has.

    A run's number of processes is fixed when it is queued, be it for a night of one slot.
    """
    taken = sum(trial.run.replicas or 1 for trial in night.slots.trials)
    plan = night.plan
    return not taken or taken + (run.replicas or 1) <= plan.n_trials * plan.n_replicas


def launch(night: "Night", waiting: Run, runner: Runner) -> bool:
    """Claim a queued run and start its worker; fail it, or wait, if something is in the way."""
    word = _memory_for(night, waiting, runner)
    if word.may_pass:
        if night.waits_for is None or night.waits_for.cause != word.cause:
            night.note("guard", f"{waiting.label} waits: {word.reason}", word.readings,
                       waiting.id)
        night.waits_for = word
        night.wait_until_s = night.clock.seconds() + BACK_OFF_S
        return False
    try:
        if not word.is_go:
            raise UserError(word.reason)
        tokens = night._tokens_of(waiting)
        runner.write_job(waiting, tokens, night.eval_every, night.campaign.rung_limit(waiting))
    except (*BLOCKED, CorpusError) as error:
        if not isinstance(error, ShortOfMemory):
            raise  # it passes, and is no fault of the run
        _fail(night, waiting, error)
        return False
    except UserError as error:
        _fail(night, waiting, error)
        return False
    run = night.ledger.claim(night.clock.stamp(), run_id=waiting.id)
    if run is None:
        return False  # it is no longer queued
    night.observer.say(told.started(run))
    if night.waits_for:
        night.note("guard", f"{run.label} goes on: {word.reason}", word.readings, run.id)
    night.waits_for = None
    runner.start(run)
    return True


def _fail(night: "Night", waiting: Run, error: UserError) -> None:
    """A run that cannot be begun, by its own fault; the verdict follows at the next tick."""
    night.ledger.finish(waiting.id, "failed", night.clock.stamp(), error=str(error))
    night.n_ended += 1


def _memory_for(night: "Night", run: Run, runner: Runner) -> guard.Word:
    """Whether it finds memory beside what runs, and what that is still to take."""
    predicted_mb, slots = foreseen_mb(run), night.slots
    if word := runner.executor.may_start(run, predicted_mb):
        return word
    free_mb = night.read_free_mb()
    return guard.may_launch_beside(
        predicted_mb, slots.promised_mb(), night.plan.max_ram_mb,
        None if free_mb is None else free_mb - slots.owed_mb(), night.read_swap())
