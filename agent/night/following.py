"""News of a night's trials: what became of each, and what a run that was put back waits for."""

from contextlib import suppress
from typing import TYPE_CHECKING

from agent.ledger import Run
from agent.night import replan, told
from agent.trial import CROWDED, NUMBERS, RETRY, STORAGE, UNREADY, Runner

if TYPE_CHECKING:
    from agent.night.night import Night

BEGUN = ("step", "done", "pruned", "diverged")  # a worker's words that show it could begin
BACK_OFF_S = 5.0  # before a run the system killed, or memory kept out, is tried again; doubled
MAX_DOUBLED = 7  # times: 320 s at most
WAITING = (RETRY, STORAGE, CROWDED)  # what stopped a run may need a while to pass


def follow(night: "Night") -> None:
    """Look at every trial once; what keeps one from being noted keeps no other from being watched.
    """
    is_to_leave = bool(night.slots.trials) and (
        bool(night.is_stopping) or night.is_paused or night.is_held or night.is_overrun()
        or replan.is_due(night))
    night.slots.look_around()
    faults: list[Exception] = []
    is_read = _take_in(night)
    for runner in night.slots.busy:
        if is_to_leave:
            runner.ask_to_stop()
        try:
            _follow_one(night, runner, is_read)
        except Exception as error:  # noqa: BLE001 raised once all were looked at
            faults.append(error)
    night.slots.watch_sum()
    if faults:
        raise faults[0]


def _take_in(night: "Night") -> bool:
    """Take in what all trials logged, in one commit: of a hundred, one each is most of a tick.

    False where that cannot be done: whoever has a fault raises it where it is looked at alone.
    """
    busy = night.slots.busy
    if len(busy) < 2:
        return False
    with suppress(Exception):
        found = [(runner, news) for runner in busy if (news := runner.fetch())]
        if found:
            with night.ledger.together():
                for runner, news in found:
                    runner.write(news)
        for runner, news in found:
            runner.note_written(news)
        return True
    return False


def _follow_one(night: "Night", runner: Runner, is_read: bool) -> None:
    trial = runner.trial
    assert trial is not None
    run = runner.poll(is_read=is_read)
    night.observer.progress(trial.run, trial.last)
    if night.ground.why and trial.is_witness and (
            not trial.last.keys().isdisjoint(BEGUN) and night.ground.held()):
        night.note("ready", f"{trial.run.label} computes: what held up this night is over")
    if run is None:
        return
    if run.state == "queued":
        _note_requeued(night, run)
    else:
        night.n_ended += 1  # the verdict follows in this tick, if it is its turn


def _note_requeued(night: "Night", run: Run) -> None:
    newest = night.ledger.events(limit=1, run_id=run.id)[0]
    if newest.kind == UNREADY:
        night.wait_for_ground(newest.message)
    else:
        night.observer.say(told.waiting(run, newest.message))
    if newest.kind == STORAGE:
        night.lack(newest.message)
    if newest.kind in WAITING:
        n = min(night.ledger.n_events(run.id, newest.kind), MAX_DOUBLED)
        night.wait_until_s = night.clock.seconds() + BACK_OFF_S * 2 ** (n - 1)
    if newest.kind == NUMBERS:
        night.fault = newest.message
        night.stop("its numbers are not to be believed")
    if newest.kind == STORAGE and night.only is not None:
        night.stop(newest.message)  # somebody waits for this one run, and can make room
    if night.is_overrun():
        night.stop("the night's time is over")
