"""`agent doctor` on a phone: wake lock, Android's limits, and what the guard can see."""

import pytest

from agent.doctor import phone as doctor_phone
from agent.doctor.probe import Answer
from tests.support.example_machine import TERMUX, machine

WHITELIST = "dumpsys deviceidle whitelist"
SDK = "getprop ro.build.version.sdk"
MONITOR = "settings get global settings_enable_monitor_phantom_procs"
LIMIT = "device_config get activity_manager max_phantom_processes"
BATTERY = "/sys/class/power_supply/BAT0"
ZONE = "/sys/class/thermal/thermal_zone"
UNSEEN = ": the guard cannot stop for what it does not see"
NO_ANSWER = "open the app Termux:API once; termux-battery-status gives no answer of use"


def test_wake_lock_says_where_to_look() -> None:
    assert doctor_phone.wake_lock(machine({}, {"termux-wake-lock": ""})) == (
        "ok", "termux-wake-lock is installed; it is held while Termux's notification says "
        "“wake lock held”", None)
    assert doctor_phone.wake_lock(machine()) == (
        "warn", "termux-wake-lock is not installed, so Android may freeze the agent when the "
        "screen is off", "pkg install termux-tools")


@pytest.mark.parametrize(("said", "verdict", "finding"), [
    ("system,com.android.shell,2000\nuser,com.termux,10234\n", "ok",
     "Android does not save battery on Termux"),
    ("system,com.android.shell,2000\nuser,com.termux.api,10235\n", "warn",
     "Android saves battery on Termux, and may freeze it"),
    *((text, "warn", "Android does not tell whether it saves battery on Termux") for text in (
        "", "a,b,c", "Permission Denial: can't dump deviceidle from pid=1, uid=2, com.termux"))])
def test_battery_exemption(said: str, verdict: str, finding: str) -> None:
    assert doctor_phone.battery_exemption(machine({}, {WHITELIST: said})) == (
        verdict, finding, None if verdict == "ok" else
        "Android's settings > Apps > Termux > Battery > Unrestricted")


def test_battery_exemption_is_unknown_where_nothing_answers() -> None:
    assert doctor_phone.battery_exemption(machine())[1] == (
        "Android does not tell whether it saves battery on Termux")


@pytest.mark.parametrize(("answers", "verdict", "finding"), [
    ({SDK: "30\n"}, "ok", "this Android has no limit on child processes"),
    ({SDK: "34", MONITOR: "false\n"}, "ok", "the limit on child processes is switched off"),
    ({MONITOR: "0"}, "ok", "the limit on child processes is switched off"),
    ({MONITOR: "null", LIMIT: "2147483647\n"}, "ok",
     "Android allows 2,147,483,647 child processes"),
    ({SDK: "31", MONITOR: "true", LIMIT: "32"}, "warn",
     "Android ends child processes beyond 32, counted over all apps"),
    *((answers, "warn", "the limit on child processes cannot be read; Android's own is 32 for all "
                        "apps together")
      for answers in ({}, {SDK: "34", MONITOR: "null", LIMIT: "null"}, {LIMIT: "-5"},
                      {SDK: "3" * 5000, MONITOR: "cmd: Failure calling service settings"}))])
def test_phantom_limit(answers: dict[str, str], verdict: str, finding: str) -> None:
    assert doctor_phone.phantom_limit(machine({}, answers)) == (
        verdict, finding, None if verdict == "ok" else
        "from a computer: adb shell settings put global "
        "settings_enable_monitor_phantom_procs false")


@pytest.mark.parametrize(("files", "answer"), [
    ({f"{BATTERY}/capacity": "88\n", f"{ZONE}0/temp": "41000\n"},
     ("ok", "battery from BAT0; heat from 1 thermal zone", None)),
    ({"/sys/class/power_supply/AC/type": "Mains\n", f"{ZONE}0/temp": "1", f"{ZONE}1/temp": "2",
      f"{ZONE}2/temp": "nonsense", "/sys/class/thermal/cooling_device0/temp": "1"},
     ("ok", "no battery; heat from 2 thermal zones", None)),
    ({f"{BATTERY}/capacity": "250", f"{BATTERY}/type": "Battery"},
     ("warn", f"battery unknown; heat unknown{UNSEEN}", None)),
    ({}, ("warn", f"battery unknown; heat unknown{UNSEEN}", None))])
def test_sensors_of_a_computer(files: dict[str, str], answer: Answer) -> None:
    assert doctor_phone.sensors(machine(files)) == answer


def test_a_computer_without_power_supplies_has_no_battery() -> None:
    assert doctor_phone.sensors(machine({}, names=lambda _folder: [])) == (
        "warn", f"no battery; heat unknown{UNSEEN}", None)


@pytest.mark.parametrize(("said", "verdict", "finding", "remedy"), [
    ('{"percentage": 80, "temperature": 31.5, "status": "FULL"}', "ok",
     "battery from termux-battery-status; heat from termux-battery-status", None),
    ('{"percentage": 80, "temperature": NaN}', "warn",
     f"battery from termux-battery-status; heat unknown{UNSEEN}", NO_ANSWER),
    *((text, "warn", f"battery unknown; heat unknown{UNSEEN}", NO_ANSWER) for text in (
        "", "no JSON", "[1]", "null", '{"percentage": "80", "temperature": true}',
        "[" * 60_000))], ids=lambda value: str(value)[:40])
def test_sensors_of_a_phone(said: str, verdict: str, finding: str, remedy: str | None) -> None:
    probe = machine({}, {"termux-battery-status": said}, environ=TERMUX)
    assert doctor_phone.sensors(probe) == (verdict, finding, remedy)


def test_a_phone_without_termux_api_is_told_how_to_get_it() -> None:
    assert doctor_phone.sensors(machine({}, environ=TERMUX)) == (
        "warn", f"battery unknown; heat unknown{UNSEEN}",
        "pkg install termux-api, and install the app Termux:API")
