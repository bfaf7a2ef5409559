"""Battery, heat, disk and swap of this machine; what cannot be read is None, never zero.

Android mostly denies the folders under /sys, so the battery is asked through Termux:API. That
command may hang for ever: it is started and looked at later, and nothing here waits for it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

COMMAND = "termux-battery-status"
COMMAND_S = 5.0  # so long it may take; then its process group is killed
COMMAND_EVERY_S = 60.0  # one start of it costs a phone about as much as a training step
FILES_EVERY_S = 10.0  # a phone has up to a hundred thermal zones
OUTPUT_BYTES = 65536  # more than a pipe holds is not an answer
MB = 1e6

# Thermal zones that are none: Qualcomm's current limiter shows mA, mV and percent as millidegrees.
NOT_HEAT = {"bcl", "ibat", "vbat", "vph"}
LEAST_MILLIDEGREES = 1000  # below it is a sensor that is off, or a percentage


@dataclass(frozen=True, slots=True)
class Readings:
    """One look at the machine; None where it would not tell."""

    battery_percent: float | None = None
    is_charging: bool | None = None  # plugged in, and not emptying all the same
    battery_c: float | None = None
    thermal_c: float | None = None  # the hottest thermal zone
    disk_free_mb: float | None = None  # under the home
    swap_free_mb: float | None = None
    battery_age_s: float | None = None  # since the battery's source told


@dataclass(frozen=True, slots=True)
class Battery:
    """What one source says of the battery."""

    percent: float | None = None
    is_charging: bool | None = None
    heat_c: float | None = None


class Command(Protocol):
    """A command that was started as the leader of a process group of its own."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Its exit status; None while it runs. Returns at once."""

    def read(self) -> bytes:
        """What it has written so far, at most OUTPUT_BYTES. Returns at once."""


