"""The alarm clock around a night: scheduler and signals."""

import datetime as dt
import os
import signal
import threading
import traceback
from types import FrameType

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

from agent.night import Night
from agent.queries import BLOCKED
from engine.errors import UserError

TICK_S = 0.5
MAX_FAULTS = 5  # ticks in a row that may fail before the daemon gives up
KILLED = 128  # exit status of a process ended by signal N is 128 + N


class Scheduler(BlockingScheduler):  # type: ignore[misc]  # it comes without types
    """One that goes on where the clock is set back: its next tick would be as far ahead."""

    def _process_jobs(self) -> float | None:
        now = dt.datetime.now(dt.UTC)
        for job in self.get_jobs():
            if job.next_run_time - now > 2 * dt.timedelta(seconds=TICK_S):
                job.modify(next_run_time=now)
        wait_s: float | None = super()._process_jobs()
        return wait_s


class Daemon:
    """Ticks a night until it is over."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.asked = threading.Event()
        self.n_faults = 0
        self.failure: str | None = None
        self.is_waiting = False  # for room on the disk, or for the ledger
        # Jobs run in the scheduler's own thread: one thread forks, writes and judges.
        self.scheduler = Scheduler(
            timezone="UTC", executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})

    def run(self) -> None:
        """Block until the night is over; UserError where too many ticks in a row failed."""
        self.scheduler.add_job(self._tick, "interval", seconds=TICK_S, timezone="UTC")
        before = {number: signal.signal(number, self._on_signal)
                  for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            self.scheduler.start()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.failure:
            raise UserError(self.failure)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set():  # asked twice: at once; the worker saves by itself
            os.write(2, b"\nleft at once; `agent run` goes on from the last checkpoint\n")
            os._exit(KILLED + number)
        self.asked.set()

    def _tick(self) -> None:
        try:
            if self.asked.is_set():
                self.night.stop("asked to by a signal")
            self.night.tick()
            self._go_on()
        except BLOCKED as error:
            self._wait(error)
        except Exception as error:  # noqa: BLE001 the edge of a tick: record, carry on, give up late
            self.n_faults += 1
            is_told = isinstance(error, UserError)
            self.night.observer.say(str(error) if is_told else traceback.format_exc())
            if self.n_faults >= MAX_FAULTS:
                self._give_up(f"gave up after {MAX_FAULTS} faults in a row; the last: {error}")
        if self.night.is_over:
            # From a thread of its own: shutdown waits for the lock that this job runs under.
            threading.Thread(target=self.scheduler.shutdown, kwargs={"wait": False}).start()

    def _go_on(self) -> None:
        self.n_faults = 0
        if self.is_waiting:
            self.is_waiting = False
            self.night.note("unblocked", "goes on: the ledger and the disk can be written again")

    def _wait(self, error: UserError) -> None:
        """A full disk or a locked ledger passes: told once, tried again at each tick.

        Who was asked to stop waits for the worker only; the next start takes up what is missing.
        """
        if not self.is_waiting:
            self.is_waiting = True
            self.night.observer.say(f"waits: {error}")
        if self.night.is_stopping and not self.night.runner.is_computing():
            self._give_up(f"stopped before all was noted: {error}")

    def _give_up(self, why: str) -> None:
        self.failure = why
        self.night.runner.ask_to_stop()
        self.night.is_over = True
