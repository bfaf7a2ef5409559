"""A worker without a daemon is known for what it is, adopted, or ended."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from agent.home.paths import RunFolder
from agent.trial.orphan import GONE, Adopted, end_orphans, living_worker, start_ticks
from tests.support.parts import write_events as write


def child(*words: str, lock: int | None = None) -> "subprocess.Popen[bytes]":
    """A process that runs, ends when its input does, and has these words in its command line.

    lock  a file it holds open
    """
    started = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()", *words],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               start_new_session=True, pass_fds=[] if lock is None else [lock])
    assert started.stdout is not None
    started.stdout.readline()
    return started


def begun(folder: RunFolder, pid: int, ticks: int | None) -> None:
    write(folder, {"kind": "start", "pid": pid, "ticks": ticks, "step": 0, "n_steps": 9})


def test_the_ticks_of_a_process_are_those_psutil_makes_its_start_of() -> None:
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    started_s = psutil.Process().create_time() - psutil.boot_time()
    assert abs(ticks / os.sysconf("SC_CLK_TCK") - started_s) < 1.5  # boot time is whole seconds


def test_a_process_that_has_ended_has_no_ticks_even_before_it_is_waited_for() -> None:
    with child() as one:
        assert start_ticks(one.pid) is not None
        assert one.stdin is not None
        one.stdin.close()
        os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
        assert start_ticks(one.pid) is None
    assert start_ticks(one.pid) is None


def test_an_adopted_worker_is_followed_to_its_end(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with child(str(tmp_path)) as one:
        begun(folder, one.pid, start_ticks(one.pid))
        found = living_worker(folder)
        assert found is not None
        assert (found.pid, found.poll()) == (one.pid, None)
        one.communicate(b"\n")
    assert found.poll() == GONE


@pytest.mark.parametrize("began", ["link", "this", "mount"])
def test_a_worker_is_known_by_every_name_of_its_home(tmp_path: Path, began: str) -> None:
    """A worker of an earlier version was told its folder as the person spelt the home."""
    root, link = tmp_path / "nights/runs/u", tmp_path / "link"
    root.mkdir(parents=True)
    link.symlink_to(tmp_path / "nights")
    told = {"link": link / "runs/u", "this": root, "mount": Path(f"/proc/self/root{root}")}[began]
    for folder in (RunFolder(root), RunFolder(link / "runs/u")):
        folder.events.unlink(missing_ok=True)
        with child(str(told)) as one:
            begun(folder, one.pid, start_ticks(one.pid))
            assert living_worker(folder) is not None
            one.communicate(b"\n")


def test_a_worker_is_known_after_its_home_was_moved_and_a_copys_is_not(tmp_path: Path) -> None:
    before, after = RunFolder(tmp_path / "before/runs/u"), RunFolder(tmp_path / "after/runs/u")
    before.root.mkdir(parents=True)
    with open(before.lock, "ab") as lock, child(str(before.root), lock=lock.fileno()) as one:
        begun(before, one.pid, start_ticks(one.pid))
        shutil.copytree(before.home.root, tmp_path / "copy")
        before.home.root.rename(after.home.root)
        assert living_worker(after) is not None
        assert living_worker(RunFolder(tmp_path / "copy/runs/u")) is None
        one.communicate(b"\n")


def test_a_worker_of_the_version_before_is_known_by_its_folder(tmp_path: Path) -> None:
    """Version 0.1 started `python -m agent.worker FOLDER PID`; the module has moved since."""
    folder = RunFolder(tmp_path)
    with child("-m", "agent.worker", str(tmp_path), "1") as one:
        begun(folder, one.pid, start_ticks(one.pid))
        found = living_worker(folder)
        assert found is not None
        assert found.pid == one.pid
        one.communicate(b"\n")


def test_a_process_that_has_the_pid_of_a_worker_is_not_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with child(str(tmp_path)) as one, child("another folder") as other:
        ticks = start_ticks(one.pid)
        assert ticks is not None
        assert Adopted(one.pid, ticks + 1).poll() == GONE  # it began at another time
        begun(folder, other.pid, start_ticks(other.pid))
        assert living_worker(folder) is None  # it computes elsewhere
        begun(folder, one.pid, None)
        assert living_worker(folder) is None  # written by a version that did not tell
        for process in (one, other):
            process.communicate(b"\n")


def test_a_folder_where_nothing_began_has_no_worker(tmp_path: Path) -> None:
    assert living_worker(RunFolder(tmp_path)) is None


SAVES = """
import pathlib, signal, sys, time
seen, root = [], pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
print(flush=True)
while not seen:
    time.sleep(0.01)
(root / "asked").touch()
while not all((one / "asked").exists() for one in root.parent.iterdir()):
    time.sleep(0.01)
"""


def test_all_that_are_left_are_asked_before_any_is_waited_for(tmp_path: Path) -> None:
    folders = [tmp_path / str(i) for i in range(3)]  # none leaves before all have been asked
    workers = []
    for folder in folders:
        folder.mkdir()
        workers.append(subprocess.Popen([sys.executable, "-c", SAVES, str(folder)],
                                        stdout=subprocess.PIPE, start_new_session=True))
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    end_orphans([(worker.pid, folder) for worker, folder in zip(workers, folders, strict=True)])
    for worker in workers:
        with worker:
            assert worker.wait() == 0  # it saved; the grace was not over
