"""What cannot be read is None, and no command is ever waited for."""

import json
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.machine import sensors
from agent.machine.sensors import Battery, Process, Readings, Sensors

ANSWER = {"present": True, "health": "GOOD", "percentage": 54, "plugged": "PLUGGED_AC",
          "status": "CHARGING", "temperature": 31.4, "current": 210000}


class FakeCommand:
    """A command whose end the test decides."""

    pid = 4711

    def __init__(self, output: bytes = b"", status: int | None = 0) -> None:
        self.output, self.status, self.n_reads = output, status, 0

    def poll(self) -> int | None:
        return self.status

    def read(self) -> bytes:
        self.n_reads += 1
        return self.output


class Starter:
    """Starts the given commands, the last one again and again; notes what was asked of it."""

    def __init__(self, *commands: FakeCommand) -> None:
        self.commands, self.started = list(commands), []
        self.killed: list[tuple[int, int]] = []

    def start(self, path: str) -> FakeCommand:
        self.started.append(path)
        return self.commands.pop(0) if len(self.commands) > 1 else self.commands[0]

    def kill(self, pid: int, number: int) -> None:
        self.killed.append((pid, number))


def answering(**changes: object) -> FakeCommand:
    return FakeCommand(json.dumps({**ANSWER, **changes}).encode())


def sensors_of(root: Path, starter: Starter | None = None, **changes: object) -> Sensors:
    found = starter or Starter(FakeCommand())
    given = {"thermal": root / "thermal", "power": root / "power", "meminfo": root / "meminfo",
             "which": lambda name: f"/bin/{name}" if starter else None,
             "start": found.start, "kill": found.kill}
    return Sensors(root, **{**given, **changes})


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")


# --- the command -----------------------------------------------------------------------------


def test_the_command_is_started_at_one_tick_and_its_answer_read_at_a_later_one(
        tmp_path: Path) -> None:
    starter = Starter(answering())
    found = sensors_of(tmp_path, starter)
    first = found.poll(100.0)
    assert (first.battery_percent, first.is_charging, first.battery_c) == (None, None, None)
    assert not found.is_settled
    second = found.poll(100.5)
    assert (second.battery_percent, second.is_charging, second.battery_c) == (54.0, True, 31.4)
    assert found.is_settled
    assert starter.started == ["/bin/termux-battery-status"]


def test_an_answer_is_kept_for_60_s_and_while_the_next_is_awaited(tmp_path: Path) -> None:
    slow = FakeCommand(status=None)
    starter = Starter(answering(percentage=54), slow)
    found = sensors_of(tmp_path, starter)
    found.poll(0.0)
    found.poll(0.5)
    assert found.poll(59.9).battery_percent == 54.0
    assert len(starter.started) == 1
    assert found.poll(60.0).battery_percent == 54.0
    assert len(starter.started) == 2
    assert found.poll(63.0).battery_percent == 54.0
    slow.output, slow.status = json.dumps({**ANSWER, "percentage": 53}).encode(), 0
    assert found.poll(63.5).battery_percent == 53.0


def test_a_command_that_hangs_is_killed_as_a_group_after_5_s(tmp_path: Path) -> None:
    starter = Starter(FakeCommand(status=None))
    found = sensors_of(tmp_path, starter)
    found.poll(0.0)
    found.poll(4.9)
    assert (starter.killed, found.is_settled) == ([], False)
    assert found.poll(5.0).battery_percent is None
    assert (starter.killed, found.is_settled) == ([(4711, signal.SIGKILL)], True)


def test_a_killed_command_is_reaped_and_tried_again_60_s_after_its_start(tmp_path: Path) -> None:
    hanging = FakeCommand(status=None)
    starter = Starter(hanging, answering())
    found = sensors_of(tmp_path, starter)
    found.poll(0.0)
    found.poll(5.0)
    hanging.status = -9
    found.poll(5.5)
    assert hanging.n_reads == 1  # which closes its pipe
    found.poll(59.0)
    assert len(starter.started) == 1
    found.poll(60.0)
    assert found.poll(60.5).battery_percent == 54.0
    assert len(starter.killed) == 1


def test_no_second_command_is_started_beside_one_that_will_not_die(tmp_path: Path) -> None:
    starter = Starter(FakeCommand(status=None))
    found = sensors_of(tmp_path, starter)
    for now_s in (0.0, 5.0, 60.0, 120.0):
        found.poll(now_s)
    assert len(starter.started) == 1
    assert len(starter.killed) == 3


