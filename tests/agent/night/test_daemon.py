"""The alarm clock: one daemon a home, faults that are survived and faults that are not."""

import datetime as dt
import fcntl
import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers import base, blocking

from agent.home import lock as home_lock
from agent.home.control import send_command, take_command
from agent.home.lock import holder, only_one
from agent.home.paths import Home
from agent.machine.conditions import Window, parse_window
from agent.night import daemon
from agent.night.bulletin import Bulletin
from agent.night.daemon import IDLE_TICK_S, MAX_FAULTS, Daemon, edges, minutes_east
from engine.errors import LedgerBusy, StorageError, UserError
from tests.support.parts import FakeTime

Tick = Exception | Callable[[], None] | None


class Stub:
    """A night whose ticks do what the test says."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        self.ticks, self.said, self.n_asked = list(ticks), list[str](), 0
        self.is_over = self.is_paused = self.is_stopping = False
        self.is_busy = False  # its worker
        self.noted: list[str] = []
        self.observer = self.slots = self
        self.home, self.clock = Home(Path("/nowhere")), FakeTime().clock()
        self.watch = self.trial = self.waits_for = None

    @property
    def trials(self) -> list[object]:
        return [] if self.trial is None else [self.trial]

    def tick(self) -> None:
        found = self.ticks.pop(0)
        self.is_over = not self.ticks
        if isinstance(found, Exception):
            raise found
        if found:
            found()

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
    monkeypatch.setattr(Bulletin, "post", lambda self, night: None)


def run(ticks: Sequence[Tick]) -> Any:
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


# --- the pace, and the edges of the window ---------------------------------------------------


class Waiting:
    """A watch whose word the test gives."""

    def __init__(self, window: Window | None = None) -> None:
        self.is_waiting, self.window = True, window


def a_daemon(watch: Waiting | None = None) -> tuple[Daemon, Any, Callable[[], float]]:
    """A daemon whose ticks the test makes, its night, and the pace that APScheduler keeps."""
    stub: Any = Stub([None] * 99)
    stub.watch = watch
    found = Daemon(stub)
    found.scheduler.add_job(found._tick, "interval", seconds=daemon.TICK_S, timezone="UTC",
                            id="tick")
    found.scheduler._event = threading.Event()
    base.BaseScheduler.start(found.scheduler, paused=True)  # without its loop
    return found, stub, lambda: found.scheduler.get_job("tick").trigger.interval.total_seconds()


def test_a_night_that_waits_with_nothing_running_ticks_seldom() -> None:
    found, stub, pace_s = a_daemon(Waiting())
    found._tick()
    assert pace_s() == IDLE_TICK_S
    stub.watch.is_waiting = False
    found._tick()
    assert pace_s() == daemon.TICK_S


def test_what_runs_is_followed_at_full_pace_until_it_has_saved() -> None:
    found, stub, pace_s = a_daemon(Waiting())
    stub.trial = object()
    found._tick()
    assert pace_s() == daemon.TICK_S
    stub.trial = None
    found._tick()
    assert pace_s() == IDLE_TICK_S


def test_a_paused_night_ticks_seldom_and_a_busy_one_does_not() -> None:
    found, stub, pace_s = a_daemon()
    found._tick()
    assert pace_s() == daemon.TICK_S
    stub.is_paused = True
    found._tick()
    assert pace_s() == IDLE_TICK_S


def test_pause_resume_and_stop_are_obeyed_within_10_s_at_any_pace() -> None:
    assert IDLE_TICK_S <= 5.0  # one tick takes the command, the next at the latest obeys it


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(("east", "opens", "closes"), [
    (0, "2026-06-01T22:00", "2026-06-02T07:00"), (60, "2026-06-01T21:00", "2026-06-02T06:00"),
    (345, "2026-06-01T16:15", "2026-06-02T01:15"),  # Kathmandu
    (-420 % 1440, "2026-06-02T05:00", "2026-06-01T14:00"),  # Phoenix
    (840, "2026-06-02T08:00", "2026-06-01T17:00")])  # Kiritimati
def test_a_window_opens_and_closes_at_local_time(east: int, opens: str, closes: str) -> None:
    found = edges(parse_window("22:00-07:00"), east)
    for name, at, local in (("opens", opens, (22, 0)), ("closes", closes, (7, 0))):
        fires = found[name].get_next_fire_time(None, utc("2026-06-01T12:00"))
        assert fires == utc(at)
        there = fires.astimezone(dt.timezone(dt.timedelta(minutes=east)))
        assert (there.hour, there.minute) == local
        assert found[name].get_next_fire_time(fires, fires) == fires + dt.timedelta(days=1)


@pytest.mark.parametrize(("local", "east"), [
    (10 * 60, 0), (12 * 60, 120), (15 * 60 + 45, 345), (3 * 60, 1020), (0, 840),
    (12 * 60 + 1, 120), (11 * 60 + 59, 120)])  # the minute turned between the two clocks
def test_the_offset_of_local_time_is_told_by_the_clocks(local: int, east: int) -> None:
    assert minutes_east(FakeTime(minutes=local).clock()) == east  # at 10:00 UTC


def test_the_triggers_follow_when_summer_time_ends() -> None:
    found, stub, _ = a_daemon(Waiting(parse_window("22:00-07:00")))
    time = FakeTime(minutes=12 * 60)
    stub.clock = time.clock()

    def opens() -> str:
        trigger = found.scheduler.get_job("opens").trigger
        return str(trigger.get_next_fire_time(None, utc("2026-10-24T12:00")).time())

    found._tick()
    assert opens() == "20:00:00"
    time.minutes = 11 * 60
    found._tick()
    assert opens() == "21:00:00"
    assert len(found.scheduler.get_jobs()) == 3  # the old ones are gone


def test_without_a_window_there_is_no_trigger() -> None:
    found, _, _ = a_daemon(Waiting())
    found._tick()
    assert [job.id for job in found.scheduler.get_jobs()] == ["tick"]


def test_a_trigger_at_the_edge_ticks_the_night() -> None:
    found, stub, pace_s = a_daemon(Waiting(parse_window("22:00-07:00")))
    found._tick()
    stub.watch.is_waiting = False  # the window has opened
    found.scheduler.get_job("opens").func()
    assert (len(stub.ticks), pace_s()) == (97, daemon.TICK_S)


class Impatient(threading.Event):
    """What a scheduler waits with, where a wait that is too long fails instead of hanging."""

    def wait(self, timeout: float | None = None) -> bool:
        assert self.is_set() or (timeout or math.inf) <= IDLE_TICK_S
        return super().wait(timeout)


def test_a_daemon_ticks_on_when_the_clock_is_set_back_a_day(
        monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(dt.datetime):
        shift = dt.timedelta()

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime.now(tz) + cls.shift

    def set_back() -> None:
        Clock.shift = dt.timedelta(days=-1)

    class Module:
        datetime, timedelta, UTC = Clock, dt.timedelta, dt.UTC

    monkeypatch.setattr(base, "datetime", Clock)
    monkeypatch.setattr(daemon, "dt", Module)
    monkeypatch.setattr(blocking, "Event", Impatient)
    assert run([None, set_back, None, None, None]).ticks == []


@pytest.mark.parametrize("days", [-20_000, -1, 1, 20_000])  # a phone may start in 1970
def test_a_clock_that_was_set_brings_one_tick_at_once(days: int) -> None:
    found, _, _ = a_daemon()
    now = found.scheduler.get_job("tick").next_run_time + dt.timedelta(days=days)
    (due,) = found.scheduler._lookup_jobstore("default").get_due_jobs(now)
    assert (due.id, due.next_run_time) == ("tick", now)


@pytest.mark.parametrize(("late_s", "n_due"), [
    (-IDLE_TICK_S, 0), (-0.1, 0), (0.0, 1), (IDLE_TICK_S, 1)])
def test_a_tick_that_is_only_early_or_late_keeps_its_time(late_s: float, n_due: int) -> None:
    found, _, _ = a_daemon()
    at = found.scheduler.get_job("tick").next_run_time
    jobs = found.scheduler._lookup_jobstore("default")
    assert len(jobs.get_due_jobs(at + dt.timedelta(seconds=late_s))) == n_due
    assert found.scheduler.get_job("tick").next_run_time == at


def test_a_night_that_is_over_is_not_ticked_again() -> None:
    found, stub, _ = a_daemon()
    stub.ticks = [None]
    found._tick()
    found._tick()  # a trigger at the same moment
    assert stub.said == []


def test_a_daemon_that_gets_no_thread_to_end_by_tries_again(
        monkeypatch: pytest.MonkeyPatch) -> None:
    class Thread(threading.Thread):
        def start(self) -> None:
            if first:
                raise first.pop()
            super().start()

    first = [RuntimeError("can't start new thread")]
    monkeypatch.setattr(daemon.threading, "Thread", Thread)
    monkeypatch.setattr(blocking, "Event", Impatient)
    assert run([None, None]).said == []
    assert first == []
