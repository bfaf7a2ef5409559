"""One trial on another machine, from its home's side: sent, followed, and brought back.

Everything is asked for from here, in steps that may be repeated: a connection that breaks, or a
home that is started again, goes on behind what lies in the run's folder. An attempt that was given
up is never listened to again, so that a machine which comes back doubles nothing.
"""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from agent.trial import NUMBERS
from agent.trial.cluster.parcel import Digests, Parcel, pack
from agent.trial.cluster.remote import Remote, settle
from agent.trial.cluster.station import PIECE_BYTES
from engine.errors import UserError
from engine.files import sync_folder
from engine.training import checkpoint

T = TypeVar("T")
LOST_S = 40.0  # without an answer its run goes on elsewhere
LOOK_S = 0.5  # between two questions
ENDINGS = {"done", "pruned", "diverged"}  # not believed before the model behind them is here
AGAIN_S = 2.0  # after one that was not answered
TRIES = 3  # for a file that arrives spoilt


class Down(Exception):
    """No answer: the machine, the scheduler or the way there."""


class Refused(UserError):
    """An answer, and it is no."""


class Line(Protocol):
    """The way to one machine."""

    async def ask(self, name: str, *arguments: Any) -> Any:
        """The answer of its station. Raises Down or Refused."""

    async def begin(self, attempt: str) -> None:
        """Hand the trial in as a task. Raises Down."""

    async def fault(self, attempt: str) -> str | None:
        """Why the task could not begin; None where nothing is known."""

    async def forget(self, attempt: str) -> None:
        """Take the task back."""


