"""The alarm clock around a night: scheduler and signals."""

import datetime as dt
import os
import signal
import threading
import traceback
from types import FrameType

from apscheduler.executors.debug import DebugExecutor
from apscheduler.job import Job
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger

from agent.ledger import BLOCKED
from agent.machine import DAY_MINUTES, Clock, Window
from agent.night import signals
from agent.night.bulletin import Bulletin
from agent.night.herald import Herald
from agent.night.night import Night
from agent.words import Told
from engine.errors import LedgerSwapped, UserError

TICK_S = 0.5
IDLE_TICK_S = 5.0  # while the night waits and nothing runs: to spare the battery
MAX_FAULTS = 5  # ticks in a row that may fail before the daemon gives up
KILLED = 128  # exit status of a process ended by signal N is 128 + N


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


class Jobs(MemoryJobStore):  # type: ignore[misc]  # APScheduler comes without types
    """Jobs whose tick never waits for a time of day that the clock, being set, has moved away.

    APScheduler looks for what is due by the clock. Set back, the next tick would be as late; set
    on, as on a phone that starts in 1970, every tick that was passed over would be counted first.
    """

    def get_due_jobs(self, now: dt.datetime) -> list[Job]:
        self._follow(now)
        found: list[Job] = super().get_due_jobs(now)
        return found

    def get_next_run_time(self) -> dt.datetime | None:
        self._follow(dt.datetime.now(dt.UTC))  # it may have been set while the tick ran
        found: dt.datetime | None = super().get_next_run_time()
        return found

    def _follow(self, now: dt.datetime) -> None:
        tick = self.lookup_job("tick")
        if tick and abs(tick.next_run_time - now) > dt.timedelta(seconds=IDLE_TICK_S):
            tick.modify(next_run_time=now)


class Daemon:
    """Ticks a night until it is over.

    Each tick looks at the hour itself, so no change of the clock can leave a window wrong. The
    triggers at its edges let an idle daemon tick seldom and still begin on the minute.
    """

    def __init__(self, night: Night, asked: threading.Event | None = None,
                 herald: Herald | None = None) -> None:
        self.night, self.herald = night, herald
        self.asked = asked or threading.Event()
        self.why: str | None = None  # it was asked to end
        self._n_asked = 0  # times
        self.n_faults = 0
        self.failure: str | None = None
        self.swapped: LedgerSwapped | None = None
        self.is_waiting = False  # for room on the disk, or for the ledger
        self.bulletin = Bulletin(night.home.guard, night.clock)
        self._is_ending = False
        self._pace_s = TICK_S
        self._east: int | None = None  # of the triggers that are set
        # Jobs run in the scheduler's own thread: one thread forks, writes and judges.
        self.scheduler = BlockingScheduler(
            timezone="UTC", jobstores={"default": Jobs()}, executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})

    def run(self) -> None:
        """Block until the night is over; UserError where too many ticks in a row failed, and
        LedgerSwapped where another file took the ledger's place.
        """
        self.scheduler.add_job(self._tick, "interval", seconds=TICK_S, timezone="UTC",
                               id="tick")
        with signals.taken(self._on_signal):
            self.scheduler.start()
        if self.swapped:
            raise self.swapped
        if self.failure:
            raise UserError(self.failure)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.why = self.why or signals.REASONS[signal.Signals(number)]
        self.asked.set()
        if number == signal.SIGHUP:  # a closing terminal sends two, and SIGTERM may come with it
            return
        self._n_asked += 1
        if self._n_asked > 1:  # asked twice: at once; the worker saves by itself
            signals.say_at_once("\nleft at once; `agent run` goes on from the last checkpoint\n")
            os._exit(KILLED + number)

    def _tick(self) -> None:
        if not self.night.is_over:  # a trigger may be due in the moment of the last tick
            self._tick_night()
        if self.night.is_over and not self._is_ending:
            # From a thread of its own: shutdown waits for the lock that this job runs under.
            threading.Thread(target=self.scheduler.shutdown, kwargs={"wait": False}).start()
            self._is_ending = True  # only now: a device may have no thread to give, this time

    def _tick_night(self) -> None:
        try:
            if self.asked.is_set():
                self.night.stop(self.why or "asked to")
            self.night.tick()
            if not self.swapped:  # else its folder may be another's, or would be made again
                self.bulletin.post(self.night)
                if self.herald:
                    self.herald.look()
            self._set_alarms()
            self._go_on()
        except LedgerSwapped as error:
            self._cast_off(error)
        except BLOCKED as error:
            self._wait(error)
        except Exception as error:  # noqa: BLE001 the edge of a tick: record, carry on, give up late
            self.n_faults += 1
            is_told = isinstance(error, UserError)
            self.night.observer.say(Told(str(error) if is_told else traceback.format_exc(),
                                         level="always"))
            if self.n_faults >= MAX_FAULTS:
                self._give_up(f"gave up after {MAX_FAULTS} faults in a row; the last: {error}")

    def _cast_off(self, error: LedgerSwapped) -> None:
        """Keep what was learnt, then save what runs: its end is still written to the file that was
        opened, which the desk keeps last.
        """
        self.swapped = error
        if self.night.harbour:
            self.night.harbour.secure()
        self.night.stop(str(error))

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
            self.night.observer.say(Told(f"waits: {error}", level="always"))
        if self.night.is_stopping and not self.night.slots.is_computing():
            self._give_up(f"stopped before all was noted: {error}")

    def _give_up(self, why: str) -> None:
        self.failure = why
        self.night.slots.ask_to_stop()
        self.night.is_over = True

    def _set_alarms(self) -> None:
        """The pace of the ticks, and the edges of the window where local time has moved."""
        night, watch = self.night, self.night.watch
        if night.is_over:
            return  # the scheduler may be going already
        is_idle = not night.slots.trials and (
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
