"""`agent doctor`: what is said of interpreter, packages and machine, and how it is shown."""

import json
import subprocess
import sys
import threading
import tomllib
import zoneinfo
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from agent.cli import doctor as cli_doctor
from agent.doctor import doctor
from agent.doctor import machine as doctor_machine
from agent.doctor.doctor import Check
from agent.doctor.probe import Answer
from agent.home.paths import Home
from agent.machine import container
from agent.search.plugins import Found, Remark
from strategies import STRATEGIES
from tests.support.example_home import a_home, agent
from tests.support.example_machine import TERMUX, WHEEL, machine, raising

ROOT = Path(__file__).parents[3]


# --- the interpreter and its packages --------------------------------------------------------


@pytest.mark.parametrize(("version", "answer"), [
    ((3, 10), ("fail", "Python 3.10 is too old; 3.11 to 3.14 will do", "install Python 3.14")),
    ((3, 11), ("ok", "Python 3.11", None)), ((3, 14), ("ok", "Python 3.14", None)),
    ((3, 15), ("warn", "Python 3.15 is newer than what is tested, 3.11 to 3.14", None))])
def test_python_must_be_one_of_those_tested(version: tuple[int, int], answer: Answer) -> None:
    assert doctor_machine.python(machine(python=version)) == answer


def test_termux_upgrades_python_with_pkg() -> None:
    assert doctor_machine.python(machine(environ=TERMUX, python=(3, 9)))[2] == "pkg install python"


def test_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {*doctor_machine.PACKAGES.values(), "tzdata"} == {*project["dependencies"], "click"}


def only(*there: str) -> Callable[[str], object]:
    def load(name: str) -> object:
        if name not in there:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return name
    return load


def test_all_packages_there_is_ok() -> None:
    assert doctor_machine.packages(machine()) == (
        "ok", "numpy, psutil, sqlite_utils, apscheduler, rich, click can be imported", None)


def test_packages_that_vanished_come_back_with_one_command() -> None:
    probe = machine(load=only("numpy", "psutil", "apscheduler", "click"))
    assert doctor_machine.packages(probe) == (
        "fail", "cannot be imported: sqlite_utils (No module named 'sqlite_utils'), "
        "rich (No module named 'rich')",
        "python -m pip install 'sqlite-utils>=4.0' 'rich>=13.7'")


def test_termux_gets_numpy_and_psutil_compiled() -> None:
    probe = machine(environ=TERMUX, load=only("sqlite_utils", "apscheduler", "rich"))
    assert doctor_machine.packages(probe)[2] == (
        "pkg install python-numpy python-psutil && python -m pip install click")


def test_a_broken_package_counts_as_missing() -> None:
    verdict, finding, _ = doctor_machine.packages(machine(load=raising(RuntimeError())))
    assert verdict == "fail"
    assert finding.startswith("cannot be imported: numpy (RuntimeError), psutil")


def test_the_program_itself_may_be_what_vanished() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    probe = machine({f"{ROOT}/pyproject.toml": text},
                    version=raising(metadata.PackageNotFoundError("phi-auto")))
    assert doctor_machine.packages(probe) == (
        "fail", "cannot be imported: phi-auto itself (not installed for this Python)",
        f"python -m pip install --no-deps -e {ROOT}")


@pytest.mark.parametrize("files", [{}, {f"{ROOT}/pyproject.toml": 'name = "another"\n'}],
                         ids=["none", "of something else"])
def test_outside_a_checkout_it_comes_back_from_its_wheel(files: dict[str, str]) -> None:
    probe = machine(files, version=raising(metadata.PackageNotFoundError("phi-auto")))
    assert doctor_machine.packages(probe)[2] == (
        "python -m pip install --no-deps phi_auto-VERSION-py3-none-any.whl")


def test_without_packages_every_command_says_what_mends_it() -> None:
    found = subprocess.run([sys.executable, "-S", "-m", "agent", "status"], cwd=ROOT, text=True,
                           capture_output=True, env={"PYTHONPATH": str(ROOT)})
    assert (found.returncode, found.stdout) == (1, "")
    first, second = found.stderr.splitlines()
    assert first.startswith("agent: cannot be imported: numpy (No module named 'numpy'), psutil")
    assert second.startswith(f"mend it with: {sys.executable} -m pip install 'numpy>=2.0'")


# --- the machine -----------------------------------------------------------------------------


@pytest.mark.parametrize(("parallel", "verdict", "words"), [
    (0, "ok", "is built without threads and locks: one core a process, and replicas in processes "
              "of their own use the others"),
    (1, "ok", "is built with threads; a worker is given one"),
    (2, "ok", "is built with OpenMP; a worker is given one thread"),
    (7, "warn", "does not say whether it has threads"),
    (None, "warn", "does not say whether it has threads")])
