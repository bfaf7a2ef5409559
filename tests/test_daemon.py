"""The alarm clock: one daemon a home, faults that are survived and faults that are not."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from agent import daemon
from agent import lock as home_lock
from agent.control import send_command, take_command
from agent.daemon import MAX_FAULTS, Daemon
from agent.lock import holder, only_one
from engine.errors import LedgerBusy, StorageError, UserError


class Stub:
    """A night whose ticks do what the test says."""

    def __init__(self, ticks: list[Exception | None]) -> None:
        self.ticks, self.said, self.n_asked = ticks, list[str](), 0
        self.is_over = self.is_stopping = False
        self.is_busy = False  # its worker
        self.noted: list[str] = []
        self.observer = self.runner = self

    def tick(self) -> None:
        found = self.ticks.pop(0)
        self.is_over = not self.ticks
        if found:
            raise found

    def say(self, message: str) -> None:
        self.said.append(message)

    def ask_to_stop(self) -> None:
        self.n_asked += 1

    def note(self, kind: str, message: str) -> None:
        self.noted.append(message)

    def is_computing(self) -> bool:
        return self.is_busy

    def stop(self, reason: str) -> None:
        self.is_over = True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "TICK_S", 0.02)


def run(ticks: list[Exception | None]) -> Any:
    stub = Stub(ticks)
    Daemon(stub).run()  # type: ignore[arg-type]
    return stub


def test_a_fault_in_a_tick_is_told_and_the_next_tick_goes_on() -> None:
    stub = run([ValueError("a bug"), None, None])
    assert len(stub.said) == 1
    assert "Traceback" in stub.said[0]


def test_what_a_person_can_mend_is_told_without_a_traceback() -> None:
    assert run([UserError("no such field"), None]).said == ["no such field"]


@pytest.mark.parametrize("fault", [LedgerBusy("it is locked"), StorageError("the disk is full")])
def test_what_passes_by_itself_is_waited_for_and_told_once(fault: UserError) -> None:
    stub = run([*[fault] * 4 * MAX_FAULTS, None, None])
    assert stub.said == [f"waits: {fault}"]
    assert stub.noted == ["goes on: the ledger and the disk can be written again"]
    assert stub.n_asked == 0


def test_a_second_wait_is_told_again() -> None:
    fault = LedgerBusy("it is locked")
    assert run([fault, None, fault, fault, None]).said == ["waits: it is locked"] * 2


def test_who_is_asked_to_stop_waits_for_the_worker_and_not_for_the_ledger() -> None:
    fault = LedgerBusy("it is locked")
    stub = Stub([fault, fault, fault, fault, None])
    stub.is_stopping = stub.is_busy = True
    tick = stub.tick

    def tick_and_end() -> None:
        stub.is_busy = len(stub.ticks) > 3
        tick()

    stub.tick = tick_and_end  # type: ignore[method-assign]
    with pytest.raises(UserError, match="^stopped before all was noted: it is locked$"):
        Daemon(stub).run()  # type: ignore[arg-type]
    assert len(stub.ticks) == 2


def test_too_many_faults_in_a_row_end_the_daemon_with_the_reason() -> None:
    stub = Stub([ValueError("a bug")] * (MAX_FAULTS + 5))
    with pytest.raises(UserError, match="gave up after 5 faults in a row; the last: a bug"):
        Daemon(stub).run()  # type: ignore[arg-type]
    assert (len(stub.said), stub.n_asked) == (MAX_FAULTS, 1)


def test_faults_with_a_good_tick_between_them_do_not_add_up() -> None:
    assert len(run([ValueError("a bug"), None] * MAX_FAULTS + [None]).said) == MAX_FAULTS


def test_the_lock_names_its_holder_and_frees_itself(tmp_path: Path) -> None:
    lock = tmp_path / "agent.lock"
    assert holder(lock) is None
    with only_one(lock):
        assert holder(lock) == os.getpid()
        with pytest.raises(UserError, match=rf"another agent \(pid {os.getpid()}\) works in"):
            only_one(lock).__enter__()
    assert holder(lock) is None


def test_a_glance_at_the_lock_does_not_keep_a_daemon_from_starting(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "agent.lock"
    lock.touch()
    glance = lock.open()
    fcntl.flock(glance, fcntl.LOCK_SH)
    monkeypatch.setattr(home_lock.time, "sleep", lambda seconds: glance.close())
    with only_one(lock):
        assert holder(lock) == os.getpid()


def test_a_command_is_taken_once(tmp_path: Path) -> None:
    control = tmp_path / "runs" / "control.json"
    send_command(control, "pause")
    assert (take_command(control), take_command(control)) == ("pause", None)