def failing() -> FakeCommand:
    return FakeCommand(status=1)


def hanging() -> FakeCommand:
    return FakeCommand(status=None)


@pytest.mark.parametrize("failure", [failing, hanging, lambda: FakeCommand(b"{half")])
def test_an_answer_is_kept_through_one_failure(
        tmp_path: Path, failure: Callable[[], FakeCommand]) -> None:
    found = sensors_of(tmp_path, Starter(answering(temperature=41.5), failure()))
    for now_s in (0.0, 0.5, 60.0, 60.5, 65.0):
        found.poll(now_s)
    kept = found.poll(119.0)
    assert (kept.battery_percent, kept.is_charging, kept.battery_c) == (54.0, True, 41.5)
    assert kept.battery_age_s == 118.5


@pytest.mark.parametrize(("first", "second"), [(failing, failing), (failing, hanging)])
def test_after_the_second_failure_in_a_row_it_is_unknown(
        tmp_path: Path, first: Callable[[], FakeCommand], second: Callable[[], FakeCommand],
) -> None:
    found = sensors_of(tmp_path, Starter(answering(), first(), second()))
    for now_s in (0.0, 0.5, 60.0, 60.5, 120.0):
        found.poll(now_s)
    unknown = found.poll(125.0)
    assert (unknown.battery_percent, unknown.battery_c, unknown.battery_age_s) == (
        None, None, None)


def test_a_command_that_hangs_and_is_reaped_has_failed_once(tmp_path: Path) -> None:
    late = hanging()
    found = sensors_of(tmp_path, Starter(answering(), late))
    for now_s in (0.0, 0.5, 60.0, 65.0, 65.5):
        found.poll(now_s)
    late.status = -9
    assert found.poll(66.0).battery_percent == 54.0


def test_a_command_that_will_not_die_fails_once_a_minute(tmp_path: Path) -> None:
    found = sensors_of(tmp_path, Starter(answering(), hanging()))
    for now_s in (0.0, 0.5, 60.0, 65.0):
        found.poll(now_s)
    assert found.poll(119.9).battery_percent == 54.0
    assert found.poll(120.0).battery_percent is None


def test_failures_with_an_answer_between_them_do_not_add_up(tmp_path: Path) -> None:
    found = sensors_of(tmp_path, Starter(answering(), failing(), answering(percentage=53),
                                         failing()))
    for now_s in (0.0, 0.5, 60.0, 60.5, 120.0, 120.5, 180.0):
        found.poll(now_s)
    assert found.poll(180.5).battery_percent == 53.0


def test_a_key_that_is_missing_once_is_kept_and_twice_unknown(tmp_path: Path) -> None:
    found = sensors_of(tmp_path, Starter(answering(temperature=39.9),
                                         answering(percentage=53, temperature=None)))
    for now_s in (0.0, 0.5, 60.0):
        found.poll(now_s)
    once = found.poll(60.5)
    assert (once.battery_percent, once.battery_c, once.battery_age_s) == (53.0, 39.9, 0.0)
    found.poll(120.0)
    assert found.poll(120.5).battery_c is None


def test_the_age_of_a_battery_under_sys_is_that_of_the_look(tmp_path: Path) -> None:
    write(tmp_path / "power/battery", type="Battery", capacity="71")
    found = sensors_of(tmp_path)
    assert found.poll(100.0).battery_age_s == 0.0
    assert found.poll(107.0).battery_age_s == 7.0


def test_an_answer_after_a_long_gap_between_ticks_still_counts(tmp_path: Path) -> None:
    starter = Starter(answering())
    found = sensors_of(tmp_path, starter)
    found.poll(0.0)
    assert found.poll(30.0).battery_percent == 54.0
    assert starter.killed == []


def test_a_command_that_fails_has_said_nothing(tmp_path: Path) -> None:
    failing = answering()
    failing.status = 1
    found = sensors_of(tmp_path, Starter(failing))
    found.poll(0.0)
    assert found.poll(0.5).battery_percent is None
    assert found.is_settled


def test_without_the_command_nothing_is_started_and_nothing_awaited(tmp_path: Path) -> None:
    starter = Starter(FakeCommand())
    found = sensors_of(tmp_path, starter, which=lambda name: None)
    assert found.poll(0.0).battery_percent is None
    assert found.is_settled
    assert starter.started == []


