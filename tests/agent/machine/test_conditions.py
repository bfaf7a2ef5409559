"""The guard's words on battery, heat, disk and hours: each says the reading and the limit."""

from dataclasses import replace

import pytest

from agent.machine.conditions import Guard, Heat, Limits, Window, in_words, parse_window
from agent.machine.sensors import Readings
from engine.errors import UserError

FINE = Readings(battery_percent=80.0, is_charging=False, battery_c=31.0, thermal_c=48.0,
                disk_free_mb=12345.6)
NOON = 12 * 60


def word(limits: Limits = Limits(), is_waiting: bool = False, minutes: int = NOON,  # noqa: B008 frozen
         **changes: object):
    return Guard(limits).word(replace(FINE, **changes), minutes, is_waiting)


def test_a_machine_within_its_limits_goes_and_says_its_readings() -> None:
    found = word()
    assert (found.is_go, found.cause) == (True, "")
    assert found.reason == "battery 80 % and not charging, 31.0 °C; 12,345 MB of disk free"


def test_what_is_unknown_does_not_stop_a_run() -> None:
    limits = Limits(only_charging=True)
    for is_waiting in (False, True):
        found = Guard(limits).word(Readings(), NOON, is_waiting)
        assert (found.is_go, found.reason) == (
            True, "battery charge unknown, heat unknown; free disk unknown")


# --- battery ---------------------------------------------------------------------------------


def test_a_low_battery_stops_a_run_and_says_when_it_goes_on() -> None:
    found = word(battery_percent=24.0)
    assert (found.is_go, found.may_pass, found.cause) == (False, True, "battery")
    assert found.reason == ("battery at 24 %, under --min-battery 30 and not charging; goes on "
                            "when it charges or is back at 35 %")


def test_a_waiting_run_goes_on_5_points_over_the_least() -> None:
    found = word(battery_percent=34.0, is_waiting=True)
    assert found.reason == ("battery at 34 %, too little over --min-battery 30 and not charging; "
                            "goes on when it charges or is back at 35 %")
    assert word(battery_percent=35.0, is_waiting=True).is_go


@pytest.mark.parametrize(("percent", "is_go"), [(29.0, False), (30.0, True), (34.0, True)])
def test_a_running_one_stops_only_under_the_least(percent: float, is_go: bool) -> None:
    assert word(battery_percent=percent).is_go is is_go


def test_a_charging_battery_may_be_as_low_as_it_is() -> None:
    assert word(battery_percent=3.0, is_charging=True).is_go
    assert word(battery_percent=3.0, is_charging=True, is_waiting=True).is_go


def test_a_low_battery_that_is_not_known_to_charge_stops_a_run() -> None:
    assert "and not known to charge;" in word(battery_percent=24.0, is_charging=None).reason


def test_the_way_back_is_never_over_100_percent() -> None:
    limits = Limits(min_battery=98)
    assert "back at 100 %" in word(limits, battery_percent=97.0).reason
    assert word(limits, battery_percent=100.0, is_waiting=True).is_go


def test_a_least_of_zero_is_no_limit() -> None:
    assert word(Limits(min_battery=0), battery_percent=2.0, is_waiting=True).is_go


@pytest.mark.parametrize("least", [-1.0, 101.0, float("nan")])
def test_a_least_battery_that_is_no_percentage_is_refused(least: float) -> None:
    with pytest.raises(UserError, match=rf"--min-battery {least:g} is no percentage; write 0 to"):
        Limits(min_battery=least)


# --- heat ------------------------------------------------------------------------------------


def test_a_hot_battery_stops_a_run() -> None:
    found = word(battery_c=40.0)
    assert (found.is_go, found.may_pass, found.cause) == (False, True, "heat")
    assert found.reason == "battery at 40.0 °C, and the limit is 40 °C; goes on at 37 °C"


def test_heat_stops_at_the_upper_and_goes_on_at_the_lower_limit() -> None:
    assert word(battery_c=39.9).is_go
    found = word(battery_c=37.1, is_waiting=True)
    assert found.reason == ("battery at 37.1 °C, under the limit of 40 °C but still warm; goes "
                            "on at 37 °C")
    assert word(battery_c=37.0, is_waiting=True).is_go


def test_charging_does_not_excuse_heat() -> None:
    assert not word(battery_c=41.0, is_charging=True).is_go


