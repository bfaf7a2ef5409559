"""What a night does first: take up the runs that a dead daemon left."""

from collections.abc import Callable
from pathlib import Path

from agent.home import RunFolder
from agent.night import turns
from agent.night.night import Night
from agent.trial import Executor, Process, this_attempt

RECOVER = "recover"  # kind of the event that notes a run whose daemon died
MAX_RECOVERS = 10  # a run that so often has lost its daemon may well be the reason


def recover(night: Night, end_orphan: Callable[[int, Path], None],
            find: Callable[[RunFolder], Process | None] = lambda folder: None,
            executor: Executor | None = None) -> None:
    """Adopt, queue again or end whatever a night before this one left; judge what it did not.

    Only one daemon works on a home, so a running row now has no owner. `find` gives the worker
    that still computes in a folder: it is taken over as it is, if the run is this night's.
    Others are asked to save first. An executor is asked for both in their place.
    """
    ledger, now = night.ledger, night.clock.stamp
    for run in ledger.runs("running"):
        folder = night.home.run(run.uid)
        worker = None
        if night.is_wanted(run):
            worker = executor.find(run, folder) if executor else find(folder)
        if worker and night.slots.adopt(run, worker):
            whose = f" (pid {worker.pid})" if worker.pid else ""  # none on another machine
            night.note("adopt", f"{run.label} still runs{whose}; this night takes it over",
                       {"pid": worker.pid}, run.id)
            continue
        if executor:
            executor.end_left(run, folder, run.pid or 0)
        for pid in {run.pid, this_attempt(folder).get("start", {}).get("pid")}:
            if pid is not None:
                end_orphan(pid, folder.root)
        if ledger.n_events(run.id, RECOVER) >= MAX_RECOVERS:
            ledger.mark_lost(run.id, now())  # running → lost
        else:
            ledger.requeue(run.id, now(), "its daemon died; goes on from its checkpoint", RECOVER)
            night.observer.say(f"{run.label} was left running; it goes on from its checkpoint")
    turns.take_up(night)