def test_a_command_that_cannot_be_executed_is_unknown(tmp_path: Path) -> None:
    def refuse(path: str) -> FakeCommand:
        raise PermissionError(13, "Permission denied", path)

    found = sensors_of(tmp_path, Starter(FakeCommand()), start=refuse)
    assert found.poll(0.0).battery_percent is None
    assert found.is_settled


def test_output_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    class Torn(FakeCommand):
        def read(self) -> bytes:
            raise OSError(5, "Input/output error")

    found = sensors_of(tmp_path, Starter(Torn()))
    found.poll(0.0)
    assert found.poll(0.5).battery_percent is None


def test_a_command_that_goes_by_itself_before_the_kill_is_no_error(tmp_path: Path) -> None:
    def gone(pid: int, number: int) -> None:
        raise ProcessLookupError

    found = sensors_of(tmp_path, Starter(FakeCommand(status=None)), kill=gone)
    found.poll(0.0)
    assert found.poll(5.0).battery_percent is None


def test_closing_kills_what_still_runs_and_nothing_else(tmp_path: Path) -> None:
    starter = Starter(FakeCommand(status=None))
    found = sensors_of(tmp_path, starter)
    found.close()
    assert starter.killed == []
    found.poll(0.0)
    found.close()
    assert starter.killed == [(4711, signal.SIGKILL)]


# --- a command of this machine ---------------------------------------------------------------


