"""The guard's words are pure; its readings are compared with the kernel's own."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.machine import guard
from agent.machine.guard import Reading, Swap


def test_a_run_predicted_over_max_ram_may_not_start() -> None:
    word = guard.may_launch(3100, 3000, 8000)
    assert (word.is_go, word.reason) == (
        False, "predicted peak 3,100 MB is over --max-ram 3,000 MB")


def test_a_run_that_leaves_no_reserve_may_not_start() -> None:
    assert not guard.may_launch(900, 3000, 1000).is_go
    assert guard.may_launch(700, 3000, 1000).is_go


def test_unknown_free_memory_is_not_enough() -> None:
    assert "cannot be read" in guard.may_launch(10, 3000, None).reason


@pytest.mark.parametrize(("reading", "is_go"), [
    (Reading(2999, 8000), True), (Reading(3001, 8000), False), (Reading(100, 199), False),
    (Reading(100, 200), True)])
def test_a_running_worker_is_stopped_over_its_limit_or_when_the_machine_runs_short(
        reading: Reading, is_go: bool) -> None:
    assert guard.may_go_on(reading, 3000).is_go is is_go


def test_the_reason_names_what_was_taken_and_what_is_allowed() -> None:
    assert guard.may_go_on(Reading(3456, 8000), 3000).reason == (
        "the run took 3456 MB, over --max-ram 3,000 MB")


# --- unknown memory, and swap ----------------------------------------------------------------


@pytest.mark.parametrize(("reading", "reason"), [
    (Reading(None, 8000), "the run's memory cannot be read, and unknown is not enough"),
    (Reading(100, None), "free memory cannot be read, and unknown is not enough")])
def test_unknown_memory_stops_what_runs(reading: Reading, reason: str) -> None:
    word = guard.may_go_on(reading, 3000)
    assert (word.is_go, word.may_pass, word.cause, word.reason) == (
        False, True, "unknown memory", reason)


def test_a_run_over_its_limit_is_over_it_whatever_else_is_unknown() -> None:
    word = guard.may_go_on(Reading(3456, None), 3000)
    assert (word.cause, word.may_pass) == ("max-ram", False)


SPENT, HALF = Swap(199.0, 2000.0), Swap(1000.0, 2000.0)


@pytest.mark.parametrize(("swap", "is_spent"), [
    (SPENT, True), (Swap(200.0, 2000.0), False), (HALF, False), (Swap(0.0, 2000.0), True),
    (Swap(0.0, 0.0), False), (Swap(), False), (Swap(None, 2000.0), False), (Swap(0.0), False)])
def test_swap_is_spent_where_there_is_some_and_under_a_tenth_of_it_free(
        swap: Swap, is_spent: bool) -> None:
    assert swap.is_spent is is_spent


def test_spent_swap_stops_a_run_where_memory_is_low_and_only_there() -> None:
    word = guard.may_go_on(Reading(100, 399, SPENT), 3000)
    assert (word.is_go, word.may_pass, word.cause) == (False, True, "memory")
    assert word.reason == ("the machine has 399 MB free, under the reserve of 400 MB (only 199 of "
                           "2,000 MB of swap are free)")
    assert word.readings == {"group_mb": 100, "free_mb": 399, "swap_free_mb": 199.0}
    assert guard.may_go_on(Reading(100, 400, SPENT), 3000).is_go
    assert guard.may_go_on(Reading(100, 399, HALF), 3000).is_go


def test_spent_swap_doubles_what_a_launch_must_leave() -> None:
    assert guard.may_launch(700, 3000, 1000, HALF).is_go
    word = guard.may_launch(700, 3000, 1000, SPENT)
    assert (word.is_go, word.may_pass, word.cause) == (False, True, "memory")
    assert word.reason == ("predicted peak 700 MB and a reserve of 400 MB (only 199 of 2,000 MB of "
                           "swap are free) do not fit in 1000 MB free")
    assert guard.may_launch(600, 3000, 1000, SPENT).is_go


def test_swap_is_what_sysinfo_says() -> None:
    class Sysinfo(ctypes.Structure):  # of <sys/sysinfo.h>
        _fields_ = (("head", ctypes.c_ulong * 8), ("totalswap", ctypes.c_ulong),
                    ("freeswap", ctypes.c_ulong), ("procs", ctypes.c_ushort),
                    ("high", ctypes.c_ulong * 2), ("unit", ctypes.c_uint),
                    ("rest", ctypes.c_char * 64))

    told = Sysinfo()
    assert ctypes.CDLL(None).sysinfo(ctypes.byref(told)) == 0
    found = guard.read_swap()
    assert found.total_mb == pytest.approx(told.totalswap * told.unit / 1e6, abs=0.01)
    assert found.free_mb == pytest.approx(told.freeswap * told.unit / 1e6, abs=50)


def test_group_memory_is_what_the_kernel_says_of_a_single_process() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    resident_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    assert guard.group_mb(os.getpid()) == pytest.approx(resident_mb, rel=0.05)


def test_group_memory_counts_what_a_forked_child_takes_but_not_what_it_shares() -> None:
    code = ("import os, sys\nshared = bytearray(os.urandom(1)) * 60_000_000\n"
            "if os.fork() == 0:\n    own = bytearray(os.urandom(1)) * 40_000_000\n"
            "    print('ready', flush=True); sys.stdin.read()\n    os._exit(0)\n"
            "os.wait()")
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"ready\n"
        found = guard.group_mb(leader.pid)
        os.killpg(leader.pid, signal.SIGKILL)
    assert found is not None
    assert 100 < found < 130  # 60 shared, 40 of its own, and two interpreters' own pages


def test_a_process_that_has_ended_and_is_not_waited_for_has_no_reading() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie, whose rss is 0
        assert guard.group_mb(child.pid) is None


def test_a_process_that_is_gone_has_no_reading() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert guard.group_mb(child.pid) is None


def test_ending_asks_first_and_kills_when_the_grace_is_over() -> None:
    sent: list[tuple[int, int]] = []
    ending = guard.Ending(7, 100.0, kill=lambda pid, number: sent.append((pid, number)))
    ending.press(100.0 + guard.TERM_GRACE_S - 0.1)
    assert sent == [(7, signal.SIGTERM)]
    ending.press(100.0 + guard.TERM_GRACE_S)
    assert sent == [(7, signal.SIGTERM), (7, signal.SIGKILL)]


def test_ending_a_process_that_is_gone_is_no_error() -> None:
    asked: list[int] = []

    def gone(pid: int, number: int) -> None:
        asked.append(number)
        raise ProcessLookupError

    guard.Ending(7, 0.0, kill=gone).press(10.0)
    assert asked == [signal.SIGTERM, signal.SIGKILL]
