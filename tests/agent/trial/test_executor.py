"""This machine as a place that computes trials, with a real process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.home.paths import RunFolder
from agent.machine import machine
from agent.machine.guard import Reading
from agent.trial.executor import Here, Process
from tests.support.parts import FakeProcess


def sleeper(folder: RunFolder) -> Process:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                            start_new_session=True)


def test_a_worker_is_a_process_of_its_own_that_signals_reach(tmp_path: Path) -> None:
    here = Here(sleeper, lambda pid: Reading(float(pid), 1.0))
    worker = here.start(None, RunFolder(tmp_path))  # type: ignore[arg-type]
    assert worker.poll() is None
    assert here.read(worker) == Reading(float(worker.pid), 1.0)
    here.signal(worker, signal.SIGKILL)
    assert isinstance(worker, subprocess.Popen)
    assert worker.wait(30) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        here.signal(FakeProcess(), signal.SIGTERM)


def test_it_has_no_limit_of_its_own_and_tells_what_it_is(tmp_path: Path) -> None:
    here = Here()
    assert here.n_at_once is None
    assert here.may_start(None, 1e9) is None  # type: ignore[arg-type]
    assert here.find(None, RunFolder(tmp_path)) is None  # type: ignore[arg-type]
    assert here.where(FakeProcess()).device == machine.device()
