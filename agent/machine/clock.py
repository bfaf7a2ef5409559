"""The clocks, as an argument: stamps for people, seconds for durations and deadlines."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass


def utc_stamp() -> str:
    """Now as the ledger writes it: "2026-03-24T10:11:12Z"."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def later(stamp: str, seconds: float) -> str:
    """The stamp so many seconds after another."""
    moment = dt.datetime.fromisoformat(stamp) + dt.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def minutes_of_day() -> int:
    """Minutes since local midnight."""
    now = time.localtime()
    return 60 * now.tm_hour + now.tm_min


def boot_seconds() -> float:
    """Seconds since boot, sleep included; the monotonic clock where there is no such clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is; tests hand in their own."""

    stamp: Callable[[], str] = utc_stamp
    seconds: Callable[[], float] = time.monotonic  # stands still while the device sleeps
    local_minutes: Callable[[], int] = minutes_of_day  # since midnight here
    boot: Callable[[], float] = boot_seconds  # does not: for deadlines, and to notice sleep
