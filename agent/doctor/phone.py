"""Checks of what keeps a phone alive through a night: locks, limits and sensors."""

import json
import math
from typing import Any

from agent.doctor.probe import Answer, Probe

TERMUX_APP = "com.termux"
WHITELISTS = ("system-excidle", "system", "user")  # first field of a line of dumpsys
PHANTOMS = 32  # child processes that Android 12 allows all apps together, unless it is told
FIRST_SDK_WITH_PHANTOMS = 31  # Android 12
BATTERY_SETTING = "Android's settings > Apps > Termux > Battery > Unrestricted"
PHANTOM_COMMAND = ("from a computer: adb shell settings put global "
                   "settings_enable_monitor_phantom_procs false")
API_COMMAND = "pkg install termux-api, and install the app Termux:API"
THERMAL, POWER = "/sys/class/thermal", "/sys/class/power_supply"


def wake_lock(probe: Probe) -> Answer:
    """Whether the phone can be kept awake; only its notification tells whether it is."""
    if probe.which("termux-wake-lock") is None:
        return "warn", ("termux-wake-lock is not installed, so Android may freeze the agent "
                        "when the screen is off"), "pkg install termux-tools"
    return "ok", ("termux-wake-lock is installed; it is held while Termux's notification says "
                  "“wake lock held”"), None


def battery_exemption(probe: Probe) -> Answer:
    """Whether Android spares Termux when it saves battery."""
    lines = (probe.ask(["dumpsys", "deviceidle", "whitelist"]) or "").splitlines()
    listed = [fields[1] for fields in (line.strip().split(",") for line in lines)
              if len(fields) == 3 and fields[0] in WHITELISTS]
    if TERMUX_APP in listed:
        return "ok", "Android does not save battery on Termux", None
    if listed:
        return "warn", "Android saves battery on Termux, and may freeze it", BATTERY_SETTING
    return "warn", "Android does not tell whether it saves battery on Termux", BATTERY_SETTING


def phantom_limit(probe: Probe) -> Answer:
    """Whether Android ends child processes beyond a number."""
    sdk = _whole_number(probe.ask(["getprop", "ro.build.version.sdk"]))
    if sdk is not None and sdk < FIRST_SDK_WITH_PHANTOMS:
        return "ok", "this Android has no limit on child processes", None
    monitor = probe.ask(["settings", "get", "global", "settings_enable_monitor_phantom_procs"])
    if monitor is not None and monitor.strip().lower() in ("false", "0"):
        return "ok", "the limit on child processes is switched off", None
    limit = _whole_number(probe.ask(
        ["device_config", "get", "activity_manager", "max_phantom_processes"]))
    if limit is not None and limit > PHANTOMS:
        return "ok", f"Android allows {limit:,} child processes", None
    told = ("the limit on child processes cannot be read; Android's own is "
            f"{PHANTOMS} for all apps together" if limit is None else
            f"Android ends child processes beyond {limit:,}, counted over all apps")
    return "warn", told, PHANTOM_COMMAND


def sensors(probe: Probe) -> Answer:
    """Whether the guard can see battery and heat."""
    batteries, heats = _power_supplies(probe), _thermal_zones(probe)
    mends = None
    if probe.is_termux:
        told, mends = _ask_termux(probe)
        batteries += ["termux-battery-status"] if "percentage" in told else []
        heats += ["termux-battery-status"] if "temperature" in told else []
    has_no_battery = not probe.is_termux and _has_no_battery(probe)
    battery = ("no battery" if has_no_battery else
               f"battery from {', '.join(batteries)}" if batteries else "battery unknown")
    heat = f"heat from {', '.join(heats)}" if heats else "heat unknown"
    if heats and (batteries or has_no_battery):
        return "ok", f"{battery}; {heat}", None
    return "warn", f"{battery}; {heat}: the guard cannot stop for what it does not see", mends


def _power_supplies(probe: Probe) -> list[str]:
    """Batteries whose charge can be read."""
    return [name for name in probe.names(POWER) or []
            if _is_number(probe.read(f"{POWER}/{name}/capacity"), 0, 100)]


def _has_no_battery(probe: Probe) -> bool:
    """Whether the machine says of every power supply that it is something else."""
    supplies = probe.names(POWER)
    kinds = [probe.read(f"{POWER}/{name}/type") for name in supplies or []]
    return supplies is not None and all(
        kind is not None and kind.strip() != "Battery" for kind in kinds)


def _thermal_zones(probe: Probe) -> list[str]:
    """One phrase for the zones that give a temperature, in thousandths of a degree."""
    zones = [name for name in probe.names(THERMAL) or [] if name.startswith("thermal_zone")
             and _is_number(probe.read(f"{THERMAL}/{name}/temp"), -50_000, 200_000)]
    return [f"{len(zones)} thermal zone{'s' if len(zones) > 1 else ''}"] if zones else []


def _ask_termux(probe: Probe) -> tuple[set[str], str]:
    """Which numbers termux-battery-status gives, and what may mend it where it gives none."""
    if probe.which("termux-battery-status") is None:
        return set(), API_COMMAND
    answer: Any = None
    try:
        answer = json.loads(probe.ask(["termux-battery-status"]) or "")
    except (ValueError, RecursionError):
        pass  # nothing, or no JSON
    numbers = {key for key, value in answer.items()
               if isinstance(value, int | float) and not isinstance(value, bool)
               and math.isfinite(value)} if isinstance(answer, dict) else set()
    return numbers, "open the app Termux:API once; termux-battery-status gives no answer of use"


def _whole_number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None


def _is_number(text: str | None, low: float, high: float) -> bool:
    try:
        return low <= float(text or "") <= high
    except ValueError:
        return False
