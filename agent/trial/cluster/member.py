"""The processes of a cluster that are ours: `agent cluster worker`, and those of `local:N`.

    python -m agent.trial.cluster.member scheduler HOME FILE
    python -m agent.trial.cluster.member nanny HOME ADDRESS MB

Those of `local:N` listen on localhost only, and leave a minute after the home's daemon.
"""

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler

from agent.home import Home, holder
from agent.trial.cluster import calls
from agent.trial.cluster.calls import StationPlugin
from agent.trial.cluster.options import Options
from engine.files import write_atomically

LOCALHOST = "127.0.0.1"
ORPHAN_S = 60.0
LOOK_S = 1.0
AGAIN_S = 5.0  # before another try to join
MAX_AGAIN_S = 60.0
JOIN_S = 180.0  # a phone that has much else to do starts slowly
CLOSE_S = 12.0
# What watches tasks of a millisecond costs more than it tells of those of a minute. A machine that
# hears nothing for half a minute is gone: its run goes on elsewhere.
SETTINGS = {"distributed.worker.profile.enabled": False,
            "distributed.admin.system-monitor.interval": "10s",
            "distributed.worker.memory.pause": False, "distributed.worker.memory.spill": False,
            "distributed.worker.memory.target": False, "distributed.worker.memory.terminate": False,
            "distributed.scheduler.worker-ttl": "60s"}


@dataclass(frozen=True, slots=True)
class Member:
    """A machine as it joins."""

    options: Options
    folder: Path  # where runs and texts lie meanwhile
    name: str | None = None
    n_trials: int = 1
    host: str | None = None  # None: Dask's choice
    stays: bool = True  # and joins again where the scheduler went


async def join(address: str, member: Member, is_over: Callable[[], bool],
               say: Callable[[str], None] = lambda text: None) -> None:
    """Compute for a cluster until is_over; a scheduler that is gone is waited for."""
    again_s, is_told = AGAIN_S, False
    while not is_over():
        try:
            if await _once(address, member, is_over, say):
                again_s, is_told = AGAIN_S, False
        except (OSError, RuntimeError, AssertionError) as error:
            if not is_told:
                say(f"no scheduler answers at {address} ({error or type(error).__name__}); it is "
                    "tried again")
                is_told = True
        if not member.stays:
            return
        await _until(is_over, again_s)
        again_s = min(2 * again_s, MAX_AGAIN_S)


async def _once(address: str, member: Member, is_over: Callable[[], bool],
                say: Callable[[str], None]) -> bool:
    """Compute as long as one scheduler lasts; whether it was joined at all."""
    nanny = Nanny(address, nthreads=member.n_trials, memory_limit=0, name=member.name,
                  host=member.host, local_directory=str(member.folder), death_timeout=JOIN_S,
                  dashboard=False, plugins=(StationPlugin(member.options),))
    try:
        starting = asyncio.ensure_future(asyncio.wait_for(nanny, JOIN_S))
        await _until(lambda: is_over() or starting.done())
        if not starting.done():
            starting.cancel()
            return False
        await starting
        say(f"computes for {address}")
        await _until(lambda: is_over() or nanny.status.name in ("closed", "failed"))
        if is_over():
            await _leave(address, nanny.worker_address)
        else:
            say("the scheduler is gone; joins again once it is back")
        return True
    finally:
        with suppress(OSError, RuntimeError, AssertionError):
            await asyncio.wait_for(nanny.close(timeout=3, reason="leaves"), CLOSE_S)


async def _leave(address: str, worker: str | None) -> None:
    """Let what computes be saved and fetched first."""
    with suppress(OSError, RuntimeError, KeyError):
        async with Client(address, asynchronous=True, set_as_default=False, timeout=3) as client:
            await asyncio.wait_for(client.run(calls.leave, workers=[worker]), CLOSE_S)


async def _until(is_over: Callable[[], bool], at_most_s: float = float("inf")) -> None:
    end_s = time.monotonic() + at_most_s
    while not is_over() and time.monotonic() < end_s:
        await asyncio.sleep(LOOK_S)


async def schedule(file: Path, is_over: Callable[[], bool]) -> None:
    """A scheduler on localhost that says in a file where it is."""
    async with Scheduler(host=LOCALHOST, port=0, dashboard=False,
                         dashboard_address=f"{LOCALHOST}:0") as scheduler:
        write_atomically(file, json.dumps({"address": scheduler.address}).encode())
        await _until(lambda: is_over() or scheduler.status.name in ("closed", "failed"))


class Over:
    """Whether to leave: asked to, or without a daemon for a minute."""

    def __init__(self, home: Home | None = None,
                 now: Callable[[], float] = time.monotonic) -> None:
        self._home, self._now = home, now
        self._seen_s, self.is_asked = now(), False

    def __call__(self) -> bool:
        if self._home is None:
            return self.is_asked
        if holder(self._home.lock) is not None:
            self._seen_s = self._now()
        return self.is_asked or self._now() - self._seen_s > ORPHAN_S

    def ask(self, *_: Any) -> None:
        self.is_asked = True

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ask)


def main(arguments: list[str]) -> int:
    what, root, where, *rest = arguments
    home = Home(Path(root))
    over = Over(home)
    over.listen()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    folder = home.root / "runs" / "cluster"  # for what Dask itself lays aside, killed or not
    with dask.config.set({**SETTINGS, "temporary-directory": str(folder)}):
        if what == "scheduler":
            asyncio.run(schedule(Path(where), over))
        else:
            # Battery, heat and hours of this machine are the daemon's to watch.
            options = Options(max_ram_mb=float(rest[0]), is_watched=False)
            asyncio.run(join(where, Member(options, folder, host=LOCALHOST, stays=False), over))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
