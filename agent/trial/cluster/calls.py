"""What a home runs on the machines of a Dask cluster: a station for each, and the trials in it.

Dask brings these functions by their names, so a machine needs this very package. Any worker of a
cluster will do, `agent cluster worker` or another: its station is made at the first call.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, cast

from distributed import Worker, WorkerPlugin, get_worker
from distributed.core import Status

from agent.trial.cluster.likeness import Likeness, ask_child
from agent.trial.cluster.options import Options
from agent.trial.cluster.station import Station
from agent.trial.cluster.store import Store
from agent.words import told_error
from engine.errors import UserError

NAME = "phi-auto"  # of the plugin
TICK_S = 1.0
LEAVE_S = 10.0  # for that at most
LOOK_S = 0.2  # of the task, at its trial
# What a home may ask for; those that read or write much do it beside the worker's own loop.
ASKED = {"open", "put", "begin", "look", "fetch", "ask", "release", "told"}
LONG = {"open", "put", "begin", "fetch"}


class StationPlugin(WorkerPlugin):  # type: ignore[misc]  # Dask's classes are untyped here
    """A worker's station, ticked while it lives."""

    name = NAME
    idempotent = True

    def __init__(self, options: Options) -> None:
        self.options = options
        self.station: Station | None = None
        self.likeness: Likeness | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._lock: asyncio.Lock | None = None

    async def setup(self, worker: Worker) -> None:
        logging.getLogger("distributed.worker").setLevel(logging.WARNING)  # it tells each question
        folder = Path(worker.local_directory)
        store = Store(folder.parent / "phi-auto-files")
        self._lock = asyncio.Lock()
        self.station = Station(folder / "phi-auto", store, worker.state.nthreads,
                               self.options)
        self._ticking = asyncio.create_task(self._tick(worker, self.station))
        await asyncio.to_thread(store.tidy)

    async def teardown(self, worker: Worker) -> None:
        if self._ticking:
            self._ticking.cancel()
        if self.station:
            self.station.close()

    async def _tick(self, worker: Worker, station: Station) -> None:
        while True:
            station.tick()
            # Dask's own word for a machine that takes no tasks; what runs there goes on.
            wanted = Status.running if station.word().is_go else Status.paused
            if worker.status in (Status.running, Status.paused) and worker.status != wanted:
                worker.status = wanted
            await asyncio.sleep(TICK_S)

    async def like(self) -> Likeness:
        """Measured once, in a child."""
        assert self._lock is not None  # setup was before
        async with self._lock:
            if self.likeness is None:
                self.likeness = await asyncio.to_thread(ask_child)
            return self.likeness


async def _plugin(worker: Worker) -> StationPlugin:
    if NAME not in worker.plugins:
        await worker.plugin_add(plugin=StationPlugin(Options()), name=NAME)
    return cast(StationPlugin, worker.plugins[NAME])


async def hello(dask_worker: Worker) -> dict[str, Any]:
    """What a machine is."""
    return (await (await _plugin(dask_worker)).like()).values()


async def on_station(name: str, arguments: tuple[Any, ...], dask_worker: Worker) -> dict[str, Any]:
    """The answer of a machine's station to one question of a home's, or why it gives none."""
    station = (await _plugin(dask_worker)).station
    assert station is not None
    assert name in ASKED  # of our own making, as the station is
    ask = getattr(station, name)
    try:
        if name in LONG:
            return {"answer": await asyncio.to_thread(ask, *arguments)}
        return {"answer": ask(*arguments)}
    except (UserError, OSError) as error:
        return {"refused": told_error(error) if isinstance(error, OSError) else str(error)}


async def leave(dask_worker: Worker) -> None:
    """Take no more trials; have those under way saved, and wait until their homes have them."""
    station = (await _plugin(dask_worker)).station
    assert station is not None
    station.leave("its owner takes it back")
    end_s = time.monotonic() + LEAVE_S
    while station.trials and time.monotonic() < end_s:
        await asyncio.sleep(LOOK_S)


async def trial(attempt: str) -> int | None:
    """The task: one trial, from its worker's start until its home has all of it."""
    station = (await _plugin(get_worker())).station
    assert station is not None
    await asyncio.to_thread(station.begin, attempt)
    found = station.trials.get(attempt)
    while attempt in station.trials:
        await asyncio.sleep(LOOK_S)
    return found.status if found else None
