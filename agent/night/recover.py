"""What a night does first: take up the runs that a dead daemon left."""

from collections.abc import Callable
from pathlib import Path

from agent.home import RunFolder
from agent.ledger import Run
from agent.night import turns
from agent.night.night import Night
from agent.trial import Executor, Process, this_attempt

RECOVER = "recover"  # kind of the event that notes a run whose daemon died
MAX_RECOVERS = 10  # a run that so often has lost its daemon may well be the reason


Left = list[tuple[int, Path]]  # workers that nobody follows: their pids and folders


def recover(night: Night, end_orphans: Callable[[Left], None],
            find: Callable[[RunFolder], Process | None] = lambda folder: None,
            executor: Executor | None = None) -> None:
    """Adopt, queue again or end whatever a night before this one left; judge what it did not.

    Only one daemon works on a home, so a running row now has no owner. `find` gives the worker
    that still computes in a folder: it is taken over as it is, if the run is this night's and
    there is room. The others are asked to save, all of them before any is waited for. An executor
    is asked for both in their place.
    """
    left = [run for run in night.ledger.runs("running") if not _adopts(night, run, find, executor)]
    ends: Left = []
    for run in left:
        folder = night.home.run(run.uid)
        if executor:
            executor.end_left(run, folder, run.pid or 0)
        ends += [(pid, folder.root) for pid in {
            run.pid, this_attempt(folder).get("start", {}).get("pid")} if pid is not None]
    if ends:
        end_orphans(ends)
    for run in left:
        _put_back(night, run)
    turns.take_up(night)


def _adopts(night: Night, run: Run, find: Callable[[RunFolder], Process | None],
            executor: Executor | None) -> bool:
    """Whether this night takes over the worker that still computes a run."""
    folder = night.home.run(run.uid)
    worker = None
    if night.is_wanted(run):
        worker = executor.find(run, folder) if executor else find(folder)
    if worker is None or not night.slots.adopt(run, worker):
        return False
    whose = f" (pid {worker.pid})" if worker.pid else ""  # none on another machine
    night.note("adopt", f"{run.label} still runs{whose}; this night takes it over",
               {"pid": worker.pid}, run.id)
    return True


def _put_back(night: Night, run: Run) -> None:
    """Queue a run again whose worker is gone; one that has so often lost its daemon is lost."""
    ledger, now = night.ledger, night.clock.stamp()
    if ledger.n_events(run.id, RECOVER) >= MAX_RECOVERS:
        ledger.mark_lost(run.id, now)  # running → lost
        return
    ledger.requeue(run.id, now, "its daemon died; goes on from its checkpoint", RECOVER)
    night.observer.say(f"{run.label} was left running; it waits, and goes on from its checkpoint")
