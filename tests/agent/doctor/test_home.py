"""`agent doctor` on the home: its storage, its ledger, who works in it, and the clock."""

import os
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from agent.doctor import home as doctor_home
from agent.doctor.probe import Answer
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.migrations import known_steps, migrations
from agent.machine.conditions import Limits
from tests.support.example_home import a_home
from tests.support.example_machine import TERMUX, disk, machine, raising


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# --- its storage --------------------------------------------------------------------------------

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:30 / /my\040disk rw,noatime shared:2 master:7 - f2fs /dev/sda rw
31 22 0:31 / /mnt rw - ext4 /dev/sdb rw
32 22 0:32 / /mnt rw - tmpfs tmpfs rw
torn line
33 22 0:33 / /mntx rw -
"""


@pytest.mark.parametrize(("folder", "point", "kind"), [
    ("/", "/", "ext4"), ("/my disk/a", "/my disk", "f2fs"), ("/my diskette", "/", "ext4"),
    ("/mnt", "/mnt", "tmpfs"), ("/mntx/a", "/", "ext4")])
def test_a_folder_lies_on_the_nearest_and_newest_mount(folder: str, point: str, kind: str) -> None:
    mount = doctor_home.mount_of(folder, MOUNTS)
    assert mount is not None
    assert (mount.point, mount.kind) == (point, kind)


def test_no_mounts_no_answer() -> None:
    assert doctor_home.mount_of("/a", "") is None


def on(kind: str) -> dict[str, str]:
    return {"/proc/self/mountinfo": f"22 1 254:0 / / rw,relatime shared:1 - {kind} /dev/x rw\n"}


@pytest.mark.parametrize(("kind", "verdict", "words"), [
    ("ext4", "ok", ""), ("overlay", "ok", ""),
    *((kind, "fail", ", where a database is not safe")
      for kind in ("vfat", "exfat", "fuse", "fuseblk", "fuse.sshfs", "sdcardfs")),
    *((kind, "warn", ", where locks and syncs may not hold") for kind in ("nfs4", "cifs", "9p")),
    ("tmpfs", "warn", ", which is gone when the machine is switched off")])
def test_the_kind_of_storage_decides(home: Home, kind: str, verdict: str, words: str) -> None:
    found = doctor_home.storage(machine(on(kind)), home)
    assert found[:2] == (verdict, f"{home.root} is on {kind} (rw,relatime){words}")
    assert found[2] == (None if verdict == "ok" else doctor_home.ELSEWHERE)


def test_a_read_only_home_fails(home: Home) -> None:
    assert doctor_home.storage(machine(on("ext4"), statvfs=disk(flags=os.ST_RDONLY)), home) == (
        "fail", f"{home.root} is mounted read-only", doctor_home.ELSEWHERE)


def test_storage_that_cannot_be_read_is_a_warning(home: Home) -> None:
    assert doctor_home.storage(machine({}), home) == (
        "warn", f"the kind of storage under {home.root} cannot be read", None)


def test_a_home_that_is_not_there_is_judged_by_where_it_would_be(home: Home) -> None:
    finding = doctor_home.storage(machine(on("ext4")), Home(home.root / "a" / "b"))[1]
    assert finding.startswith(f"{home.root} is on ext4")


@pytest.mark.parametrize(("folder", "answer"), [
    ("files/home", ("ok", "{} is in Termux's own storage", None)),
    ("files/usr/tmp/a", ("fail", "{} is Termux's tmp, which is emptied while programs run",
                         doctor_home.IN_TERMUX)),
    ("elsewhere", ("warn", "the kind of storage under {} cannot be read", None))])
def test_termux_without_mounts_is_known_by_its_folders(
        home: Home, folder: str, answer: Answer) -> None:
    app = home.root / "com.termux"
    (app / folder).mkdir(parents=True)
    verdict, finding, remedy = answer
    probe = machine({}, environ={"PREFIX": str(app / "files/usr")})
    assert doctor_home.storage(probe, Home(app / folder)) == (
        verdict, finding.format(app / folder), remedy)


def test_shared_storage_fails_whatever_it_is_mounted_as(
        home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_home, "SHARED_FOLDERS", (str(home.root / "sdcard"),))
    (home.root / "sdcard").mkdir()
    (home.root / "link").symlink_to("sdcard")
    found = doctor_home.storage(machine(on("ext4"), environ=TERMUX), Home(home.root / "link/phi"))
    assert found == ("fail", f"{home.root}/sdcard is shared storage, where a database is not safe",
                     "agent --home ~/nights run, in Termux's own storage")


@pytest.mark.parametrize("environ", [{}, TERMUX])
def test_the_sdcard_fails_on_every_machine_and_before_it_is_there(
        environ: dict[str, str]) -> None:
    probe = machine(on("ext4"), environ=environ)
    verdict, finding, _ = doctor_home.storage(probe, Home(Path("/sdcard/nights")))
    assert (verdict, finding) == (
        "fail", "/sdcard/nights is shared storage, where a database is not safe")
    assert doctor_home.storage(probe, Home(Path("/sdcards/nights")))[0] == "ok"


@pytest.mark.parametrize(("free_mb", "verdict"), [
    (1001, "ok"), (999, "warn"), (201, "warn"), (199, "fail")])
def test_free_disk(home: Home, free_mb: float, verdict: str) -> None:
    found, finding, remedy = doctor_home.free_disk(machine(statvfs=disk(free_mb)), home)
    told = f"{free_mb:,.0f} MB free under {home.root}"
    assert found == verdict
    assert finding == (told if verdict == "ok" else f"{told}; a night wants 1,000 MB")
    assert remedy == (None if verdict == "ok" else "free some space")


def test_the_doctor_fails_where_the_guard_would_wait() -> None:
    assert Limits().min_disk_mb == doctor_home.MIN_DISK_MB


def test_a_home_that_cannot_be_written_fails(home: Home) -> None:
    probe = machine(try_storage=raising(PermissionError(13, "Permission denied")))
    assert doctor_home.writing(machine(), home) == (
        "ok", "files can be written, locked and synced there", None)
    assert doctor_home.writing(probe, home) == (
        "fail", f"a file in {home.root} cannot be written, locked and synced: Permission denied",
        "agent --home FOLDER run, with a folder of your own on a disk")


# --- the ledger, the daemon, the clock -------------------------------------------------------


def test_no_ledger_is_ok(home: Home) -> None:
    assert doctor_home.ledger(machine(), home) == (
        "ok", "there is no ledger yet; agent run starts one", None)


def test_a_whole_ledger_is_ok(tmp_path: Path) -> None:
    assert doctor_home.ledger(machine(), a_home(tmp_path / "home")) == (
        "ok", "the ledger is whole and of a known schema", None)


def test_a_ledger_of_an_older_schema_is_ok(home: Home) -> None:
    db = Database(sqlite3.connect(home.ledger))
    migrations.apply(db, stop_before=known_steps()[-1])
    db.close()
    assert doctor_home.ledger(machine(), home)[0] == "ok"


def altered(home: Home, *statements: str) -> None:
    connection = sqlite3.connect(home.ledger)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_row_that_points_nowhere_is_named_and_is_no_damage(tmp_path: Path) -> None:
    home = a_home(tmp_path / "a home")
    altered(home, "UPDATE runs SET parent_id = 99 WHERE id = 3")
    assert doctor_home.ledger(machine(), home) == (
        "warn", "the ledger lacks row 99 of runs, the parent of B2",
        "put the rows back from a copy of ledger.db, or begin another study: agent run "
        "--run-tokens N")


def test_an_index_that_lost_its_rows_fails(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    altered(home, "PRAGMA writable_schema = ON",
            "UPDATE sqlite_master SET sql = replace(sql, '(state)', '(uid)') "
            "WHERE name = 'runs_by_state'")
    verdict, finding, _ = doctor_home.ledger(machine(), home)
    assert verdict == "fail"
    assert "missing from index runs_by_state" in finding
    assert finding.count(";") < 5


def test_a_file_that_is_no_ledger_fails(home: Home) -> None:
    home.ledger.write_bytes(b"no database at all, but long enough to be read " * 30)
    assert doctor_home.ledger(machine(), home) == (
        "fail", f"{home.ledger} is not a SQLite database; move it away or use another --home", None)


def test_a_ledger_of_a_newer_program_fails(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    altered(home, "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
                  "VALUES ('ledger', 'm999_future', '2030')")
    assert "was written by a newer version" in doctor_home.ledger(machine(), home)[1]


def test_a_running_daemon_is_told(home: Home) -> None:
    assert doctor_home.daemon(machine(), home) == ("ok", "no agent runs here now", None)
    assert doctor_home.daemon(machine(holder=lambda _lock: 12), home) == (
        "ok", "an agent runs here, pid 12", None)


@pytest.mark.parametrize(("now", "verdict", "finding"), [
    ("2026-03-24T22:30:20Z", "ok", "the clock says 2026-03-24 22:30 UTC"),
    ("2026-03-23T22:30:22Z", "ok", "the clock says 2026-03-23 22:30 UTC"),
    ("2026-03-22T22:30:00Z", "warn", "the clock says 2026-03-22 22:30 UTC, but the ledger was "
                                     "written 2026-03-24 22:30 UTC"),
    ("1970-01-01T00:00:00Z", "warn", "the clock says 1970-01-01 00:00 UTC, before this program was "
                                     "written")])
def test_the_clock_is_not_far_behind_the_ledger(
        tmp_path: Path, now: str, verdict: str, finding: str) -> None:
    found = doctor_home.clock(machine(stamp=lambda: now), a_home(tmp_path / "home"))
    assert found == (verdict, finding, None if verdict == "ok" else "timedatectl set-ntp true")


def test_the_clock_needs_no_ledger_no_rows_and_no_whole_file(home: Home) -> None:
    assert doctor_home.clock(machine(), home)[0] == "ok"
    Ledger.open(home.ledger).close()
    assert doctor_home.clock(machine(), home)[0] == "ok"
    home.ledger.write_bytes(b"no database at all, but long enough to be read " * 30)
    assert doctor_home.clock(machine(), home)[0] == "ok"


def test_a_phones_clock_is_set_in_androids_settings(home: Home) -> None:
    probe = machine(environ=TERMUX, stamp=lambda: "1970-01-01T00:00:00Z")
    assert doctor_home.clock(probe, home)[2] == (
        "Android's settings > System > Date & time > set automatically")


def test_wrong_numbers_are_a_failure_with_what_mends_them(home: Home) -> None:
    assert doctor_home.numbers(machine(), home)[0] == "ok"
    found = machine(wrong_numbers=lambda path: (f"2 by 2 is 5 for {path.name}", "another numpy"))
    assert doctor_home.numbers(found, home) == (
        "fail", "2 by 2 is 5 for ledger.db", "another numpy")
