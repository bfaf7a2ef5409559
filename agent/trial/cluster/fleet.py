"""The machines of a Dask cluster, and the trials followed on them, in a thread of their own.

The daemon's thread only reads what stands here and hands trials in. Whatever of Dask breaks, its
scheduler, a machine or the way there, is asked for again, as long as the night lasts.
"""

import asyncio
import contextlib
import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import dask
from distributed import Client, Future

from agent.home import Home
from agent.trial.cluster import calls
from agent.trial.cluster.follow import Down, Follower, Refused
from agent.trial.cluster.likeness import Likeness, ask_child, class_name
from agent.trial.cluster.parcel import Digests
from agent.trial.cluster.placement import Machine, is_told
from agent.trial.cluster.remote import Remote
from agent.words import Told
from engine.errors import UserError

T = TypeVar("T")
ROUND_S = 1.0
TOLD_S = 2.0  # between two looks at a machine
CALL_S = 20.0
CONNECT_S = 10.0
# What a broken connection, a closed client and a machine that has just left raise.
BROKEN = (OSError, asyncio.TimeoutError, KeyError, ValueError, RuntimeError, AttributeError,
          TypeError, AssertionError)


class Scheduler(Protocol):
    """Where a scheduler is: an address that may change, looked at again and again."""

    def look(self) -> str | None:
        """Its address now, with whatever there is to mend mended; None where there is none yet."""

    def close(self) -> None: ...