def test_blas_tells_how_it_was_built(parallel: int | None, verdict: str, words: str) -> None:
    asked: list[str] = []

    def answer(path: str) -> int | None:
        asked.append(path)
        return parallel

    assert doctor_machine.blas(machine(blas_parallel=answer)) == (
        verdict, f"libscipy_openblas64_-1.so {words}", None)
    assert asked == [WHEEL]


def test_a_blas_that_may_not_choose_for_this_processor_is_told() -> None:
    """As a remedy for wrong numbers, or since somebody set it for another program."""
    environ = machine().environ | {"OPENBLAS_CORETYPE": "ARMV8"}  # type: ignore[operator]
    assert doctor_machine.blas(machine(blas_parallel=lambda path: 1, environ=environ)) == (
        "ok", "libscipy_openblas64_-1.so, held to what it has for ARMV8 by OPENBLAS_CORETYPE, is "
        "built with threads; a worker is given one", None)


@pytest.mark.parametrize(("files", "name"), [
    ({}, "an unknown library"),
    ({"/proc/self/maps": "7f r-xp 0 0:0 1 /lib/libblis.so.4\n7f r-xp 0 0:0 1 /l/libmkl_rt.so\n"},
     "libmkl_rt.so, libblis.so.4")])
def test_another_blas_is_a_warning(files: dict[str, str], name: str) -> None:
    assert doctor_machine.blas(machine(files)) == (
        "warn", f"numpy computes with {name}, whose threads cannot be asked for", None)


@pytest.mark.parametrize(("usable", "everything", "answer"), [
    (8, 8, ("ok", "all 8 cores are usable", None)),
    (1, 1, ("ok", "the one core is usable", None)),
    (3, 8, ("warn", "3 of 8 cores are usable now", "taskset -cp 0-7 $$")),
    (3, None, ("warn", "3 cores are usable, of an unknown number", None))])
def test_cores_usable_now_against_all(usable: int, everything: int | None, answer: Answer) -> None:
    probe = machine(usable_cores=lambda: usable, all_cores=lambda: everything)
    assert doctor_machine.cores(probe) == answer


def test_fast_cores_are_told_where_there_are_slow_ones() -> None:
    files = {f"/sys/devices/system/cpu/cpu{i}/cpu_capacity": "325" if i < 4 else "1024"
             for i in range(8)}
    probe = machine(files, usable_cores=lambda: 8, all_cores=lambda: 8)
    assert doctor_machine.cores(probe) == ("ok", (
        "all 8 cores are usable; 4-7 are the fast ones, and `agent run` keeps to them where it "
        "measures that to be faster"), None)


def test_a_phone_gives_its_cores_to_what_is_in_front() -> None:
    assert doctor_machine.cores(machine(environ=TERMUX, usable_cores=lambda: 3))[2] == (
        "bring Termux to the front; Android takes cores away in the background")


@pytest.mark.parametrize(("free_mb", "answer"), [
    (3200.0, ("ok", "3,200 MB free, 200 of it a reserve; a run may take 3,000 MB", None)),
    (1950.0, ("warn", "1,950 MB free, 200 of it a reserve: less than the 3,000 MB that --max-ram "
              "allows a run, so large ones wait",
              "close other apps, or: agent run --max-ram 1700M")),
    (299.0, ("fail", "299 MB free, 200 of it a reserve: no run can start", "close other apps")),
    (None, ("fail", "free memory cannot be read, and unknown is not enough to start a run", None))])
def test_free_memory_against_max_ram(free_mb: float | None, answer: Answer) -> None:
    assert doctor_machine.memory(machine(memory=lambda: (free_mb, 200.0, 3000.0))) == answer


def test_a_container_with_less_than_the_machine_is_what_memory_is_told_of() -> None:
    within = machine(memory=lambda: (500.0, 200.0, 512.0),
                     container=lambda: (container.Memory(1024.0, 500.0), None))
    assert doctor_machine.memory(within) == (
        "warn", "500 MB free, 200 of it a reserve, in a container of 1,024 MB: less than the 512 "
        "MB that --max-ram allows a run, so large ones wait",
        "give the container more memory, or: agent run --max-ram 300M")
    hidden = machine(container=lambda: (container.Memory(1024.0, None), None))
    assert doctor_machine.memory(hidden)[:2] == (
        "fail", "this container may take 1,024 MB and hides how much of that is taken, and "
        "unknown is not enough to start a run")
    roomy = machine(container=lambda: (container.Memory(64000.0, 60000.0), None))
    assert doctor_machine.memory(roomy)[1] == (
        "8,000 MB free, 200 of it a reserve; a run may take 3,000 MB")


