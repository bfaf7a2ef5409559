"""Who is asked to end, who never is, and what the ledger says of it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.night import signals
from agent.night.daemon import Daemon
from agent.night.launch import desk
from agent.night.signals import Asked, taken
from tests.agent.night.test_daemon import Stub
from tests.support.parts import Listener
from tests.support.patience import patience

ASKING = pytest.mark.parametrize("number", list(signals.REASONS), ids=lambda one: one.name)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (*signals.REASONS, signal.SIGTTOU)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@ASKING
def test_a_signal_ignored_at_start_stays_ignored_and_the_others_do_not(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)
    heard: list[int] = []
    with taken(lambda one, _frame: heard.append(one)):
        for one in signals.REASONS:
            signal.raise_signal(one)
    assert sorted(heard) == sorted(set(signals.REASONS) - {number})
    assert signal.getsignal(number) is signal.SIG_IGN


def test_what_was_there_before_is_there_again() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with taken(lambda one, _frame: None):
        assert signal.getsignal(signal.SIGTTOU) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGTTOU) is signal.SIG_DFL


def test_a_thread_that_hears_no_signals_works_all_the_same() -> None:
    done: list[bool] = []

    def work() -> None:
        with taken(lambda one, _frame: None):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


@ASKING
def test_a_night_ends_for_the_reason_it_was_given(number: int) -> None:
    night = Stub([lambda: signal.raise_signal(number), None, None])
    told: list[str] = []
    night.stop = told.append  # type: ignore[attr-defined]
    Daemon(night).run()  # type: ignore[arg-type]
    assert set(told) == {signals.REASONS[signal.Signals(number)]}


def test_a_closing_terminal_that_hangs_up_twice_is_still_asked_once(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "_exit", lambda status: pytest.fail("left without saving"))
    daemon = Daemon(Stub([None]))  # type: ignore[arg-type]
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        daemon._on_signal(number, None)
    assert daemon.asked.is_set()


def test_who_is_asked_twice_leaves_at_once_though_nobody_hears_it(
        monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(os, "write", lambda fd, data: (_ for _ in ()).throw(OSError(5, "gone")))
    daemon = Daemon(Stub([None]))  # type: ignore[arg-type]
    daemon._on_signal(signal.SIGINT, None)
    daemon._on_signal(signal.SIGINT, None)
    assert left == [130]


def test_a_reader_who_does_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = threading.Event()
    monkeypatch.setattr(os, "write", lambda fd, data: reads.wait())
    monkeypatch.setattr(signals, "LAST_WORD_S", 0.01)
    signals.say_at_once("left at once\n")
    reads.set()


@ASKING
def test_before_the_first_run_it_leaves_and_the_ledger_says_why(tmp_path: Path,
                                                                number: int) -> None:
    home = Home(tmp_path)
    with suppress(KeyboardInterrupt), desk(home, Listener(), lambda *_: None):
        signal.raise_signal(number)
        pytest.fail("it went on")
    with Ledger.open(home.ledger) as ledger:
        event = ledger.events(limit=1)[0]
    assert (event.kind, signals.REASONS[signal.Signals(number)] in event.message) == (
        "signal", True)


def test_it_is_told_as_an_interrupt_is() -> None:
    assert issubclass(Asked, KeyboardInterrupt)


@pytest.mark.parametrize("how", ["trap '' HUP; exec", "nohup"])
def test_a_worker_keeps_ignoring_what_its_daemon_ignored(how: str) -> None:
    code = ("import signal, agent.trial.worker as worker\n"
            "try:\n    worker.main(['/nowhere', '1'])\nexcept BaseException:\n    pass\n"
            "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, "
            "callable(signal.getsignal(signal.SIGTERM)))")
    found = subprocess.run(["sh", "-c", f'{how} "$@"', "sh", sys.executable, "-c", code],
                           capture_output=True, text=True, timeout=patience(60))
    assert found.stdout == "True True\n"