def test_thermal_zones_speak_only_where_the_battery_is_silent() -> None:
    assert word(thermal_c=90.0).is_go
    found = word(thermal_c=75.0, battery_c=None)
    assert found.reason == ("hottest thermal zone at 75.0 °C, and the limit is 75 °C; goes on at "
                            "65 °C")
    assert word(thermal_c=74.9, battery_c=None).is_go
    assert not word(thermal_c=65.1, battery_c=None, is_waiting=True).is_go
    assert word(thermal_c=65.0, battery_c=None, is_waiting=True).is_go


def test_limits_of_heat_are_the_night_s_own() -> None:
    limits = Limits(stop_c=45.0, thermal=Heat(60.0, 50.0))
    assert word(limits, battery_c=44.0).is_go
    assert "the limit is 45 °C; goes on at 42 °C" in word(limits, battery_c=45.5).reason
    assert not word(limits, battery_c=42.1, is_waiting=True).is_go
    assert word(limits, battery_c=42.0, is_waiting=True).is_go
    assert not word(limits, battery_c=None, thermal_c=60.0).is_go


@pytest.mark.parametrize(("stop_c", "go_c"), [(36.0, 37.0), (37.0, 37.0)])
def test_a_way_back_that_is_not_cooler_is_refused(stop_c: float, go_c: float) -> None:
    with pytest.raises(UserError) as caught:
        Heat(stop_c, go_c)
    assert str(caught.value) == (f"a run that stops at {stop_c:g} °C cannot go on at {go_c:g} °C; "
                                 "the second must be the lower")


@pytest.mark.parametrize("stop_c", [float("nan"), float("inf")])
def test_a_limit_of_heat_that_is_no_temperature_is_refused(stop_c: float) -> None:
    with pytest.raises(UserError, match=f"^--max-heat {stop_c:g} is no temperature; write degr"):
        Limits(stop_c=stop_c)


# --- disk ------------------------------------------------------------------------------------


def test_a_full_disk_stops_a_run() -> None:
    found = word(disk_free_mb=199.9)
    assert (found.is_go, found.may_pass, found.cause) == (False, True, "disk")
    assert found.reason == ("199 MB of disk free, under the least of 200 MB; goes on when 300 MB "
                            "are free")


def test_a_waiting_run_goes_on_when_the_disk_has_room_for_a_checkpoint_too() -> None:
    assert word(disk_free_mb=200.0).is_go
    assert word(disk_free_mb=299.0, is_waiting=True).reason == (
        "299 MB of disk free, too little over the least of 200 MB; goes on when 300 MB are free")
    assert word(disk_free_mb=300.0, is_waiting=True).is_go


def test_a_least_disk_of_zero_is_no_limit() -> None:
    assert word(Limits(min_disk_mb=0), disk_free_mb=1.0, is_waiting=True).is_go


def test_a_least_disk_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="^-1 MB cannot be the least free disk; write 0 or more$"):
        Limits(min_disk_mb=-1)


# --- charging and hours ----------------------------------------------------------------------


def test_only_charging_waits_for_the_plug() -> None:
    found = word(Limits(only_charging=True))
    assert (found.is_go, found.may_pass, found.cause) == (False, True, "charging")
    assert found.reason == "not charging, which --only-charging asks for; goes on when it charges"
    assert word(Limits(only_charging=True), is_charging=True).is_go


def test_outside_its_window_a_run_waits() -> None:
    found = word(Limits(window=parse_window("22:00-07:00")), minutes=7 * 60 + 5)
    assert (found.is_go, found.may_pass, found.cause) == (False, True, "window")
    assert found.reason == "it is 07:05, outside --window 22:00-07:00; goes on at 22:00"


@pytest.mark.parametrize(("text", "inside", "outside"), [
    ("22:00-07:00", ["22:00", "23:59", "00:00", "06:59"], ["07:00", "12:00", "21:59"]),
    ("09:30-17:15", ["09:30", "17:14"], ["09:29", "17:15", "00:00"]),
    ("22:00-24:00", ["22:00", "23:59"], ["00:00", "21:59"]),
    ("00:00-06:00", ["00:00", "05:59"], ["06:00", "23:59"])])