def test_a_quota_of_a_container_is_told_where_it_is_under_the_cores() -> None:
    assert doctor_machine.cores(machine(container=lambda: (container.Memory(), 1.5)))[:2] == (
        "warn", "this container may use 1.5 of 8 cores, so a run gets 1")
    assert doctor_machine.cores(machine(container=lambda: (container.Memory(), 8.0)))[0] == "ok"


def test_unknown_memory_on_a_phone_wants_termuxs_psutil() -> None:
    probe = machine(environ=TERMUX, memory=lambda: (None, 200.0, 3000.0))
    assert doctor_machine.memory(probe)[2] == "pkg install python-psutil"


def test_strategies_of_other_packages_are_named() -> None:
    assert doctor_machine.strategies(machine()) == ("ok", "the project's own", None)
    mutators = {"colder": STRATEGIES["random"]}
    found = Found(mutators, {"colder": "phi-colder 1.2"}, [])
    assert doctor_machine.strategies(machine(strategies=lambda: found)) == (
        "ok", "also of other packages: colder of phi-colder 1.2", None)


def test_strategies_that_cannot_be_used_are_a_warning_with_what_mends_it() -> None:
    remarks = [Remark("phi-b", "b is left out"), Remark("phi-a", "a is left out"),
               Remark(None, "c is left out")]
    found = Found({}, {}, remarks)
    assert doctor_machine.strategies(machine(strategies=lambda: found)) == (
        "warn", "b is left out; a is left out; c is left out",
        "mend the package, or: python -m pip uninstall phi-a phi-b")
    nameless = Found({}, {}, remarks[2:])
    assert doctor_machine.strategies(machine(strategies=lambda: nameless)) == (
        "warn", "c is left out", None)


def test_time_zone_data_may_be_missing() -> None:
    assert doctor_machine.time_zone(machine()) == (
        "ok", "time zone data is there; the ledger is in UTC", None)
    assert doctor_machine.time_zone(machine(zone=raising(zoneinfo.ZoneInfoNotFoundError("x")))) == (
        "warn", "there is no time zone data, so only UTC is known", "python -m pip install tzdata")


@pytest.mark.parametrize(("changes", "finding", "remedy"), [
    ({}, "c11-0123abcd, compiled by cc: numpy's passes over memory in one each", None),
    ({"kernels": lambda: ("numpy", "AGENT_NATIVE=0"), "which": lambda name: name},
     "numpy alone: AGENT_NATIVE=0; kernels in C spare a training step some tenth of its time",
     None),
    ({"kernels": lambda: ("numpy", "there is none")}, "numpy alone: there is none; kernels in C "
     "spare a training step some tenth of its time", "python -m pip install ziglang"),
    ({"kernels": lambda: ("numpy", "there is none"), "environ": TERMUX}, "numpy alone: there is "
     "none; kernels in C spare a training step some tenth of its time", "pkg install clang")])
def test_which_path_computes_is_told_with_what_a_compiler_would_gain(
        changes: dict[str, Any], finding: str, remedy: str | None) -> None:
    assert doctor_machine.kernels(machine(**changes)) == ("ok", finding, remedy)


# --- all of them -----------------------------------------------------------------------------

MACHINE = ["python", "packages", "blas", "kernels", "cores", "memory", "time zone", "strategies",
           "sensors"]
PHONE = ["wake lock", "battery", "processes"]
HOME = ["storage", "disk", "writing", "ledger", "daemon", "clock", "numbers"]
CHECKS = [Check("cores", "warn", "3 of 8 cores\x1b are\nusable now", "taskset -cp 0-7 $$"),
          Check("storage", "fail", "/sdcard is shared storage, where a database is not safe",
                "agent --home FOLDER run, with a folder of your own on a disk"),
          Check("clock", "ok", "the clock says now", None)]


def test_checks_of_a_phone_are_left_out_elsewhere(tmp_path: Path) -> None:
    names = [name for name, _ in doctor.steps(machine(), Home(tmp_path))]
    on_phone = [name for name, _ in doctor.steps(machine(environ=TERMUX), Home(tmp_path))]
    assert (names, on_phone) == (MACHINE + HOME, MACHINE + PHONE + HOME)


def test_nothing_fails_on_a_good_machine(tmp_path: Path) -> None:
    checks = doctor.examine(doctor.steps(machine(), a_home(tmp_path / "home")))
    assert [check.name for check in checks if check.verdict == "fail"] == []
    assert doctor.told_failures(checks) is None


