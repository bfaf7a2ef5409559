"""The guard's words are pure; its readings are compared with the kernel's own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent import guard
from agent.guard import Reading


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
    (Reading(None, None), True)])
def test_a_running_worker_is_stopped_over_its_limit_or_when_the_machine_runs_short(
        reading: Reading, is_go: bool) -> None:
    assert guard.may_go_on(reading, 3000).is_go is is_go


def test_the_reason_names_what_was_taken_and_what_is_allowed() -> None:
    assert guard.may_go_on(Reading(3456, 8000), 3000).reason == (
        "the run took 3456 MB, over --max-ram 3,000 MB")


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
