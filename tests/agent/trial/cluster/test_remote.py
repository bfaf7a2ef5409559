"""A worker elsewhere, as a runner polls it, and what its folder tells of where it is."""

import signal
import subprocess
from pathlib import Path

import pytest

from agent.home import RunFolder
from agent.trial import STOPPED
from agent.trial.cluster.likeness import class_name
from agent.trial.cluster.remote import Berth, Remote, berth_file, settle
from tests.agent.trial.cluster.test_likeness import OURS

BERTH = Berth("E1-a", "tcp://there:1", 0, OURS)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_a_remote_is_over_when_its_follower_says_so(folder: RunFolder) -> None:
    remote = Remote("E1", folder, BERTH)
    assert remote.poll() is None
    remote.signal(signal.SIGTERM)
    assert remote.is_asked
    assert remote.poll() is None  # it saves first
    remote.lose("its machine left")
    assert remote.poll() == STOPPED
    with pytest.raises(ProcessLookupError):
        remote.signal(signal.SIGTERM)


def test_a_killed_remote_is_over_at_once_whatever_its_machine_does(folder: RunFolder) -> None:
    remote = Remote("E1", folder, BERTH)
    remote.signal(signal.SIGKILL)
    assert remote.poll() == -signal.SIGKILL
    remote.lose("late")
    assert remote.why is None


def test_who_waits_for_it_waits_as_for_a_child(folder: RunFolder) -> None:
    remote = Remote("measurement", folder, BERTH)
    with pytest.raises(subprocess.TimeoutExpired):
        remote.wait(0.0)
    remote.kill()
    assert remote.wait(0.0) == -signal.SIGKILL
    remote.kill()  # twice is no fault


def test_a_row_tells_the_device_and_its_class(folder: RunFolder) -> None:
    where = Remote("E1", folder, BERTH).where()
    assert where.device == f"a phone, {class_name(OURS.bits)}" == "a phone, class bbbbbb"
    assert where.code_version == "0.4.0+abc"


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[]", b'{"attempt": 1}',
                                    b'{"attempt": "a", "address": 3, "base": 0, "likeness": {}}'])
def test_a_berth_is_read_back_or_is_none(folder: RunFolder, spoilt: bytes) -> None:
    assert Berth.read(folder) is None
    BERTH.write(folder)
    assert Berth.read(folder) == BERTH
    berth_file(folder).write_bytes(spoilt)
    assert Berth.read(folder) is None


def test_a_torn_line_goes_before_an_attempt_begins(folder: RunFolder) -> None:
    assert settle(folder) == 0
    folder.events.write_bytes(b'{"kind": "step"}\n{"ki')
    assert settle(folder) == 17
    assert folder.events.read_bytes() == b'{"kind": "step"}\n'
