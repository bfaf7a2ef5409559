"""A locked ledger, a full disk, a clock set back, torn files: waited for or mended, nothing lost.

Every night here is compared with one that met nothing: the same runs end at the same bits.
"""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.search.verdict import N_BASELINE_SEEDS
from tests.chaos.faults import Place, a_text, no_mounts, until

N_RUNS = N_BASELINE_SEEDS  # they do not depend on what was measured of the device
TOKENS = 120_000
DISK_MB = 420  # of which the guard wants 300 free before it goes on
needs_mounts = pytest.mark.skipif(no_mounts() is not None, reason=str(no_mounts()))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_text(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Place:
    """A night of the same runs that meets nothing."""
    place = Place(tmp_path_factory.mktemp("calm"), text)
    with place.night(N_RUNS, TOKENS) as daemon:
        assert daemon.wait(120) == 0, place.said()
    assert place.faults() == []
    return place


def goes_on(place: Place, calm: Place) -> None:
    """The rest of a night that was cut short; it ends like one that was not."""
    ((n_left,),) = place.ask(f"SELECT {N_RUNS} - count(*) FROM decisions")
    with place.night(n_left, TOKENS) as daemon:
        assert daemon.wait(120) == 0, place.said()
    assert place.faults() == []
    assert place.scores() == calm.scores()


@pytest.fixture(scope="module")
def night_cut_short(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Place:
    """A night that lost its power after two checkpoints of its first run."""
    place = Place(tmp_path_factory.mktemp("short"), text)
    with place.night(N_RUNS, TOKENS) as daemon:
        until(lambda: len(place.events("checkpoint")) >= 2, "two checkpoints")
        place.freeze(daemon)
    shutil.copytree(place.home, place.home.with_name("kept"))
    return place


@pytest.fixture
def cut_short(night_cut_short: Place) -> Place:
    """That night as its power left it; in its own folder, since jobs name their files whole."""
    shutil.rmtree(night_cut_short.home)
    shutil.copytree(night_cut_short.home.with_name("kept"), night_cut_short.home)
    night_cut_short.log.unlink(missing_ok=True)
    return night_cut_short


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


# --- the ledger ------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(ledger: Path) -> Iterator[None]:
    """Another program writes and does not come to an end."""
    db = sqlite3.connect(ledger, timeout=20, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


@pytest.mark.chaos
def test_a_locked_ledger_is_waited_for_in_one_sentence(
        tmp_path: Path, text: Path, calm: Place, request: pytest.FixtureRequest) -> None:
    place = Place(tmp_path, text)
    with place.night(N_RUNS, TOKENS) as daemon:
        until(lambda: place.ask("SELECT * FROM metrics"), "the first step")
        with locked(place.home / "ledger.db"):
            time.sleep(60 if request.config.getoption("--long") else 12)
            assert daemon.poll() is None
            assert place.said().count("waits: another program keeps") == 1
        assert daemon.wait(120) == 0, place.said()
    assert place.faults() == []
    assert place.scores() == calm.scores()
    assert place.ask("SELECT count(*) FROM events WHERE kind = 'unblocked'") == [(1,)]
    assert place.ask("SELECT max(attempts) FROM runs") == [(1,)]


@pytest.mark.chaos
def test_a_daemon_ends_within_ten_seconds_while_its_ledger_is_locked(
        tmp_path: Path, text: Path, calm: Place) -> None:
    place = Place(tmp_path, text)
    with place.night(N_RUNS, TOKENS) as daemon:
        until(lambda: place.ask("SELECT * FROM metrics"), "the first step")
        with locked(place.home / "ledger.db"):
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(10) == 1
    assert place.said().splitlines()[-1].startswith(
        "agent: stopped before all was noted: another program keeps")
    goes_on(place, calm)


# --- the clock -------------------------------------------------------------------------------

# The agent takes its stamps from datetime, so its real clock is left alone.
SET_BACK = """
import datetime, os
class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        days = 1 if os.path.exists({flag!r}) else 0
        return datetime.datetime.fromtimestamp(
            super().now(datetime.UTC).timestamp() - 86400 * days, tz)
datetime.datetime = Clock
"""


@pytest.mark.chaos
def test_a_clock_set_back_a_day_changes_nothing_but_the_stamps(
        tmp_path: Path, text: Path, calm: Place) -> None:
    flag = tmp_path / "yesterday"
    (tmp_path / "sitecustomize.py").write_text(SET_BACK.format(flag=str(flag)))
    place = Place(tmp_path, text, site=tmp_path)
    with place.night(N_RUNS, TOKENS) as daemon:
        until(lambda: place.ask("SELECT * FROM decisions"), "the first decision")
        until(lambda: place.ask("SELECT * FROM runs WHERE state = 'running' AND steps > 0"),
              "the second run")
        flag.touch()
        until(lambda: place.ask("SELECT * FROM runs WHERE heartbeat_at < created_at"),
              "a heartbeat of yesterday")
        ended = "SELECT count(*) FROM runs WHERE state NOT IN ('queued', 'running')"
        ((before,),) = place.ask(ended)
        status = place.agent("status", "--json")
        assert status.returncode == 0, status.stderr
        told = json.loads(status.stdout)
        ((after,),) = place.ask(ended)  # a run may end meanwhile
        assert told["night"]["state"] == "on"
        assert 1 <= before <= told["night"]["n_ended"] <= after < N_RUNS
        assert told["progress"]["silent_s"] is None
        assert place.agent("status").returncode == 0
        assert daemon.wait(120) == 0, place.said()
    assert place.faults() == []
    assert place.scores() == calm.scores()
    assert place.ask("SELECT label FROM runs ORDER BY id") == calm.ask(
        "SELECT label FROM runs ORDER BY id")
    assert json.loads(place.agent("status", "--json").stdout)["night"]["n_ended"] == N_RUNS


# --- the disk --------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with open(ballast, "wb") as file:
        for size in (2**20, 2**12):
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
    return ballast


@pytest.mark.chaos
@needs_mounts
def test_a_night_waits_while_the_disk_is_full_and_goes_on(
        tmp_path: Path, disk: Path, text: Path, calm: Place) -> None:
    place = Place(tmp_path, text, home=disk / "home")
    with place.night(N_RUNS, TOKENS) as daemon:
        until(lambda: place.events("checkpoint"), "a checkpoint")
        ballast = fill(disk)
        until(lambda: "waits: " in place.said(), "the daemon says that it waits")
        time.sleep(3)
        assert daemon.poll() is None
        assert len([line for line in place.said().splitlines() if "waits: " in line]) <= 3
        ballast.unlink()
        assert daemon.wait(120) == 0, place.said()
    assert place.faults() == []
    assert place.scores() == calm.scores()
    assert place.ask("SELECT max(attempts) > 1 FROM runs") == [(1,)]


@pytest.mark.chaos
@needs_mounts
def test_a_night_that_is_ended_on_a_full_disk_is_taken_up_when_there_is_room(
        tmp_path: Path, disk: Path, text: Path, calm: Place) -> None:
    place = Place(tmp_path, text, home=disk / "home")
    with place.night(N_RUNS, TOKENS) as daemon:
        until(lambda: place.events("checkpoint"), "a checkpoint")
        ballast = fill(disk)
        until(lambda: "waits: " in place.said(), "the daemon says that it waits")
        daemon.terminate()
        daemon.wait(10)
    ballast.unlink()
    goes_on(place, calm)
    assert any(start["step"] > 0 for start in place.events("start"))


@pytest.mark.skipif(os.geteuid() == 0 and no_mounts() is not None, reason=str(no_mounts()))
def test_a_home_that_may_not_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    before = () if os.geteuid() else (
        "unshare", "-m", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" '
        '&& exec "$@"', str(home))
    place = Place(tmp_path, a_text(tmp_path), before=before)
    for words in (["run", "--runs", "1"], ["train", "--steps", "1"]):
        found = place.agent(*words)
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr.startswith(f"agent: cannot write in the folder {home}: ")
        assert found.stderr.count("\n") == 1


# --- torn and spoilt files -------------------------------------------------------------------


@pytest.mark.chaos
def test_a_torn_line_and_a_torn_checkpoint_cost_only_what_they_held(
        cut_short: Place, calm: Place) -> None:
    place = cut_short
    (folder,) = {path.parent for path in place.home.glob("runs/*/checkpoint.npz")}
    kept = place.events("checkpoint")[-2]["step"]
    with open(folder / "events.jsonl", "ab") as file:
        file.write(b'{"kind": "step", "step": 10')
    halve(folder / "checkpoint.npz")
    goes_on(place, calm)
    started = [json.loads(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]
    assert [event["step"] for event in started if event["kind"] == "start"] == [0, kept]


@pytest.mark.chaos
@pytest.mark.parametrize(("name", "spoil"), [
    ("tokens-300-train.npy", flip_a_bit), ("tokens-300-search.npy", halve),
    ("tokenizer-300.json", halve), ("manifest.json", flip_a_bit)])
def test_a_spoilt_text_is_made_again(
        name: str, spoil: Callable[[Path], None], cut_short: Place, calm: Place) -> None:
    (cached,) = cut_short.home.glob(f"data/*/{name}")
    sound = cached.read_bytes()
    spoil(cached)
    goes_on(cut_short, calm)
    assert cached.read_bytes() == sound


# --- what is asked from outside --------------------------------------------------------------


def test_garbage_in_the_control_file_is_passed_over_and_commands_still_arrive(
        tmp_path: Path, text: Path) -> None:
    place = Place(tmp_path, text)
    control = place.home / "runs" / "control.json"
    with place.night(N_RUNS, 100 * TOKENS) as daemon:  # none of its runs gets to its end
        until(lambda: place.ask("SELECT * FROM metrics"), "the first step")
        for garbage in (b"\xff\xfe\0", b'{"command": ', b"[" * 100_000, b'["stop"]', b""):
            control.write_bytes(garbage)
            until(lambda: not control.exists(), "the garbage is taken away")
        assert place.agent("pause").returncode == 0
        until(lambda: place.ask("SELECT * FROM runs WHERE state = 'queued' AND attempts = 1"),
              "the run waits")
        assert place.agent("resume").returncode == 0
        until(lambda: place.ask("SELECT * FROM runs WHERE state = 'running' AND attempts = 2"),
              "the run goes on")
        assert place.agent("stop").returncode == 0
        assert daemon.wait(60) == 0
    assert place.ask("SELECT count(*) FROM events WHERE kind IN ('pause', 'resume', 'stop')") == [
        (3,)]
    assert place.ask("SELECT count(*) FROM runs WHERE state != 'queued'") == [(0,)]
    assert "Traceback" not in place.said()
