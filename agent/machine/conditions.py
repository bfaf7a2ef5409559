"""What else than memory a run needs: battery, coolness, disk, the right hour; go or wait, and why.

Whoever waits goes on only with a reserve over the limit, or a run would start and stop all night.
"""

import math
import re
from dataclasses import dataclass

from agent.machine.guard import Word
from agent.machine.machine import MIN_DISK_MB
from agent.machine.sensors import Readings
from engine.errors import UserError

BATTERY_BACK = 5.0  # points over --min-battery before a waiting run goes on
DISK_BACK_MB = 100.0  # free over the least; saving a checkpoint may take as much for a moment
COOLER_C = 3.0  # a waiting run goes on when the battery is so much under --max-heat
DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day, from one local minute to before the other, over midnight or not."""

    opens: int  # minutes since midnight
    closes: int

    def holds(self, minutes: int) -> bool:
        """Whether this minute of the day lies in it."""
        if self.opens < self.closes:
            return self.opens <= minutes < self.closes
        return minutes >= self.opens or minutes < self.closes

    def __str__(self) -> str:
        return f"{hour(self.opens)}-{hour(self.closes)}"


def hour(minutes: int) -> str:
    """22:00 for 1320."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def parse_window(text: str) -> Window:
    """22:00-07:00; 24:00 is midnight."""
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})", text.strip())
    if not match:
        raise UserError(f"'{text}' is not a window of hours; write 22:00-07:00")
    hours_and_minutes = [int(group) for group in match.groups()]
    opens, closes = (_minutes(text, *hours_and_minutes[i:i + 2]) for i in (0, 2))
    if opens == closes:
        raise UserError(f"the window {text} ends where it begins; leave it out to work at all "
                        "hours, or write 22:00-07:00")
    return Window(opens, closes)


def _minutes(text: str, hours: int, minutes: int) -> int:
    if minutes > 59 or hours * 60 + minutes > DAY_MINUTES:
        raise UserError(f"{hours}:{minutes:02} in the window {text} is no time of day; write "
                        "00:00 to 24:00")
    return (hours * 60 + minutes) % DAY_MINUTES


@dataclass(frozen=True, slots=True)
class Heat:
    """A run stops at the one and goes on at the other, in °C."""

    stop_c: float
    go_c: float

    def __post_init__(self) -> None:
        if not self.go_c < self.stop_c:
            raise UserError(f"a run that stops at {self.stop_c:g} °C cannot go on at "
                            f"{self.go_c:g} °C; the second must be the lower")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a night asks of the machine it runs on."""

    min_battery: float = 30.0  # percent, unless it charges; 0 is no limit
    stop_c: float = 40.0  # of the battery; BOINC's limit too
    thermal: Heat = Heat(75.0, 65.0)  # of the zones, where the battery is silent
    min_disk_mb: float = MIN_DISK_MB
    window: Window | None = None  # None is all hours
    only_charging: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_battery <= 100:
            raise UserError(f"--min-battery {self.min_battery:g} is no percentage; write 0 to 100")
        if not self.min_disk_mb >= 0:
            raise UserError(f"{self.min_disk_mb:g} MB cannot be the least free disk; write 0 or "
                            "more")
        if not math.isfinite(self.stop_c):
            raise UserError(f"--max-heat {self.stop_c:g} is no temperature; write degrees, such "
                            "as 40")

    @property
    def battery(self) -> Heat:
        """The limits of the battery's heat."""
        return Heat(self.stop_c, self.stop_c - COOLER_C)


