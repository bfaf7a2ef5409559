"""The alarm clock around a night: scheduler and signals."""

import json
import os
import signal
import threading
import traceback
from pathlib import Path
from types import FrameType

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

from agent.night import Night
from engine.errors import UserError
from engine.files import write_atomically

TICK_S = 0.5
MAX_FAULTS = 5  # ticks in a row that may fail before the daemon gives up
KILLED = 128  # exit status of a process ended by signal N is 128 + N


def send_command(control: Path, command: str) -> None:
    """Leave pause, resume or stop for the daemon's next tick."""
    control.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(control, json.dumps({"command": command}).encode())


class Daemon:
    """Ticks a night until it is over."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.asked = threading.Event()
        self.n_faults = 0
        self.failure: str | None = None
        # Jobs run in the scheduler's own thread: one thread forks, writes and judges.
        self.scheduler = BlockingScheduler(
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
        if self.asked.is_set():
            self.night.stop("asked to by a signal")
        try:
            self.night.tick()
            self.n_faults = 0
        except Exception as error:  # noqa: BLE001 the edge of a tick: record, carry on, give up late
            self.n_faults += 1
            is_told = isinstance(error, UserError)
            self.night.observer.say(str(error) if is_told else traceback.format_exc())
            if self.n_faults >= MAX_FAULTS:
                self.failure = f"gave up after {MAX_FAULTS} faults in a row; the last: {error}"
                self.night.runner.ask_to_stop()
                self.night.is_over = True
        if self.night.is_over:
            # From a thread of its own: shutdown waits for the lock that this job runs under.
            threading.Thread(target=self.scheduler.shutdown, kwargs={"wait": False}).start()