class Process:
    """A Command of this machine."""

    def __init__(self, path: str) -> None:
        self._process = subprocess.Popen(
            [path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            bufsize=0, start_new_session=True)
        assert self._process.stdout is not None
        self.stdout: IO[bytes] = self._process.stdout
        os.set_blocking(self.stdout.fileno(), False)  # a grandchild may keep the pipe open

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def read(self) -> bytes:
        with self.stdout:
            return self.stdout.read(OUTPUT_BYTES) or b""


class Sensors:
    """The sensors of this machine: poll once a tick; it starts and reads only what is due."""

    def __init__(self, home: Path, *, thermal: Path = Path("/sys/class/thermal"),
                 power: Path = Path("/sys/class/power_supply"),
                 meminfo: Path = Path("/proc/meminfo"),
                 which: Callable[[str], str | None] = shutil.which,
                 start: Callable[[str], Command] = Process,
                 kill: Callable[[int, int], None] = os.killpg) -> None:
        self._home, self._thermal, self._power, self._meminfo = home, thermal, power, meminfo
        self._battery = BatteryCommand(which, start, kill)
        self._files = Readings()
        self._files_due_s: float | None = None
        self._files_read_s = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether every source was heard or given up; before, unknown may only mean too early."""
        return self._battery.is_settled

    def poll(self, now_s: float) -> Readings:
        """The newest readings; of the battery, Termux:API's come before those of /sys."""
        said = self._battery.poll(now_s)
        if self._files_due_s is None or now_s >= self._files_due_s:
            self._files = self._read_files()
            self._files_due_s = now_s + FILES_EVERY_S
            self._files_read_s = now_s
        files = self._files
        percent = files.battery_percent if said.percent is None else said.percent
        is_charging = files.is_charging if said.is_charging is None else said.is_charging
        heat_c = files.battery_c if said.heat_c is None else said.heat_c
        told_s = self._files_read_s if said == Battery() else self._battery.told_s
        is_known = (percent, is_charging, heat_c) != (None, None, None)
        return Readings(percent, is_charging, heat_c, files.thermal_c, files.disk_free_mb,
                        files.swap_free_mb, now_s - told_s if is_known else None)

    def close(self) -> None:
        """Kill what still runs."""
        self._battery.close()

    def _read_files(self) -> Readings:
        battery = supply(self._power)
        return Readings(battery.percent, battery.is_charging, battery.heat_c,
                        hottest_zone(self._thermal), disk_free_mb(self._home),
                        swap_mb(self._meminfo)[0])


class BatteryCommand:
    """Termux:API's word on the battery: asked once a minute, never waited for."""

    def __init__(self, which: Callable[[str], str | None], start: Callable[[str], Command],
                 kill: Callable[[int, int], None]) -> None:
        self._which, self._start, self._kill = which, start, kill
        self._command: Command | None = None
        self._started_s: float | None = None
        self._said = Battery()  # the newest answer as it came
        self._answer = Battery()
        self._is_late = False
        self.told_s = 0.0  # when the answer came that poll gives
        self.is_settled = False

    def poll(self, now_s: float) -> Battery:
        """The last answer; what two in a row did not tell is unknown, after two minutes at most."""
        if self._command is not None:
            self._look(self._command, self._started_s or 0.0, now_s)
        elif self._started_s is None or now_s - self._started_s >= COMMAND_EVERY_S:
            self._begin(now_s)
        return self._answer

    def close(self) -> None:
        """Kill the command where it still runs."""
        if self._command is not None:
            self._end(self._command)

    def _begin(self, now_s: float) -> None:
        self._started_s, self._is_late = now_s, False
        path = self._which(COMMAND)
        try:
            self._command = self._start(path) if path else None
        except OSError:
            self._command = None  # installed and not to be executed
        if self._command is None:
            self._settle(Battery(), now_s)

    def _look(self, command: Command, started_s: float, now_s: float) -> None:
        status = command.poll()
        if status is not None:
            self._command = None
            answer = parse(_output(command))  # read in any case: it closes the pipe
            if not self._is_late:
                self._settle(answer if status == 0 else Battery(), now_s)
        elif now_s - started_s >= COMMAND_S:
            self._end(command)  # again at each tick, until it is gone; no second one till then
            if not self._is_late or now_s - started_s >= COMMAND_EVERY_S:
                self._settle(Battery(), now_s)  # one that will not die fails once a minute too
            self._is_late = True

    def _settle(self, answer: Battery, now_s: float) -> None:
        """Take an answer in. What it leaves out stays as it was once: one failure cools nothing."""
        old = self._said
        self._answer = Battery(old.percent if answer.percent is None else answer.percent,
                               old.is_charging if answer.is_charging is None
                               else answer.is_charging,
                               old.heat_c if answer.heat_c is None else answer.heat_c)
        if answer != Battery():
            self.told_s = now_s
        self._said, self.is_settled = answer, True

    def _end(self, command: Command) -> None:
        try:
            self._kill(command.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it went by itself


def _output(command: Command) -> bytes:
    try:
        return command.read()
    except OSError:
        return b""


def parse(output: bytes) -> Battery:
    """What termux-battery-status printed; unknown where it is no such JSON or keys are missing."""
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return Battery()
    if not isinstance(found, dict) or found.get("present") is False:
        return Battery()
    plugged = str(found.get("plugged", "")).upper()
    is_plugged = True if plugged.startswith("PLUGGED") else (
        False if plugged == "UNPLUGGED" else None)
    return Battery(_percent(found.get("percentage")),
                   _is_charging({str(found.get("status", "")).lower()}, is_plugged),
                   _celsius(_number(found.get("temperature"))))


def supply(root: Path) -> Battery:
    """What /sys/class/power_supply tells; of several batteries the fullest and the hottest."""
    percents, heats, statuses, online = [], [], set(), set()
    for folder in _folders(root, "*"):
        kind = _text(folder / "type")
        if kind in (None, "Battery"):
            if _text(folder / "scope") == "Device":
                continue  # of a mouse or a pen
            percents.append(_percent(_text(folder / "capacity")))
            tenths = _number(_text(folder / "temp"))
            heats.append(_celsius(None if tenths is None else tenths / 10))
            statuses.add((_text(folder / "status") or "").lower())
        elif kind.startswith(("Mains", "USB", "Wireless")):
            online.add(_text(folder / "online"))
    if not statuses:  # no battery: a plug alone says nothing
        return Battery()
    is_plugged = True if "1" in online else False if "0" in online else None
    return Battery(_largest(percents), _is_charging(statuses, is_plugged), _largest(heats))


def _is_charging(statuses: set[str], is_plugged: bool | None) -> bool | None:
    """Emptying is not charging, whatever the plug says; a battery held at its limit is."""
    if "discharging" in statuses:
        return False
    if is_plugged is not None:
        return is_plugged
    return True if statuses & {"charging", "full"} else None


def hottest_zone(root: Path) -> float | None:
    """Degrees of the hottest plausible thermal zone."""
    hottest = None
    for folder in _folders(root, "thermal_zone*"):
        raw = _number(_text(folder / "temp"))
        if raw is None or abs(raw) < LEAST_MILLIDEGREES:
            continue
        here = _celsius(raw / 1000)
        if here is None or (hottest is not None and here <= hottest):
            continue
        kind = _text(folder / "type") or ""  # looked at last: it doubles the files to open
        if not NOT_HEAT & set(re.split(r"[^a-z]+", kind.lower())):
            hottest = here
    return hottest


def disk_free_mb(home: Path) -> float | None:
    """MB that may still be written under the home."""
    try:
        return shutil.disk_usage(home).free / MB
    except OSError:
        return None


def swap_mb(meminfo: Path) -> tuple[float | None, float | None]:
    """MB of swap: free, and in all. psutil would ask /proc/vmstat too, which Android denies."""
    text = _text(meminfo) or ""
    found = [re.search(rf"^{key}:\s+([0-9]+) kB$", text, re.MULTILINE | re.ASCII)
             for key in ("SwapFree", "SwapTotal")]
    free, total = (int(match[1]) * 1024 / MB if match else None for match in found)
    return free, total


def _folders(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


def _number(value: object) -> float | None:
    """A number, also where it comes as text, as Termux:API writes temperatures."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _percent(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 100 else None


def _celsius(degrees: float | None) -> float | None:
    return degrees if degrees is not None and -30 <= degrees <= 120 else None


def _largest(values: list[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
