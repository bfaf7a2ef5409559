"""The alarm clock around a night: scheduler and signals."""

import datetime as dt
import json
import os
import signal
import threading
import traceback
from pathlib import Path
from types import FrameType

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger

from agent.bulletin import Bulletin
from agent.clock import Clock
from agent.conditions import DAY_MINUTES, Window
from agent.night import Night
from engine.errors import UserError
from engine.files import write_atomically

TICK_S = 0.5
IDLE_TICK_S = 5.0  # while the night waits and nothing runs: to spare the battery
MAX_FAULTS = 5  # ticks in a row that may fail before the daemon gives up
KILLED = 128  # exit status of a process ended by signal N is 128 + N


def send_command(control: Path, command: str) -> None:
    """Leave pause, resume or stop for the daemon's next tick."""
    control.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(control, json.dumps({"command": command}).encode())


def minutes_east(clock: Clock) -> int:
    """How far local time is ahead of UTC, round the clock; no zone is off a quarter of an hour."""
    stamp = clock.stamp()
    utc = 60 * int(stamp[11:13]) + int(stamp[14:16])
    return round((clock.local_minutes() - utc) / 15) * 15 % DAY_MINUTES


def edges(window: Window, east: int) -> dict[str, CronTrigger]:
    """Triggers at the local minutes where a window opens and closes, `east` minutes ahead of UTC.

    Termux has no zoneinfo files, so a trigger cannot know the device's own zone.
    """
    return {name: CronTrigger(hour=minute // 60, minute=minute % 60, timezone="UTC")
            for name, minute in (("opens", (window.opens - east) % DAY_MINUTES),
                                 ("closes", (window.closes - east) % DAY_MINUTES))}


class Alarm(BlockingScheduler):  # type: ignore[misc]  # APScheduler comes without types
    """A scheduler that ticks on when the clock is set back.

    APScheduler waits for a time of day: with the clock a day back, a tick would be a day late.
    """

    def _process_jobs(self) -> float | None:
        wait_s: float | None = super()._process_jobs()
        tick, now = self.get_job("tick"), dt.datetime.now(dt.UTC)
        if tick is None or tick.next_run_time <= now + dt.timedelta(seconds=IDLE_TICK_S):
            return wait_s
        tick.modify(next_run_time=now)
        return 0.0


class Daemon:
    """Ticks a night until it is over.

    Each tick looks at the hour itself, so no change of the clock can leave a window wrong. The
    triggers at its edges let an idle daemon tick seldom and still begin on the minute.
    """

    def __init__(self, night: Night) -> None:
        self.night = night
        self.asked = threading.Event()
        self.n_faults = 0
        self.failure: str | None = None
        self.bulletin = Bulletin(night.home.guard, night.clock)
        self._pace_s = TICK_S
        self._east: int | None = None  # of the triggers that are set
        # Jobs run in the scheduler's own thread: one thread forks, writes and judges.
        self.scheduler = Alarm(
            timezone="UTC", executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})

    def run(self) -> None:
        """Block until the night is over; UserError where too many ticks in a row failed."""
        self.scheduler.add_job(self._tick, "interval", seconds=TICK_S, timezone="UTC",
                               id="tick")
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
            self.bulletin.post(self.night)
            self._set_alarms()
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

    def _set_alarms(self) -> None:
        """The pace of the ticks, and the edges of the window where local time has moved."""
        night, watch = self.night, self.night.watch
        if night.is_over:
            return  # the scheduler may be going already
        is_idle = night.runner.trial is None and (
            night.is_paused or (watch is not None and watch.is_waiting))
        pace_s = IDLE_TICK_S if is_idle else TICK_S
        if pace_s != self._pace_s:
            self.scheduler.reschedule_job("tick", trigger="interval", seconds=pace_s,
                                          timezone="UTC")
            self._pace_s = pace_s
        window, east = watch.window if watch else None, minutes_east(night.clock)
        if window and east != self._east:
            for name, trigger in edges(window, east).items():
                self.scheduler.add_job(self._tick, trigger, id=name, replace_existing=True)
            self._east = east