class Fleet:
    """A thread that keeps a client, greets machines and follows trials."""

    def __init__(self, home: Home, scheduler: Scheduler) -> None:
        self.home, self._scheduler = home, scheduler
        self.machines: dict[str, Machine] = {}
        self.news: deque[str] = deque()  # what is to be said
        self.ours: Likeness | None = None
        self.fault: str | None = None  # why there is no cluster now
        self.is_up = False  # whether a scheduler ever answered
        self._digests = Digests()
        self._classes: list[str] = []  # that were told
        self._client: Any = None
        self._followers: dict[str, Follower] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Leave: what computes is ended by its lease, unless another home takes it over."""
        self._is_closing = True
        if self._thread.is_alive():
            self._thread.join(CONNECT_S)
        self._scheduler.close()

    def follow(self, remote: Remote, *, is_new: bool) -> None:
        """Take a trial in, from any thread."""
        if machine := self.machines.get(remote.berth.address):
            machine.taken[remote.berth.attempt] = remote.predicted_mb
        self._hand_in(lambda: self._follow(remote, is_new=is_new))

    def drop(self, address: str, attempt: str) -> None:
        """Have a trial that nobody follows ended."""
        line = DaskLine(self, address)

        async def release() -> None:
            with contextlib.suppress(Down, Refused):
                await line.ask("release", attempt)

        self._hand_in(release)

    def _hand_in(self, make: Callable[[], Any]) -> None:
        def begin() -> None:
            task = self._loop.create_task(make())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._loop.call_soon_threadsafe(begin)

    # --- in its thread -----------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        _hush()
        with dask.config.set({"distributed.comm.timeouts.connect": f"{CONNECT_S:g}s"}):
            self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        while not self._is_closing:
            try:
                if self.ours is None:
                    self.ours = await asyncio.to_thread(ask_child)
                address = await asyncio.to_thread(self._scheduler.look)
                if address is not None:
                    await self._serve(address)
            except UserError as error:
                self._tell_fault(str(error))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 Dask raises anything
                # Nobody cancels this: what Dask was waiting for itself has gone.
                self._tell_fault(f"the scheduler does not answer: {error}")
            await asyncio.sleep(ROUND_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, address: str) -> None:
        """While one scheduler answers."""
        client = Client(address, asynchronous=True, set_as_default=False, timeout=CONNECT_S,
                        name="phi-auto")
        try:
            await asyncio.wait_for(client, CONNECT_S + 1)
            self._client = client
            while not self._is_closing and client.status == "running":
                found = await asyncio.wait_for(client.scheduler.identity(n_workers=-1), CALL_S)
                self.is_up = True
                if self.fault:
                    self.fault = None
                    self.news.append("the scheduler answers again")
                self._note_machines(found["workers"])
                await asyncio.sleep(ROUND_S)
                if await asyncio.to_thread(self._scheduler.look) != address:
                    return
        finally:
            self._client = None
            with contextlib.suppress(*BROKEN):
                await asyncio.wait_for(client.close(timeout=1), 3)

    def _tell_fault(self, why: str) -> None:
        if self.fault != why:
            self.fault = why
            self.news.append(why)

    def _note_machines(self, workers: dict[str, dict[str, Any]]) -> None:
        for address in self.machines.keys() - workers.keys():
            gone = self.machines.pop(address)
            if gone.likeness and not gone.refusal:
                self.news.append(Told(f"{gone.name} left the cluster", level="verbose"))
            for follower in self._followers.values():
                if follower.remote.berth.address == address:
                    follower.gone.set()
        for address, worker in workers.items():
            if address not in self.machines:
                machine = Machine(address, _name(worker.get("name"), address), taken={
                    attempt: one.remote.predicted_mb for attempt, one in self._followers.items()
                    if one.remote.berth.address == address})
                self.machines[address] = machine
                self._hand_in(functools.partial(self._attend, machine))

    async def _attend(self, machine: Machine) -> None:
        """Greet a machine, then ask it for its word, as long as it is there."""
        line = DaskLine(self, machine.address)
        while self.machines.get(machine.address) is machine:
            try:
                if machine.likeness is None:
                    self._greet(machine, await line.hello())
                elif machine.refusal is None and is_told(told := await line.ask("told")):
                    if machine.told.get("is_go", True) != told["is_go"]:
                        word = f"waits: {told['reason']}" if not told["is_go"] else "goes on"
                        self.news.append(f"{machine.name} {word}")
                    machine.told, machine.told_s = told, time.monotonic()
            except (Down, Refused):
                pass
            await asyncio.sleep(TOLD_S)

    def _greet(self, machine: Machine, values: Any) -> None:
        assert self.ours is not None  # asked for before the first connection
        try:
            like = Likeness.of(values)
            machine.refusal = self.ours.refusal(like)
        except UserError as error:
            like, machine.refusal = self.ours, str(error)
        machine.likeness = like
        if machine.refusal:
            self.news.append(f"{machine.name} is refused: {machine.refusal}")
            return
        told = f"{machine.name} joins: {like.device}, {class_name(like.bits)}"
        if like.bits in self._classes:
            self.news.append(Told(told, level="verbose"))
        elif self._classes:
            self.news.append(f"{told}, which rounds otherwise than {class_name(self._classes[0])}: "
                             "a study's baselines and pairs are all computed on one of them")
        else:
            self.news.append(told)
        if like.bits not in self._classes:
            self._classes.append(like.bits)

    async def _follow(self, remote: Remote, *, is_new: bool) -> None:
        attempt, address = remote.berth.attempt, remote.berth.address
        follower = Follower(remote, DaskLine(self, address), self._digests, is_new=is_new)
        self._followers[attempt] = follower
        try:
            await follower.run()
        finally:
            del self._followers[attempt]
            if machine := self.machines.get(address):
                machine.note_end(attempt, time.monotonic(), is_lost=remote.why is not None)
            if remote.why:
                self.news.append(f"{remote.label} goes on elsewhere: {remote.why}")

    def client(self) -> Any:
        """The client there is now. Raises Down."""
        if self._client is None:
            raise Down("the scheduler does not answer")
        return self._client


class DaskLine:
    """The way to one machine, through the scheduler of the moment."""

    def __init__(self, fleet: Fleet, address: str) -> None:
        self._fleet, self._address = fleet, address
        self._tasks: dict[str, Future] = {}

    async def hello(self) -> Any:
        try:
            return await self._run(calls.hello)
        except ImportError as error:
            return {"error": f"no phi-auto there: {error}"}

    async def ask(self, name: str, *arguments: Any) -> Any:
        found = await self._run(calls.on_station, name, arguments)
        if "refused" in found:
            raise Refused(str(found["refused"]))
        return found["answer"]

    async def begin(self, attempt: str) -> None:
        client = self._fleet.client()
        self._tasks[attempt] = client.submit(calls.trial, attempt, key=attempt, pure=False,
                                             workers=[self._address], retries=0)

    async def fault(self, attempt: str) -> str | None:
        task = self._tasks.get(attempt)
        if task is None or task.status != "error":
            return None
        return f"it could not begin there: {await answered(task.exception())}"

    async def forget(self, attempt: str) -> None:
        if task := self._tasks.pop(attempt, None):
            with contextlib.suppress(Down):
                await answered(task.cancel())

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        answers = await answered(asyncio.wait_for(self._fleet.client().run(
            function, *arguments, workers=[self._address]), CALL_S))
        if self._address not in answers:
            raise Down("it is not there")
        return answers[self._address]


async def answered(question: Awaitable[T]) -> T:
    """What a question to Dask gives. Raises Down where nothing comes of it.

    Dask cancels what waits in a client whose scheduler goes: to who asked, that is no answer, and
    no end of its own task.
    """
    try:
        return await question
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Down("the connection is gone") from error
    except BROKEN as error:
        raise Down(f"{type(error).__name__}: {error}") from error


def _hush() -> None:
    """Nothing of what Dask logs: what breaks is told in words, and what is lost goes on elsewhere.
    """
    for name in [*logging.root.manager.loggerDict, "asyncio"]:
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _name(name: object, address: str) -> str:
    """What people call a machine: the name it was given, or where it is."""
    return name if isinstance(name, str) and name and name != address else (
        address.partition("://")[2] or address)