class Follower:
    """Follows one attempt until all of it is here, or it is given up."""

    def __init__(self, remote: Remote, line: Line, digests: Digests, *, is_new: bool,
                 now: Callable[[], float] = time.monotonic, pause: float = LOOK_S) -> None:
        self.remote, self._line, self._digests = remote, line, digests
        self._is_new, self._now, self._pause = is_new, now, pause
        self._attempt = remote.berth.attempt
        self._fetched: dict[str, Any] = {}  # how each file looked when it was fetched
        self._heard_s = now()
        self._was_asked = self._has_all = False
        self.gone = asyncio.Event()  # set by the fleet: the scheduler no longer knows the machine

    async def run(self) -> None:
        """Until the remote has a status. Never raises but on cancellation."""
        try:
            if self._is_new:
                await self._until_answered(self._send)
            else:
                settle(self.remote.folder)
            while self.remote.status is None:
                if await self._until_answered(self._news):
                    break
                await asyncio.sleep(self._pause)
        except UserError as error:
            self.remote.lose(str(error))
        finally:
            if self.remote.status is not None and not self.gone.is_set():
                await self._farewell()

    async def _until_answered(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """What a step gives, tried again while there is no answer, but not for ever."""
        while self.remote.status is None:
            try:
                found = await self._unless_gone(step())
                self._heard_s = self._now()
                return found
            except Down as error:
                if self.gone.is_set() or self._now() - self._heard_s > LOST_S:
                    self.remote.lose("its machine left the cluster" if self.gone.is_set()
                                     else f"its machine does not answer: {error}")
                    return None
            except OSError:  # of this home's disk, which may have room again
                self._heard_s = self._now()
            await asyncio.sleep(min(AGAIN_S, 4 * self._pause))
        return None

    async def _unless_gone(self, step: Coroutine[Any, Any, T]) -> T:
        """What a step gives; Down at once where its machine leaves, which Dask would wait for."""
        stepping, leaving = asyncio.ensure_future(step), asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait((stepping, leaving), return_when=asyncio.FIRST_COMPLETED)
            if stepping.done():
                return stepping.result()
            raise Down("it left the cluster")
        finally:
            stepping.cancel()
            leaving.cancel()

    # --- there -------------------------------------------------------------------------------

    async def _send(self) -> None:
        parcel = await asyncio.to_thread(pack, self.remote.folder, self._digests)
        for _ in range(TRIES):
            missing = await self._line.ask("open", self._attempt, parcel.values())
            if not missing:
                await self._line.begin(self._attempt)
                return
            for sha256 in missing:
                await self._put(parcel, sha256)
        raise Refused(f"{len(missing)} files did not arrive whole")

    async def _put(self, parcel: Parcel, sha256: str) -> None:
        offset, n_bytes = 0, parcel.n_bytes[sha256]
        path = self._digests.paths[sha256]
        offset = await self._line.ask("put", self._attempt, sha256, 0, b"")
        while offset < n_bytes and self.remote.status is None:
            with open(path, "rb") as file:
                file.seek(offset)
                piece = file.read(min(PIECE_BYTES, n_bytes - offset))
            if not piece:
                raise Refused(f"{path} became shorter on its way")
            offset = await self._line.ask("put", self._attempt, sha256, offset, piece)
            self._heard_s = self._now()

    # --- and back ----------------------------------------------------------------------------

    async def _news(self) -> bool:
        """Take in what is new; whether the trial is over and all of it here."""
        if self.remote.is_asked and not self._was_asked:
            await self._line.ask("ask", self._attempt)
            self._was_asked = True
        told = await self._events()
        if not told["is_begun"]:
            if (why := await self._line.fault(self._attempt)) is not None:
                raise Refused(why)
            if self._was_asked:
                self.remote.lose("it was asked to stop before it began")
            return False
        for name, looks in told["files"].items():
            if self._fetched.get(name) != looks:
                await self._fetch(name)
                self._fetched[name] = looks
                return False  # look again: what is over has not changed in between
        if told["status"] is None or told["events"]:
            return False
        self._has_all = True
        while (await self._events())["events"]:
            pass
        if self.remote.status is None:
            self.remote.status = told["status"]
        return True

    async def _events(self) -> dict[str, Any]:
        """Append the lines that are new; how the trial stands.

        Words on its end wait until all its files are here: a machine that is lost in between has
        not ended its run. Refused where its numbers are wrong.
        """
        path = self.remote.folder.events
        size = path.stat().st_size if path.exists() else 0
        told: dict[str, Any] = await self._line.ask("look", self._attempt,
                                                    max(0, size - self.remote.berth.base))
        told["events"] = self._sifted(told["events"])
        if told["events"] and self.remote.status is None:
            with open(path, "ab", buffering=0) as file:
                if file.tell() == size:  # nobody else writes there
                    _write(file.fileno(), told["events"])
        return told

    def _sifted(self, lines: bytes) -> bytes:
        """The lines up to the first that has to wait."""
        size = 0
        for line in lines.splitlines(keepends=True):
            event = parsed(line)
            if event.get("kind") == NUMBERS:
                raise Refused(str(event.get("message")))
            if event.get("kind") in ENDINGS and not self._has_all:
                break
            size += len(line)
        return lines[:size]

    async def _fetch(self, name: str) -> None:
        """Bring a file here, whole or not at all; a checkpoint after the events it is past."""
        part = self.remote.folder.root / f"{name}.coming"
        found = hashlib.sha256()
        with open(part, "wb") as file:
            while True:
                piece, sha256 = await self._line.ask("fetch", self._attempt, name, file.tell())
                self._heard_s = self._now()
                file.write(piece)
                found.update(piece)
                if sha256:
                    break
                if not piece or self.remote.status is not None:
                    raise Down(f"{name} broke off")
            file.flush()
            os.fsync(file.fileno())
        if found.hexdigest() != sha256:
            raise Down(f"{name} arrived spoilt")
        while (await self._events())["events"]:
            pass
        if self.remote.status is not None:
            return
        path = self.remote.folder.root / name
        if path == self.remote.folder.checkpoint:
            _sync(self.remote.folder.events)
            if path.exists():
                os.replace(path, checkpoint.previous(path))
        os.replace(part, path)
        sync_folder(path.parent)

    async def _farewell(self) -> None:
        """Let the machine forget it; where it does not hear that, its lease runs out."""
        try:
            await self._line.ask("release", self._attempt)
            await self._line.forget(self._attempt)
        except (Down, Refused):
            return


def parsed(line: bytes) -> dict[str, Any]:
    """The event of a line; empty where it is spoilt, which who reads the file passes over."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(handle: int, data: bytes) -> None:
    """All of it; a disk that fills up takes a part, and refuses the rest."""
    while data:
        data = data[os.write(handle, data):]


def _sync(path: Any) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
