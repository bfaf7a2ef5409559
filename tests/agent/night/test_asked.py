"""A stop that comes before a night ticks, or while a tick prepares a text: it is heard at once."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.home.control import is_asked, send_command, take_command
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.night.launch import Desk
from agent.night.night import Night
from agent.search.campaign import Plan
from agent.trial import Runner, Stopped
from tests.support.parts import FakeSpawn, FakeTime, Listener, a_run, a_study
from tests.support.patience import patience

PATIENCE_S = patience(60.0)
LONG = ["--stories", "60000"]  # whose preparation takes a minute here


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "agent", "--home", str(home), *words],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


def is_preparing(home: Path) -> bool:
    return (home / "data" / "lock").exists()


def until(claim: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end, "the program did not get there"


@pytest.mark.parametrize("how", ["agent stop", "Ctrl-C"])
def test_a_stop_while_the_text_is_prepared_ends_it_in_seconds(tmp_path: Path, how: str) -> None:
    with start(tmp_path, "run", *LONG) as night:
        until(lambda: is_preparing(tmp_path))
        before = time.monotonic()
        if how == "Ctrl-C":
            night.send_signal(signal.SIGINT)
        else:
            with start(tmp_path, "stop") as stop:
                assert stop.wait(PATIENCE_S) == 0
        _, said = night.communicate(timeout=PATIENCE_S)
        assert time.monotonic() - before < patience(20)  # as two imports take on a busy machine
    assert night.returncode == 1
    assert said.splitlines()[-1] == "agent: stopped; the same command goes on"


def test_a_stop_that_was_asked_stays_for_the_tick_that_takes_it(tmp_path: Path) -> None:
    control = Home(tmp_path).control
    assert not is_asked(control, "stop")
    send_command(control, "pause")
    assert not is_asked(control, "stop")
    send_command(control, "stop")
    assert is_asked(control, "stop")
    assert is_asked(control, "stop")
    assert take_command(control) == "stop"


@pytest.mark.parametrize("spoilt", [b"", b"[]", b"{", b"\xff"])
def test_a_spoilt_control_file_asks_for_nothing(tmp_path: Path, spoilt: bytes) -> None:
    (tmp_path / "control").write_bytes(spoilt)
    assert not is_asked(tmp_path / "control", "stop")


def test_a_desk_hears_a_signal_and_the_control_file(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, Listener(), lambda *_: None)
        at.look()
        at.asked.set()
        with pytest.raises(Stopped):
            at.look()
        at.asked.clear()
        send_command(home.control, "stop")
        with pytest.raises(Stopped):
            at.look()


def test_a_stop_while_a_tick_prepares_a_vocabulary_ends_the_night_and_blames_no_run(
        tmp_path: Path) -> None:
    home = Home(tmp_path)

    def prepare(_vocab_size: int) -> Any:
        send_command(home.control, "stop")
        raise Stopped

    with Ledger.open(home.ledger) as ledger:
        runner = Runner(ledger, home, FakeTime().clock(), 3000.0, spawn=FakeSpawn())
        night = Night(runner, Plan(3000.0), prepare=prepare, observer=Listener(),
                      read_free_mb=lambda: 8000.0)
        night.study = ledger.calibration(a_study(ledger))
        a_run(ledger)
        night.tick()  # it would start the run, and prepares its text for that
        assert [run.state for run in ledger.runs()] == ["queued"]
        night.tick()
        assert night.is_over
        assert ledger.events(limit=1)[0].message.startswith("over: asked to by `agent stop`")