@dataclass(frozen=True, slots=True)
class Guard:
    """The limits of a night, put into words on each reading. It keeps nothing between calls."""

    limits: Limits

    def word(self, readings: Readings, now_local_minutes: int, is_waiting: bool) -> Word:
        """Go or wait; what is unknown does not stop a run.

        now_local_minutes since midnight; is_waiting: whether the last word was to wait.
        """
        found = {"heat": self._heat(readings, is_waiting),
                 "battery": self._battery(readings, is_waiting),
                 "charging": self._charging(readings),
                 "disk": self._disk(readings, is_waiting),
                 "window": self._window(now_local_minutes)}
        stops = {cause: reason for cause, reason in found.items() if reason}
        if stops:
            return Word(False, "; and ".join(stops.values()), may_pass=True,
                        cause=", ".join(stops))
        return Word(True, in_words(readings))

    def warnings(self, readings: Readings) -> list[str]:
        """Limits that cannot be held because their sensor is silent; to be said once."""
        limits, found = self.limits, []
        if readings.battery_percent is None and limits.min_battery > 0:
            found.append("the battery's charge cannot be read: --min-battery "
                         f"{limits.min_battery:g} stops nothing; on a phone, install Termux:API")
        if readings.is_charging is None and limits.only_charging:
            found.append("whether it charges cannot be read: --only-charging stops nothing; on a "
                         "phone, install Termux:API")
        if readings.battery_c is None and readings.thermal_c is None:
            found.append("no temperature can be read: heat stops nothing; on a phone, install "
                         "Termux:API")
        if readings.disk_free_mb is None and limits.min_disk_mb > 0:
            found.append("free disk cannot be read: a disk that fills up stops nothing")
        return found

    def _heat(self, readings: Readings, is_waiting: bool) -> str | None:
        limits = self.limits
        if readings.battery_c is not None:
            what, now_c, heat = "battery", readings.battery_c, limits.battery
        elif readings.thermal_c is not None:
            what, now_c, heat = "hottest thermal zone", readings.thermal_c, limits.thermal
        else:
            return None
        if now_c >= heat.stop_c:
            return (f"{what} at {now_c:.1f} °C, and the limit is {heat.stop_c:g} °C; goes on at "
                    f"{heat.go_c:g} °C")
        if is_waiting and now_c > heat.go_c:
            return (f"{what} at {now_c:.1f} °C, under the limit of {heat.stop_c:g} °C but still "
                    f"warm; goes on at {heat.go_c:g} °C")
        return None

    def _battery(self, readings: Readings, is_waiting: bool) -> str | None:
        percent, least = readings.battery_percent, self.limits.min_battery
        back = min(100.0, least + BATTERY_BACK)
        if percent is None or least == 0 or readings.is_charging:
            return None
        if percent >= (back if is_waiting else least):
            return None
        side = "under" if percent < least else "too little over"
        charge = "not charging" if readings.is_charging is False else "not known to charge"
        return (f"battery at {percent:g} %, {side} --min-battery {least:g} and {charge}; goes on "
                f"when it charges or is back at {back:g} %")

    def _charging(self, readings: Readings) -> str | None:
        if self.limits.only_charging and readings.is_charging is False:
            return "not charging, which --only-charging asks for; goes on when it charges"
        return None

    def _disk(self, readings: Readings, is_waiting: bool) -> str | None:
        free, least = readings.disk_free_mb, self.limits.min_disk_mb
        back = least + DISK_BACK_MB
        if free is None or least == 0 or free >= (back if is_waiting else least):
            return None
        side = "under" if free < least else "too little over"
        return (f"{int(free):,} MB of disk free, {side} the least of {least:,.0f} MB; goes on "
                f"when {back:,.0f} MB are free")

    def _window(self, minutes: int) -> str | None:
        window = self.limits.window
        if window is None or window.holds(minutes):
            return None
        return f"it is {hour(minutes)}, outside --window {window}; goes on at {hour(window.opens)}"


def in_words(readings: Readings) -> str:
    """battery 80 % and charging, 31.0 °C; 12,345 MB of disk free."""
    battery = ("charge unknown" if readings.battery_percent is None
               else f"{readings.battery_percent:g} %")
    charging = {True: " and charging", False: " and not charging", None: ""}
    if readings.battery_c is not None:
        heat = f"{readings.battery_c:.1f} °C"
    elif readings.thermal_c is not None:
        heat = f"thermal zones up to {readings.thermal_c:.1f} °C"
    else:
        heat = "heat unknown"
    disk = ("free disk unknown" if readings.disk_free_mb is None
            else f"{int(readings.disk_free_mb):,} MB of disk free")
    return f"battery {battery}{charging[readings.is_charging]}, {heat}; {disk}"
