"""Data-parallel replicas: forked processes that share parameters and gradients.

Forked, because Termux's OpenBLAS may not be called from two threads of one process, and because
several processes with one BLAS thread each beat one process with several threads. Shared through
anonymous memory and pipes, because a phone has neither /dev/shm nor a sound multiprocessing.

    leader   run(phase) ──byte──► every replica computes the phase ──byte──► all are done
"""

import mmap
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import DTypeLike

from engine.errors import ReplicaDied
from engine.model import Array

Phase = Callable[[int], None]  # called with the replica's rank, 0 for the leader
# Looks for an answer before a process sleeps, some 0.2 ms, where each has a core of its own: to be
# woken takes longer than most waits. A step of 64d/2L or 128d/4L takes 1 to 3 % less so; with ten
# times as many no less, and where others have the cores more.
LOOKS = 100
GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a terminal's, to all at once


def shared_zeros(n: int, dtype: DTypeLike = np.float32) -> Array:
    """Zeros in memory that forked replicas share; it lives as long as any array over it."""
    dtype = np.dtype(dtype)
    memory = mmap.mmap(-1, max(1, n * dtype.itemsize))
    return np.frombuffer(memory, dtype, count=n)


def parts(n: int, n_parts: int) -> list[slice]:
    """n things in runs of nearly equal length, the longer ones first."""
    edges = [0]
    for rank in range(n_parts):
        edges.append(edges[-1] + n // n_parts + (rank < n % n_parts))
    return [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]


class Team:
    """The leader and its replicas; replicas are forked when the first phase runs.

    All state a phase reads or writes must be shared memory, or not change after the fork.
    """

    def __init__(self, n_replicas: int, phases: Sequence[Phase]) -> None:
        self.n_replicas, self._phases = n_replicas, phases
        self._looks = LOOKS if n_replicas <= len(os.sched_getaffinity(0)) else 0
        self._lines: list[socket.socket] = []
        self._pids: list[int] = []

    @property
    def pids(self) -> list[int]:
        """The replicas forked so far, without the leader."""
        return list(self._pids)

    def run(self, phase: int) -> None:
        """Have every replica compute a phase; raises ReplicaDied where one is gone."""
        try:
            if self.n_replicas > 1 and not self._pids:
                self._fork()
            for rank, line in enumerate(self._lines, 1):
                try:
                    line.send(bytes([phase]))
                except OSError:
                    self._mourn(rank)
            self._phases[phase](0)
            for rank, line in enumerate(self._lines, 1):
                if not _receive(line, self._looks):
                    self._mourn(rank)
        except BaseException:
            self.close()  # a team that is not whole, or an answer left unread, must not go on
            raise

    def close(self) -> None:
        """Let the replicas go, and wait until they have."""
        for line in self._lines:
            line.shutdown(socket.SHUT_RDWR)  # a team forked later holds copies of our ends
            line.close()
        for pid in self._pids:
            os.waitpid(pid, 0)
        self._lines, self._pids = [], []

    def _fork(self) -> None:
        # Held back until a replica ignores them: none may raise in it on its way to _serve.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
        try:
            for rank in range(1, self.n_replicas):
                ours, theirs = socket.socketpair()
                self._lines.append(ours)
                with theirs:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    pid = os.fork()
                    if pid == 0:
                        for line in self._lines:  # else a dead leader's lines would stay open
                            line.close()
                        self._serve(rank, theirs)
                self._pids.append(pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _serve(self, rank: int, line: socket.socket) -> None:
        """A replica's life: compute what is asked until the leader hangs up; never returns."""
        status = 1
        try:
            for number in GROUP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # the leader saves and hangs up
            while asked := _receive(line, self._looks):
                self._phases[asked[0]](rank)
                line.send(asked)
            status = 0
        except BrokenPipeError:
            status = 0  # the leader went while this computed
        except BaseException:  # noqa: BLE001 a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            os._exit(status)

    def _mourn(self, rank: int) -> None:
        self._lines.pop(rank - 1).close()
        pid, status = os.waitpid(self._pids.pop(rank - 1), 0)
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        raise ReplicaDied(f"replica {rank} (pid {pid}) ended with {how}",
                          -code if code < 0 else None)


def _receive(line: socket.socket, n_looks: int = 0) -> bytes:
    """One byte; none when the other side is gone. Only behind n_looks in vain does it sleep."""
    try:
        for _ in range(n_looks):
            try:
                return line.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                os.sched_yield()  # to whoever has no core, if anybody
        return line.recv(1)
    except ConnectionResetError:
        return b""