def test_a_window_holds_its_first_minute_and_not_its_last(
        text: str, inside: list[str], outside: list[str]) -> None:
    window = parse_window(text)
    assert [window.holds(_minutes(at)) for at in inside] == [True] * len(inside)
    assert [window.holds(_minutes(at)) for at in outside] == [False] * len(outside)


def _minutes(at: str) -> int:
    return int(at[:2]) * 60 + int(at[3:])


def test_a_window_is_read_and_written_as_people_write_it() -> None:
    assert parse_window(" 8:05 - 17:00 ") == Window(485, 1020)
    assert str(parse_window("8:05-24:00")) == "08:05-00:00"


@pytest.mark.parametrize("text", ["", "22-7", "22:00", "22:00-", "22:0-07:00", "a22:00-07:00",
                                  "22:00-07:00,12:00-13:00", "-1:00-07:00", "٢٢:00-07:00"])
def test_what_is_no_window_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_window(text)
    assert str(caught.value) == f"'{text}' is not a window of hours; write 22:00-07:00"


@pytest.mark.parametrize(("text", "wrong"), [
    ("24:01-07:00", "24:01"), ("22:00-25:00", "25:00"), ("22:60-07:00", "22:60")])
def test_a_time_that_no_day_has_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_window(text)
    assert str(caught.value) == (
        f"{wrong} in the window {text} is no time of day; write 00:00 to 24:00")


@pytest.mark.parametrize("text", ["22:00-22:00", "00:00-24:00"])
def test_a_window_with_equal_ends_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_window(text)
    assert str(caught.value) == (f"the window {text} ends where it begins; leave it out to work "
                                 "at all hours, or write 22:00-07:00")


# --- several at once, and what is said once --------------------------------------------------


def test_all_that_is_in_the_way_is_named() -> None:
    found = word(battery_percent=20.0, battery_c=44.0, disk_free_mb=10.0)
    assert found.cause == "heat, battery, disk"
    assert found.reason == (
        "battery at 44.0 °C, and the limit is 40 °C; goes on at 37 °C; and battery at 20 %, under "
        "--min-battery 30 and not charging; goes on when it charges or is back at 35 %; and "
        "10 MB of disk free, under the least of 200 MB; goes on when 300 MB are free")


def test_the_cause_stays_while_the_reading_changes() -> None:
    first, second = word(battery_percent=24.0), word(battery_percent=23.0, is_waiting=True)
    assert first.reason != second.reason
    assert first.cause == second.cause


def test_a_night_of_heat_stops_and_goes_once_each_way() -> None:
    is_waiting, said = False, []
    for degrees in (36.0, 39.5, 40.5, 39.0, 38.0, 37.5, 36.9, 38.0, 39.9, 40.0):
        is_waiting = not word(battery_c=degrees, is_waiting=is_waiting).is_go
        said.append(is_waiting)
    assert said == [False, False, True, True, True, True, False, False, False, True]


def test_a_machine_with_all_sensors_needs_no_warning() -> None:
    assert Guard(Limits(only_charging=True)).warnings(FINE) == []


def test_silent_sensors_are_warned_of_with_what_they_leave_open() -> None:
    assert Guard(Limits(only_charging=True)).warnings(Readings()) == [
        "the battery's charge cannot be read: --min-battery 30 stops nothing; on a phone, "
        "install Termux:API",
        "whether it charges cannot be read: --only-charging stops nothing; on a phone, install "
        "Termux:API",
        "no temperature can be read: heat stops nothing; on a phone, install Termux:API",
        "free disk cannot be read: a disk that fills up stops nothing"]


def test_limits_that_were_not_asked_for_are_not_warned_of() -> None:
    limits = Limits(min_battery=0, min_disk_mb=0)
    assert Guard(limits).warnings(replace(Readings(), thermal_c=50.0)) == []


@pytest.mark.parametrize(("changes", "expected"), [
    ({"is_charging": True}, "battery 80 % and charging, 31.0 °C"),
    ({"is_charging": None}, "battery 80 %, 31.0 °C"),
    ({"battery_c": None}, "battery 80 % and not charging, thermal zones up to 48.0 °C")])
def test_readings_in_words(changes: dict[str, object], expected: str) -> None:
    assert in_words(replace(FINE, **changes)) == expected + "; 12,345 MB of disk free"
