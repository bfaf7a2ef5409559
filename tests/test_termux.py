"""The phone's scripts, run by sh against stub commands that record how they were called."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support import example_home
from tests.support.phone import BOOT, STUBS, TERMUX, WATCHDOG, Ended, Phone

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(TERMUX.glob("*.sh"))


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path)


# --- the scripts themselves ------------------------------------------------------------------

every_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)


def test_there_are_scripts_to_look_at() -> None:
    assert [path.name for path in SCRIPTS] == ["boot.sh", "install.sh", "notify.sh", "watchdog.sh"]


@every_script
def test_a_script_is_short_posix_and_strict(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert (lines[0], "set -eu" in lines) == ("#!/bin/sh", True)
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100
    subprocess.run(["/bin/sh", "-n", path], check=True)


@every_script
def test_shellcheck_finds_nothing(path: Path) -> None:
    beside = Path(sys.executable).parent  # where pip puts it
    shellcheck = shutil.which("shellcheck", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("there is no shellcheck here; pip install -e '.[lint]' brings it")
    found = subprocess.run([shellcheck, "--shell=sh", path], capture_output=True, text=True)
    assert found.stdout == ""


def test_what_may_hang_has_a_time_limit(phone: Phone) -> None:
    phone.install()
    phone.run(phone.user / BOOT)
    phone.run(phone.user / WATCHDOG)
    phone.script("install.sh", "--uninstall")
    limited = [call[3] for call in phone.calls("timeout")]
    run = [call[0] for call in phone.calls() if call[0].startswith("termux-")]
    assert sorted(run) == sorted(name for name in limited if name.startswith("termux-"))
    assert set(run) == {name for name in STUBS if name.startswith("termux-")}


# --- install.sh ------------------------------------------------------------------------------


def test_compiled_packages_come_from_termux_and_the_pure_ones_from_pypi(phone: Phone) -> None:
    phone.install()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["build-system"]["requires"] + project["project"]["dependencies"]
    pure = {word for word in wanted if re.split("[<>=]", word)[0] not in ("numpy", "psutil")}
    assert phone.calls("pkg") == [["install", "-y", "python", "python-pip", "python-numpy",
                                   "python-psutil", "termux-api"]]
    first, second = [call[2:] for call in phone.calls("python") if call[1] == "pip"]
    assert (first[0], set(first[1:])) == ("install", pure)
    assert second == ["install", "--no-build-isolation", "--no-deps", "-e", str(ROOT)]


def test_installing_twice_leaves_the_same_files(phone: Phone) -> None:
    phone.install()
    once = phone.files()
    phone.install()
    assert phone.files() == once
    assert once.keys() == {BOOT, WATCHDOG}
    assert all(mode & 0o777 == 0o755 for _, mode in once.values())


def test_the_boot_folder_holds_one_file_and_no_folder(phone: Phone) -> None:
    phone.install()
    assert [path.name for path in (phone.user / ".termux/boot").iterdir()] == ["phi-auto"]


def test_the_watchdog_comes_every_15_minutes_without_network_and_on_a_low_battery(
        phone: Phone) -> None:
    phone.install()
    assert phone.calls("termux-job-scheduler") == [[
        "--script", str(phone.user / WATCHDOG), "--period-ms", "900000", "--persisted", "true",
        "--network", "none", "--battery-not-low", "false", "--job-id", "714205"]]


def test_the_installer_says_what_to_do_next(phone: Phone) -> None:
    said = phone.install()
    assert "Installed. The agent starts with the phone, and within 15 minutes" in said
    assert f"now: {phone.user / WATCHDOG}    its log: {phone.log}" in said
    assert f"never: touch {phone.home}/agent.off" in said
    assert f"Next: Android's settings, see {TERMUX}/README.md" in said


def test_without_termux_api_the_rest_is_installed_and_the_gap_is_told(phone: Phone) -> None:
    phone.without("termux-job-scheduler")
    ended = phone.script("install.sh")
    assert ended.status == 0
    assert ended.err == "no watchdog: install the app Termux:API, then run this again\n"
    assert BOOT in phone.files()


def test_a_job_scheduler_that_does_not_answer_is_told_too(phone: Phone) -> None:
    phone.command("termux-job-scheduler", "exit 124\n")
    ended = phone.script("install.sh")
    assert (ended.status, ended.err.startswith("no watchdog")) == (0, True)


@pytest.mark.parametrize("home", ["/sdcard", "/storage/emulated/0/phi", "/mnt/x/../sdcard/phi"])
def test_shared_storage_is_refused_before_anything_is_done(phone: Phone, home: str) -> None:
    phone.settings["AGENT_HOME"] = home
    ended = phone.script("install.sh")
    assert ended.status == 1
    assert ended.err.endswith("is shared storage, where a database breaks; use a folder below "
                              f"{phone.user}\n")
    assert (phone.calls(), phone.files()) == ([], {})


def test_shared_storage_is_refused_behind_a_link(phone: Phone) -> None:
    (phone.user / "shared").symlink_to("/storage/emulated/0")
    phone.settings["AGENT_HOME"] = str(phone.user / "shared/phi")
    assert "/storage/emulated/0/phi is shared storage" in phone.script("install.sh").err


def test_a_relative_home_is_the_same_wherever_the_agent_starts(phone: Phone) -> None:
    phone.settings["AGENT_HOME"] = phone.home.name
    boot(phone)
    assert phone.log.read_text() == f"hello from {phone.home}, home {phone.home}\n"


@pytest.mark.parametrize("home", ["", "~/nights"])
def test_the_home_is_nights_of_the_user_where_nothing_else_is_said(phone: Phone, home: str) -> None:
    phone.settings["AGENT_HOME"] = home
    boot(phone)
    nights = phone.user / "nights"
    assert (nights / "agent.log").read_text() == f"hello from {nights}, home {nights}\n"


def test_the_checkout_is_no_home(phone: Phone) -> None:
    phone.settings["AGENT_HOME"] = str(TERMUX.parent)
    ended = phone.script("install.sh")
    assert (ended.status, phone.calls(), phone.files()) == (1, [], {})
    assert ended.err.startswith(f"install.sh: {TERMUX.parent} is the home of the "
                                "project's own runs")


def test_an_agent_that_does_not_start_is_not_put_into_the_boot_folder(phone: Phone) -> None:
    phone.settings["AGENT_FAILS"] = "1"
    ended = phone.script("install.sh")
    assert (ended.status, phone.files()) == (1, {})
    assert ended.err == "install.sh: the agent does not start; the lines above say why\n"


def test_outside_termux_the_installer_says_that_it_is_for_termux(phone: Phone) -> None:
    phone.settings["PREFIX"] = ""
    ended = phone.script("install.sh")
    assert (ended.status != 0, phone.calls()) == (True, [])
    assert "this script is for Termux, where PREFIX is set" in ended.err


def test_the_installer_explains_itself_and_refuses_what_it_does_not_know(phone: Phone) -> None:
    asked, wrong = phone.script("install.sh", "--help"), phone.script("install.sh", "--remove")
    assert asked.status == 0
    assert asked.out.startswith("usage: [AGENT_HOME=DIR] sh termux/install.sh [--uninstall]\n")
    assert (wrong.status, wrong.err) == (2, "install.sh: --remove is not understood; see --help\n")
    assert (phone.calls(), phone.files()) == ([], {})


def test_uninstalling_leaves_ledger_and_runs(phone: Phone) -> None:
    phone.install()
    (phone.home / "runs").mkdir()
    kept = [phone.home / "ledger.db", phone.home / "runs/events.jsonl", phone.log]
    for path in kept:
        path.write_text("mine", encoding="utf-8")
    first = phone.script("install.sh", "--uninstall")
    again = phone.script("install.sh", "--uninstall")
    assert (first.status, again.status, phone.files()) == (0, 0, {})
    assert [path.read_text(encoding="utf-8") for path in kept] == ["mine"] * 3
    assert phone.calls("termux-job-scheduler")[1:] == [["--cancel", "--job-id", "714205"]] * 2
    assert phone.calls("termux-notification-remove") == [["phi-auto"]] * 2
    assert first.out == ("removed boot script and watchdog, not ledger and runs; "
                         "`agent stop` ends what runs\n")


def test_uninstalling_needs_no_termux_api(phone: Phone) -> None:
    phone.install()
    phone.without("termux-job-scheduler", "termux-notification-remove")
    assert phone.script("install.sh", "--uninstall").status == 0
    assert phone.files() == {}


def test_the_readme_names_every_script_and_no_other() -> None:
    table = re.findall(r"^\| `(.*?)`", (TERMUX / "README.md").read_text(encoding="utf-8"), re.M)
    assert sorted(table) == [path.name for path in SCRIPTS]


# --- boot.sh ---------------------------------------------------------------------------------


def boot(phone: Phone) -> Ended:
    """What Termux:Boot does, with nothing in the environment that it does not give."""
    phone.install()
    phone.settings.update({"AGENT_HOME": "", "PATH": "/usr/bin:/bin"})
    ended = phone.run(phone.user / BOOT)
    assert (ended.out, ended.err) == ("", "")
    return ended


def test_boot_becomes_the_agent_under_the_interpreter_of_the_prefix(phone: Phone) -> None:
    ended = boot(phone)
    assert ended.status == 0
    assert phone.agent_ids()[0] == ended.pid
    assert phone.starts() == [[]]
    assert len(phone.calls("termux-wake-lock")) == 1
    assert phone.log.read_text() == f"hello from {phone.home}, home {phone.home}\n"


def test_boot_reads_one_option_a_line(phone: Phone) -> None:
    (phone.home / "agent.options").write_text(
        "# a comment\n\n--corpus=my stories.txt\n--run-for\n30m", encoding="utf-8")
    boot(phone)
    assert phone.starts() == [["--corpus=my stories.txt", "--run-for", "30m"]]


@pytest.mark.parametrize("text", [
    b"\xef\xbb\xbf--corpus=my stories.txt\r\n--for\r\n30m\r\n",
    b"--corpus=my stories.txt \n--for 30m",
    b"\xef\xbb\xbf# of an editor\r\n\r\n  --corpus=my stories.txt\r\n\t--for 30m\r"])
def test_boot_reads_options_as_any_editor_leaves_them(phone: Phone, text: bytes) -> None:
    (phone.home / "agent.options").write_bytes(text)
    boot(phone)
    assert phone.starts() == [["--corpus=my stories.txt", "--for", "30m"]]


def test_boot_leaves_a_backslash_and_a_tilde_to_the_agent(phone: Phone) -> None:
    (phone.home / "agent.options").write_bytes(b"--corpus=~/a\\b.txt\n--valid ~/my text.txt\n")
    boot(phone)
    assert phone.starts() == [["--corpus=~/a\\b.txt", "--valid", "~/my text.txt"]]


def test_a_long_log_makes_room_and_the_previous_one_is_kept(phone: Phone) -> None:
    phone.log.write_bytes(b"x" * 1_000_001)
    (phone.home / "agent.log.1").write_text("oldest", encoding="utf-8")
    boot(phone)
    assert (phone.home / "agent.log.1").read_bytes() == b"x" * 1_000_001
    assert phone.log.read_text().startswith("hello")
    assert sorted(path.name for path in phone.home.iterdir()) == ["agent.log", "agent.log.1"]


def test_a_short_log_is_gone_on_with(phone: Phone) -> None:
    phone.log.write_text("before\n", encoding="utf-8")
    boot(phone)
    assert phone.log.read_text().startswith("before\nhello")
    assert not (phone.home / "agent.log.1").exists()


def test_without_a_wake_lock_the_agent_starts_and_the_log_says_so(phone: Phone) -> None:
    phone.without("termux-wake-lock")
    boot(phone)
    assert "no wake lock: the phone may sleep while the agent works\nhello" in phone.log.read_text()


def test_boot_starts_nothing_where_the_owner_wants_none(phone: Phone) -> None:
    (phone.home / "agent.off").touch()
    assert boot(phone).status == 0
    assert (phone.starts(), phone.log.exists()) == ([], False)


def test_boot_starts_nothing_and_leaves_the_log_where_an_agent_works(phone: Phone) -> None:
    phone.log.write_bytes(b"x" * 1_000_001)
    with open(phone.home / "agent.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert boot(phone).status == 0
    assert (phone.starts(), phone.log.stat().st_size) == ([], 1_000_001)


def test_boot_starts_in_a_home_that_is_gone(phone: Phone) -> None:
    phone.install()
    phone.home.rmdir()
    assert boot(phone).status == 0
    assert phone.starts() == [[]]


# --- watchdog.sh -----------------------------------------------------------------------------


def watch(phone: Phone) -> Ended:
    phone.install()
    ended = phone.run(phone.user / WATCHDOG)
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    return ended


def test_the_watchdog_starts_a_detached_agent_where_none_works(phone: Phone) -> None:
    (phone.home / "agent.lock").write_text("4242", encoding="ascii")  # left by a dead one
    ended = watch(phone)
    process, session = phone.agent_ids()
    assert phone.starts() == [[]]
    assert process == session != os.getsid(0)
    assert process != ended.pid
    assert phone.log.read_text().startswith("hello")


def test_the_watchdog_starts_no_second_agent(phone: Phone) -> None:
    with open(phone.home / "agent.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        watch(phone)
        watch(phone)
    assert phone.starts() == []
    watch(phone)
    assert phone.starts() == [[]]


def test_a_glance_at_the_lock_is_not_an_agent(phone: Phone) -> None:
    with open(phone.home / "agent.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        watch(phone)
    assert phone.starts() == [[]]


def test_the_watchdog_renews_the_notification_each_time(phone: Phone) -> None:
    watch(phone)
    watch(phone)
    assert len(phone.calls("termux-notification")) == 2


def test_the_watchdog_leaves_a_home_alone_whose_owner_wants_no_agent(phone: Phone) -> None:
    (phone.home / "agent.off").touch()
    watch(phone)
    assert (phone.starts(), phone.calls("termux-notification")) == ([], [])
    assert phone.calls("termux-notification-remove") == [["phi-auto"]]


# --- notify.sh -------------------------------------------------------------------------------


def notify(phone: Phone, status: Any) -> list[str]:
    phone.say(status)
    ended = phone.script("notify.sh")
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    return phone.shown()


BEST = {"label": "E12", "val_loss": 2.51934, "val_bpb": 1.17249}


@pytest.mark.parametrize(("status", "title", "content"), [
    ({"is_daemon_alive": True, "night": {"state": "on"}, "run": {"label": "E14"},
      "progress": {"share": 0.431}, "best": BEST},
     "phi-auto: E14 at 43%", "best E12: 2.519 nats/token, 1.172 bits/byte"),
    ({"is_daemon_alive": True, "night": {"state": "paused"}, "progress": None, "best": BEST},
     "phi-auto: paused", "best E12: 2.519 nats/token, 1.172 bits/byte"),
    ({"is_daemon_alive": True, "progress": {"share": 1}}, "phi-auto: a run at 100%",
     "no run has finished yet"),
    ({"is_daemon_alive": True, "best": {"val_bpb": 1.5}}, "phi-auto: on",
     "best a run: 1.500 bits/byte"),
    ({"is_daemon_alive": False, "best": {"label": "E\n1\t", "val_loss": 2}},
     "phi-auto: not running", "best E 1 : 2.000 nats/token"),
    ({"is_daemon_alive": True, "best": BEST, "guard_now": {
        "word": "waits", "reason": "battery at 20 %, under --min-battery 30"}}, "phi-auto: on",
     "best E12: 2.519 nats/token, 1.172 bits/byte; waits: battery at 20 %, under --min-battery 30"),
    ({"is_daemon_alive": True, "guard_now": {"word": "go", "reason": "nothing is in the way"}},
     "phi-auto: on", "no run has finished yet; guard: go"),
    ({"is_daemon_alive": False, "guard_now": {"word": "waits", "reason": "heat"}, "best": BEST},
     "phi-auto: not running", "best E12: 2.519 nats/token, 1.172 bits/byte"),
    ({"is_daemon_alive": True, "guard_now": {"word": ["go"]}}, "phi-auto: on",
     "no run has finished yet"),
    ({"best": {"val_loss": "2.5", "val_bpb": None}, "night": [], "progress": "soon"},
     "phi-auto: not running", "no run has finished yet"),
    ([], "phi-auto: no answer", "`agent status` fails; `sh termux/install.sh` may mend it"),
    ("", "phi-auto: no answer", "`agent status` fails; `sh termux/install.sh` may mend it"),
    ("{half", "phi-auto: no answer", "`agent status` fails; `sh termux/install.sh` may mend it"),
])
def test_the_notification_says_what_is_known(phone: Phone, status: Any, title: str,
                                             content: str) -> None:
    assert notify(phone, status) == [title, content]


def test_the_notification_stays_keeps_quiet_and_replaces_itself(phone: Phone) -> None:
    notify(phone, {})
    assert phone.calls("termux-notification")[0][:6] == [
        "--id", "phi-auto", "--ongoing", "--alert-once", "--priority", "low"]


def test_the_notification_understands_what_the_agent_prints(phone: Phone) -> None:
    status = example_home.value(example_home.a_home(phone.root / "example"), "status")
    best = status["best"]
    assert notify(phone, status) == [
        "phi-auto: not running",
        f"best {best['label']}: {best['val_loss']:.3f} nats/token, {best['val_bpb']:.3f} bits/byte"]


def test_a_notification_that_fails_does_no_harm(phone: Phone) -> None:
    phone.command("termux-notification", "exit 124\n")
    assert phone.script("notify.sh").status == 0


def test_without_termux_api_nothing_is_asked(phone: Phone) -> None:
    phone.without("termux-notification")
    assert phone.script("notify.sh").status == 0
    assert phone.calls() == []
