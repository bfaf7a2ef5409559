"""How this process talks: what it says may neither fail nor block, whoever listens or has left.

What goes to stderr is handed to a thread of its own, and dropped where nobody takes it: a terminal
that closed, a full disk, a reader that stopped reading. What goes to stdout is data and is waited
for; where it cannot be written, the command ends in one sentence, or silently where the reader
has had enough (`agent runs | head -1`).
"""

import atexit
import contextlib
import errno
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, cast

from agent.words import told_error

ROOM = 65_536  # bytes that wait for a slow reader; what comes on top is dropped
PATIENCE_S = 2.0  # a single write that takes longer has met a reader who does not read
END_S = 2.0  # what is left to say at the end is waited for so long
LOOK_S = 1.0
UNREAD = "its reader has stopped reading"
GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)  # the reader left: no fault, and none to tell

Write = Callable[[int, bytes], int]


class Unheard(Exception):
    """What stdout could not be given."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror}; free some space, or "
                         "send it elsewhere")
        self.is_reader_gone = error.errno in GONE


class _Raw(io.RawIOBase):
    """What TextIOWrapper needs of a descriptor, besides write."""

    def __init__(self, fd: int, write: Write) -> None:
        super().__init__()
        self._fd, self._write = fd, write

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def _put(self, data: bytes) -> int:
        """As write(2); a descriptor that somebody made non-blocking is waited for."""
        while True:
            try:
                return self._write(self._fd, data)
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll(1000 * LOOK_S)


class Mouth(_Raw):
    """Takes everything at once; a thread says it, as far as there is somebody to hear it."""

    def __init__(self, fd: int, write: Write = os.write,
                 now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(fd, write)
        self._now_s = now_s
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._n_waiting = 0  # bytes, with those being said
        self._since_s: float | None = None  # when the write under way began
        self._lost: str | None = None
        self._thread: threading.Thread | None = None
        self._is_ending = False

    def write(self, data: Any, /) -> int:  # any buffer
        told = bytes(data)
        with self._changed:
            if self._n_waiting + len(told) > ROOM:
                self._lose(UNREAD)
            elif told and self._has_thread():
                self._waiting.append(told)
                self._n_waiting += len(told)
                self._changed.notify_all()
        if self._is_ending:
            self.drain(END_S)
        return len(told)

    def unheard(self) -> str | None:
        """Why something was not heard, the first time; None where all was, or may still be."""
        with self._changed:
            if self._since_s is not None and self._now_s() - self._since_s > PATIENCE_S:
                self._lose(UNREAD)
            return self._lost

    def drain(self, limit_s: float) -> None:
        """Wait until all is said, but no longer than that."""
        with self._changed:
            self._changed.wait_for(lambda: not self._n_waiting, limit_s)

    def end(self) -> None:
        """The interpreter is about to leave: from now on what is said is waited for, for a while.
        """
        self._is_ending = True
        self.drain(END_S)

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._say_all, name="voice", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # a device may have none to give, this time
                self._lose(told_error(error))
                return False
            self._thread = thread
        return True

    def _say_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = self._waiting.popleft()
                self._since_s = self._now_s()
            why = self._say(data)
            with self._changed:
                if why:
                    self._lose(why)
                self._since_s = None
                self._n_waiting -= len(data)
                self._changed.notify_all()

    def _say(self, data: bytes) -> str | None:
        """Why it could not be said; what comes next is tried all the same."""
        try:
            while data:
                data = data[self._put(data):]
        except OSError as error:
            return error.strerror or told_error(error)
        return None


class Outlet(_Raw):
    """Writes data and waits for it; Unheard once where that fails, and silent from then on."""

    def __init__(self, fd: int, before: Callable[[], None] = lambda: None,
                 write: Write = os.write) -> None:
        super().__init__(fd, write)
        self._before, self._is_shut = before, False

    def write(self, data: Any, /) -> int:  # any buffer
        if self._is_shut:  # the interpreter flushes at exit what could not be written
            return len(data)
        self._before()  # what was said earlier is read earlier
        try:
            return self._put(bytes(data))
        except OSError as error:
            self._is_shut = True
            raise Unheard(error) from error


def unheard(stream: object) -> str | None:
    """Why something said on a stream was not heard; None where it was, or the stream is another."""
    mouth = getattr(stream, "buffer", None)
    return mouth.unheard() if isinstance(mouth, Mouth) else None


@contextlib.contextmanager
def speaking() -> Iterator[None]:
    """Let the program inside talk by these rules; its exit status stays what it would be."""
    _open_what_is_closed()
    mouth = Mouth(2)
    outlet = Outlet(1, lambda: mouth.drain(END_S))
    if sys.stderr is sys.__stderr__:  # who put another in its place, as a test does, listens
        sys.stderr = _text(mouth, sys.stderr)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(io.BufferedWriter(outlet), sys.stdout)
    atexit.register(mouth.end)  # behind a traceback, which is printed after this
    status: int | str | None = 0
    try:
        try:
            yield
        except SystemExit as end:
            status = end.code
            raise
        finally:
            sys.stdout.flush()
    except Unheard as error:
        if not (status or error.is_reader_gone):
            sys.stderr.write(f"agent: {error}\n")
            status = 1
        sys.exit(status)


def _text(buffer: io.BufferedWriter | Mouth, before: object) -> io.TextIOWrapper:
    """A text stream as the interpreter makes it, into another buffer."""
    is_raw = isinstance(buffer, Mouth)
    return io.TextIOWrapper(cast(io.BufferedWriter, buffer),  # as `python -u`: any raw file does
                            encoding=getattr(before, "encoding", None) or "utf-8",
                            errors="backslashreplace" if is_raw else "replace",
                            line_buffering=buffer.isatty() or is_raw, write_through=is_raw)


def _open_what_is_closed() -> None:
    """`agent run 2>&-`: else the next file opened would take the number, and the talk."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)