def test_a_check_that_breaks_is_a_warning_and_the_next_goes_on() -> None:
    broken, sound = raising(KeyError("x")), lambda: ("ok", "", None)
    checks = doctor.examine([("first", broken), ("second", sound)])
    assert checks == [Check("first", "warn", "could not be checked: KeyError: 'x'", None),
                      Check("second", "ok", "", None)]


@pytest.mark.parametrize("broken", [
    {"load": raising(OSError("no"))}, {"read": raising(OSError("no"))},
    {"names": raising(OSError("no"))}, {"ask": raising(OSError("no"))},
    {"statvfs": raising(OSError("no"))}, {"memory": raising(ImportError("no"))},
    {"usable_cores": raising(AttributeError("no"))}, {"stamp": lambda: "yesterday"},
    {"holder": raising(ValueError("no"))}, {"newest_stamp": lambda _path: "yesterday"},
    {"ledger_faults": raising(OSError("no"))}, {"strategies": raising(ImportError("no"))}],
    ids=lambda broken: next(iter(broken)))
def test_no_answer_of_the_machine_breaks_the_examination(
        tmp_path: Path, broken: dict[str, Callable[..., object]]) -> None:
    home = a_home(tmp_path / "home")
    whole = doctor.examine(doctor.steps(machine(environ=TERMUX), home))
    checks = doctor.examine(doctor.steps(machine(environ=TERMUX, **broken), home))
    assert [check.name for check in checks] == MACHINE + PHONE + HOME
    changed = [check for check, before in zip(checks, whole, strict=True) if check != before]
    assert {check.verdict for check in changed} <= {"warn", "fail"}
    assert changed


def test_a_check_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def hang() -> Answer:
        release.wait()
        return "ok", "late", None

    checks = doctor.examine([("stuck", hang), ("next", lambda: ("ok", "", None))], limit_s=0.2)
    release.set()
    assert checks == [Check("stuck", "warn", "gave no answer within 0.2 s", None),
                      Check("next", "ok", "", None)]


def test_what_is_known_to_take_long_on_a_slow_processor_is_waited_for() -> None:
    release = threading.Event()
    named = [("numbers", lambda: ("ok", str(release.wait(0.05)), None)),
             ("next", lambda: ("ok", "", None))]
    assert doctor.examine(named, limit_s=0.0, slow_s={"numbers": 60.0, "next": 60.0})[0] == Check(
        "numbers", "ok", "False", None)
    assert set(doctor.SLOW_S) <= set(HOME)


def test_lines_are_aligned_and_remedies_whole() -> None:
    assert doctor.render(CHECKS, 46).splitlines() == [
        "warn  cores    3 of 8 cores\N{REPLACEMENT CHARACTER} are usable now",
        "               → taskset -cp 0-7 $$",
        "FAIL  storage  /sdcard is shared storage,",
        "               where a database is not safe",
        "               → agent --home FOLDER run, with a folder of your own on a disk",
        "ok    clock    the clock says now"]


# --- the command -----------------------------------------------------------------------------


def found(checks: Sequence[Check]) -> Callable[[object], list[Check]]:
    return lambda _steps: list(checks)


def test_failing_checks_end_with_1_and_a_sentence(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_doctor, "examine", found(CHECKS))
    result = agent(Home(tmp_path), "doctor", columns=60)
    assert (result.exit_code, result.stdout) == (1, doctor.render(CHECKS, 60) + "\n")
    assert result.stderr == ("agent: 1 of 3 checks failed: storage; what mends each stands beside "
                             "it\n")


def test_warnings_end_with_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_doctor, "examine", found([CHECKS[0], CHECKS[2]]))
    result = agent(Home(tmp_path), "doctor")
    assert (result.exit_code, result.stderr) == (0, "")


def test_json_is_a_list_of_objects_and_nothing_else(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_doctor, "examine", found(CHECKS))
    result = agent(Home(tmp_path), "doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[2] == {
        "name": "clock", "verdict": "ok", "finding": "the clock says now", "remedy": None}


def test_this_machine_is_examined_whole_and_left_as_it_was(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    agent(home, "status")  # SQLite makes two files beside a write-ahead ledger for any reader
    before = sorted(home.root.iterdir())
    result = agent(home, "doctor", "--json")
    checks = [Check(**one) for one in json.loads(result.stdout)]
    assert [check.name for check in checks] == MACHINE + HOME
    assert [check for check in checks if "could not be checked" in check.finding] == []
    assert {check.name: check.verdict for check in checks}["ledger"] == "ok"
    assert sorted(home.root.iterdir()) == before


def test_help_has_an_example(tmp_path: Path) -> None:
    assert "Example:  agent doctor" in agent(Home(tmp_path), "doctor", "--help").stdout
