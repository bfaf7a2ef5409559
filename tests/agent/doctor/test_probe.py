"""Questions to the machine: commands that hang, lie or are absent, and files that are not told."""

import fcntl
import os
import select
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.doctor import probe
from agent.doctor.probe import Probe
from agent.machine import machine


def script(folder: Path, name: str, body: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or goes within 5 s: a kill takes its time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with open(handle, "rb") as file:
        return bool(select.select([file], [], [], 5)[0])


def test_a_command_answers_with_what_it_prints(tmp_path: Path) -> None:
    assert probe.ask([script(tmp_path, "hi", 'echo "hi $1"; echo no >&2'), "you"]) == "hi you\n"


@pytest.mark.parametrize("body", ["exit 3", "echo yes; exit 1", "kill -9 $$"])
def test_a_command_that_fails_gives_no_answer(tmp_path: Path, body: str) -> None:
    assert probe.ask([script(tmp_path, "no", body)]) is None


def test_a_silent_command_answers_with_nothing(tmp_path: Path) -> None:
    assert probe.ask([script(tmp_path, "hush", "true")]) == ""


def test_a_command_that_is_absent_or_no_program_gives_no_answer(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("\0", encoding="utf-8")
    (tmp_path / "text").chmod(0o755)
    assert probe.ask(["no-such-command"]) is None
    assert probe.ask([str(tmp_path / "text")]) is None


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    path = script(tmp_path, "hang", f"sleep 60 &\necho $! $$ > {pids}\nwait")
    assert probe.ask([path], limit_s=0.5) is None
    assert [has_ended(int(pid)) for pid in pids.read_text(encoding="ascii").split()] == [
        True, True]


def test_a_command_that_closes_its_output_and_hangs_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    path = script(tmp_path, "hang", f"echo $$ > {pids}\nexec sleep 60 >&-")
    assert probe.ask([path], limit_s=0.5) is None
    assert has_ended(int(pids.read_text(encoding="ascii")))


def test_a_command_that_never_stops_talking_is_cut_off(tmp_path: Path) -> None:
    assert probe.ask([script(tmp_path, "flood", "exec yes")]) is None


def test_androids_own_commands_are_found_outside_the_path(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path, "getprop-of-this-test", "true")
    assert probe.which("getprop-of-this-test") is None
    monkeypatch.setattr(probe, "SYSTEM_BIN", str(tmp_path))
    assert probe.which("getprop-of-this-test") == path


def test_what_is_not_told_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text\xff")
    assert probe.read(str(tmp_path / "a")) == "text\N{REPLACEMENT CHARACTER}"
    assert probe.read(str(tmp_path / "b")) is None
    assert probe.names(str(tmp_path)) == ["a"]
    assert probe.names(str(tmp_path / "a")) is None


def test_a_file_that_is_no_openblas_does_not_say_how_it_was_built(tmp_path: Path) -> None:
    (tmp_path / "libopenblas.so").write_bytes(b"no library")
    assert probe.blas_parallel(str(tmp_path / "libopenblas.so")) is None
    assert probe.blas_parallel(np.random.bit_generator.__file__) is None


def test_trying_the_storage_leaves_nothing_behind(tmp_path: Path) -> None:
    probe.try_storage(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        probe.try_storage(tmp_path / "missing")


def test_the_real_probe_answers_of_this_machine(tmp_path: Path) -> None:
    here = Probe()
    free_mb, reserve_mb, max_ram_mb = here.memory()
    assert free_mb is not None
    assert min(free_mb, reserve_mb, max_ram_mb) > 0
    assert here.usable_cores() == len(os.sched_getaffinity(0))
    assert (here.python, here.executable) == (sys.version_info[:2], sys.executable)
    assert here.load("numpy") is np
    with open(tmp_path / "lock", "w", encoding="ascii") as file:
        file.write("77")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert here.holder(tmp_path / "lock") == 77
    assert here.holder(tmp_path / "lock") is None


@pytest.mark.parametrize(("prefix", "is_termux"), [
    ("/data/data/com.termux/files/usr", True), ("/usr", False), (None, False)])
def test_termux_is_known_by_its_prefix(prefix: str | None, is_termux: bool) -> None:
    environ = {} if prefix is None else {"PREFIX": prefix}
    assert Probe(environ=environ).is_termux is machine.is_termux(environ) is is_termux