def script(path: Path, *lines: str) -> str:
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def wait_for(process: Process) -> None:
    """Until it has ended, without reaping it."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def is_readable(process: Process) -> bool:
    return process.stdout in select.select([process.stdout], [], [], 20.0)[0]


def test_a_real_command_leads_its_own_group_and_is_read_when_it_ended(tmp_path: Path) -> None:
    process = Process(script(tmp_path / "command", "echo '{\"percentage\": 7}'", "echo bad >&2"))
    wait_for(process)
    assert os.getpgid(process.pid) == process.pid
    assert process.poll() == 0
    assert sensors.parse(process.read()).percent == 7.0


def test_a_real_command_that_said_nothing_and_left_its_pipe_open_blocks_nobody(
        tmp_path: Path) -> None:
    process = Process(script(tmp_path / "command", "sleep 1000 &", "exit 0"))
    wait_for(process)
    assert not os.get_blocking(process.stdout.fileno())
    assert process.stdout.read(1) is None  # not the end: the grandchild still holds it
    assert process.read() == b""
    os.killpg(process.pid, signal.SIGKILL)
    assert process.poll() == 0


def test_a_real_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    path = script(tmp_path / "command", "sleep 1000 &", "echo ready", "sleep 1000")
    started: list[Process] = []

    def start(_: str) -> Process:
        started.append(Process(path))
        return started[0]

    found = sensors_of(tmp_path, Starter(FakeCommand()), start=start, kill=os.killpg)
    found.poll(0.0)
    assert is_readable(started[0])
    assert started[0].stdout.read(6) == b"ready\n"
    found.poll(5.0)
    wait_for(started[0])
    assert is_readable(started[0])
    assert started[0].stdout.read(1) == b""  # the end: nobody is left who could write
    found.poll(5.5)
    assert started[0].poll() == -signal.SIGKILL
    assert started[0].stdout.closed


# --- what the command prints -----------------------------------------------------------------


def test_numbers_may_come_as_text() -> None:
    found = sensors.parse(b'{"percentage": "85", "temperature": "22.3"}')
    assert found == Battery(85.0, None, 22.3)


@pytest.mark.parametrize("output", [
    b"", b"null", b"[1]", b"12", b'"CHARGING"', b"{", b"\xff\xfe\x00", b"[" * 60000,
    b"Termux:API is not yet available on Google Play", b'{"percentage": 1' + b"0" * 5000 + b"}",
    b'{"percentage": true, "temperature": [31], "plugged": null, "status": 3}',
    b'{"percentage": NaN, "temperature": Infinity}', b'{"percentage": 1' + b"0" * 400 + b"}",
    b'{"present": false, "percentage": 0, "plugged": "UNPLUGGED", "temperature": 0}'])
def test_garbage_is_unknown(output: bytes) -> None:
    assert sensors.parse(output) == Battery(None, None, None)


@pytest.mark.parametrize("key", ["percentage", "plugged", "status", "temperature"])
def test_a_missing_key_takes_only_its_own_reading(key: str) -> None:
    left = {name: value for name, value in ANSWER.items() if name != key}
    whole = {"percentage": Battery(None, True, 31.4), "temperature": Battery(54.0, True, None)}
    assert sensors.parse(json.dumps(left).encode()) == whole.get(key, Battery(54.0, True, 31.4))


@pytest.mark.parametrize(("percent", "known"), [
    (-1, None), (0, 0.0), (100, 100.0), (100.5, None), (255, None)])
def test_percents_outside_0_to_100_are_unknown(percent: float, known: float | None) -> None:
    assert sensors.parse(json.dumps({"percentage": percent}).encode()).percent == known


@pytest.mark.parametrize(("degrees", "known"), [
    (-30, -30.0), (-30.1, None), (120, 120.0), (120.1, None), (-214748364.8, None), (310, None)])
def test_implausible_temperatures_are_unknown(degrees: float, known: float | None) -> None:
    assert sensors.parse(json.dumps({"temperature": degrees}).encode()).heat_c == known


@pytest.mark.parametrize(("plugged", "status", "is_charging"), [
    ("UNPLUGGED", "DISCHARGING", False), ("PLUGGED_USB", "CHARGING", True),
    ("PLUGGED_WIRELESS", "FULL", True), ("PLUGGED_AC", "NOT_CHARGING", True),
    ("PLUGGED_USB", "DISCHARGING", False), ("UNPLUGGED", "FULL", False),
    ("", "CHARGING", True), ("", "FULL", True), ("", "NOT_CHARGING", None), ("?", "?", None)])
def test_charging_is_plugged_and_not_emptying(
        plugged: str, status: str, is_charging: bool | None) -> None:
    output = json.dumps({"plugged": plugged, "status": status}).encode()
    assert sensors.parse(output).is_charging is is_charging


# --- /sys and /proc --------------------------------------------------------------------------


def test_a_machine_without_sensors_is_unknown_not_zero(tmp_path: Path) -> None:
    found = sensors_of(tmp_path / "nowhere")
    assert found.poll(0.0) == Readings(None, None, None, None, None, None)


def test_a_battery_of_the_kernel_is_read_in_its_units(tmp_path: Path) -> None:
    write(tmp_path / "power/battery", type="Battery", capacity="81", status="Charging",
          temp="312")
    found = sensors_of(tmp_path).poll(0.0)
    assert (found.battery_percent, found.is_charging, found.battery_c) == (81.0, True, 31.2)


def test_a_battery_whose_kind_is_hidden_still_counts(tmp_path: Path) -> None:
    write(tmp_path / "power/battery", capacity="81", status="Full")
    assert sensors.supply(tmp_path / "power") == Battery(81.0, True, None)


def test_what_the_command_leaves_out_comes_from_the_kernel(tmp_path: Path) -> None:
    write(tmp_path / "power/battery", type="Battery", capacity="81", status="Discharging",
          temp="312")
    found = sensors_of(tmp_path, Starter(FakeCommand(b'{"percentage": 80}')))
    assert found.poll(0.0).battery_percent == 81.0
    after = found.poll(0.5)
    assert (after.battery_percent, after.is_charging, after.battery_c) == (80.0, False, 31.2)


@pytest.mark.parametrize(("status", "online", "is_charging"), [
    ("Not charging", "1", True), ("Not charging", "0", False), ("Unknown", "1", True),
    ("Discharging", "1", False), ("Full", "1", True), ("Charging", "?", True),
    ("Unknown", "?", None)])
def test_a_plug_decides_where_the_battery_does_not(
        tmp_path: Path, status: str, online: str, is_charging: bool | None) -> None:
    write(tmp_path / "power/BAT0", type="Battery", status=status)
    write(tmp_path / "power/AC", type="Mains", online=online)
    assert sensors.supply(tmp_path / "power").is_charging is is_charging


def test_a_plug_without_a_battery_says_nothing(tmp_path: Path) -> None:
    write(tmp_path / "power/AC", type="Mains", online="0")
    assert sensors.supply(tmp_path / "power") == Battery(None, None, None)


def test_the_battery_of_a_mouse_and_a_fuel_gauge_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "power/hid", type="Battery", scope="Device", capacity="3",
          status="Discharging")
    write(tmp_path / "power/bms", type="BMS", capacity="5", temp="900", status="Discharging")
    assert sensors.supply(tmp_path / "power") == Battery(None, None, None)


def test_of_two_batteries_the_fuller_and_the_hotter_count(tmp_path: Path) -> None:
    write(tmp_path / "power/BAT0", type="Battery", capacity="4", temp="402", status="Unknown")
    write(tmp_path / "power/BAT1", type="Battery", capacity="90", temp="300",
          status="Discharging")
    assert sensors.supply(tmp_path / "power") == Battery(90.0, False, 40.2)


def test_implausible_files_of_a_battery_are_unknown(tmp_path: Path) -> None:
    write(tmp_path / "power/battery", type="Battery", capacity="101", status="", temp="-2731")
    assert sensors.supply(tmp_path / "power") == Battery(None, None, None)


def test_the_hottest_plausible_zone_counts(tmp_path: Path) -> None:
    for i, raw in enumerate(["41500", "52300", "47000", "125000", "-274000", "nonsense", ""]):
        write(tmp_path / f"thermal/thermal_zone{i}", type="cpu", temp=raw)
    write(tmp_path / "thermal/cooling_device0", type="fan", temp="99000")
    assert sensors.hottest_zone(tmp_path / "thermal") == 52.3


@pytest.mark.parametrize(("kind", "raw"), [
    ("soc", "87"), ("pm8998-vbat", "4200"), ("pmi-ibat-lvl0", "90000"), ("bcl_lvl0", "80000"),
    ("cpu-0-0", "0")])
def test_zones_that_show_no_temperature_are_passed_over(
        tmp_path: Path, kind: str, raw: str) -> None:
    write(tmp_path / "thermal/thermal_zone0", type=kind, temp=raw)
    assert sensors.hottest_zone(tmp_path / "thermal") is None


def test_a_phone_in_the_frost_has_a_temperature(tmp_path: Path) -> None:
    write(tmp_path / "thermal/thermal_zone0", type="cpu", temp="-5000")
    assert sensors.hottest_zone(tmp_path / "thermal") == -5.0


def test_a_zone_without_a_type_still_counts(tmp_path: Path) -> None:
    write(tmp_path / "thermal/thermal_zone0", temp="48000")
    assert sensors.hottest_zone(tmp_path / "thermal") == 48.0


def test_files_that_refuse_or_hold_binary_are_unknown(tmp_path: Path) -> None:
    write(tmp_path / "thermal/thermal_zone0", type="cpu")
    (tmp_path / "thermal/thermal_zone0/temp").mkdir()  # reading it is an OSError
    write(tmp_path / "thermal/thermal_zone1", type="cpu")
    (tmp_path / "thermal/thermal_zone1/temp").write_bytes(b"\xff\xfe")
    assert sensors.hottest_zone(tmp_path / "thermal") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_folders_that_may_not_be_listed_are_unknown(tmp_path: Path) -> None:
    write(tmp_path / "thermal/thermal_zone0", type="cpu", temp="48000")
    (tmp_path / "thermal").chmod(0)
    found = sensors.hottest_zone(tmp_path / "thermal")
    (tmp_path / "thermal").chmod(0o755)
    assert found is None


def test_a_folder_whose_listing_fails_is_unknown(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, pattern: str) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "glob", refuse)
    assert sensors.hottest_zone(tmp_path) is None
    assert sensors.supply(tmp_path) == Battery(None, None, None)


def test_files_are_read_again_after_10_s(tmp_path: Path) -> None:
    write(tmp_path / "thermal/thermal_zone0", type="cpu", temp="48000")
    found = sensors_of(tmp_path)
    found.poll(0.0)
    (tmp_path / "thermal/thermal_zone0/temp").write_text("61000\n", encoding="ascii")
    assert found.poll(9.9).thermal_c == 48.0
    assert found.poll(10.0).thermal_c == 61.0


def test_free_disk_is_what_the_kernel_gives_an_ordinary_user(tmp_path: Path) -> None:
    told = os.statvfs(tmp_path)
    assert sensors.disk_free_mb(tmp_path) == pytest.approx(
        told.f_bavail * told.f_frsize / 1e6, rel=0.05)


@pytest.mark.parametrize(("text", "known"), [
    ("MemFree: 5 kB\nSwapTotal: 3906250 kB\nSwapFree:    1953125 kB", (2000.0, 4000.0)),
    ("SwapTotal: 0 kB\nSwapFree: 0 kB", (0.0, 0.0)), ("MemFree: 5 kB", (None, None)),
    ("SwapFree: much", (None, None)), ("SwapFree: ٥ kB", (None, None))])
def test_swap_is_read_where_it_is_told(
        tmp_path: Path, text: str, known: tuple[float | None, float | None]) -> None:
    (tmp_path / "meminfo").write_text(text, encoding="utf-8")
    assert sensors.swap_mb(tmp_path / "meminfo") == known
    assert sensors_of(tmp_path).poll(0.0).swap_free_mb == known[0]
