"""Checks of the home: its storage, its ledger, who works in it, and the clock beside its stamps."""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from agent.doctor.probe import Answer, Probe
from agent.home import Home
from agent.machine import MIN_DISK_MB
from agent.words import clock as moment
from agent.words import seconds_between
from engine.errors import UserError

WARN_FREE_MB = 1000.0
FIRST_YEAR = 2024  # the program is younger
DAY_S = 86_400.0
# SQLite's locks and shared memory fail on these, or a crash tears what was synced.
BAD_KINDS = re.compile(r"fuse|vfat|exfat|msdos|sdcardfs")
NETWORK_KINDS = re.compile(r"nfs|cifs|smb|9p|ceph|afs")
MEMORY_KINDS = re.compile(r"tmpfs|ramfs")
SDCARD = "/sdcard"  # shared storage wherever there is one: also in a Linux inside of Termux
SHARED_FOLDERS = (SDCARD, "/storage", "/mnt/media_rw", "/mnt/sdcard")  # of Android
ELSEWHERE = "agent --home FOLDER run, with a folder of your own on a disk"
IN_TERMUX = "agent --home ~/nights run, in Termux's own storage"


@dataclass(frozen=True, slots=True)
class Mount:
    """What a folder is mounted as."""

    point: str
    kind: str
    options: str


def mount_of(folder: str, mountinfo: str) -> Mount | None:
    """The mount that a folder lies on, from the text of /proc/self/mountinfo."""
    found = None
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        before, after = left.split(), right.split()
        if len(before) < 6 or not after:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before[4])
        covers = _is_below(folder, point)
        if covers and (found is None or len(point) >= len(found.point)):  # the later lies on top
            found = Mount(point, after[0], before[5])
    return found


def _is_below(folder: str, other: str) -> bool:
    return folder == other or folder.startswith(other.rstrip("/") + "/")


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: on that storage it would be made."""
    folder = Path(os.path.realpath(folder))
    while not os.path.isdir(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def storage(probe: Probe, home: Home) -> Answer:
    """Whether the home lies where a database is safe."""
    folder = existing(home.root)
    elsewhere = IN_TERMUX if probe.is_termux else ELSEWHERE
    if probe.statvfs(folder).f_flag & os.ST_RDONLY:
        return "fail", f"{folder} is mounted read-only", elsewhere
    if shared := _shared(probe, str(folder), os.path.abspath(home.root)):
        return "fail", f"{shared} is shared storage, where a database is not safe", elsewhere
    if probe.is_termux and _is_below(str(folder), _termux_tmp(probe)):
        return "fail", f"{folder} is Termux's tmp, which is emptied while programs run", elsewhere
    mount = mount_of(str(folder), probe.read("/proc/self/mountinfo") or "")
    if mount is None:
        if probe.is_termux and _is_below(str(folder), _termux_files(probe)):
            return "ok", f"{folder} is in Termux's own storage", None
        return "warn", f"the kind of storage under {folder} cannot be read", None
    told = f"{folder} is on {mount.kind} ({mount.options})"
    if BAD_KINDS.search(mount.kind):
        return "fail", f"{told}, where a database is not safe", elsewhere
    if NETWORK_KINDS.match(mount.kind):
        return "warn", f"{told}, where locks and syncs may not hold", elsewhere
    if MEMORY_KINDS.match(mount.kind):
        return "warn", f"{told}, which is gone when the machine is switched off", elsewhere
    return "ok", told, None


def _termux_files(probe: Probe) -> str:
    """Termux's own storage, which no other app sees."""
    return os.path.dirname(os.path.realpath(probe.environ["PREFIX"]))


def _termux_tmp(probe: Probe) -> str:
    return os.path.realpath(os.path.join(probe.environ["PREFIX"], "tmp"))


def _shared(probe: Probe, folder: str, as_named: str) -> str | None:
    """Which of the two is storage that Android's apps share, whatever it is mounted as."""
    if probe.is_termux and any(_is_below(folder, shared) for shared in SHARED_FOLDERS):
        return folder
    return as_named if _is_below(as_named, SDCARD) else None


def free_disk(probe: Probe, home: Home) -> Answer:
    """Whether checkpoints have room for a night."""
    folder = existing(home.root)
    found = probe.statvfs(folder)
    free_mb = found.f_bavail * found.f_frsize / 1e6
    told = f"{free_mb:,.0f} MB free under {folder}"
    if free_mb < WARN_FREE_MB:
        return ("fail" if free_mb < MIN_DISK_MB else "warn",
                f"{told}; a night wants {WARN_FREE_MB:,.0f} MB", "free some space")
    return "ok", told, None


def writing(probe: Probe, home: Home) -> Answer:
    """Whether files of the home can be written, locked and synced."""
    folder = existing(home.root)
    try:
        probe.try_storage(folder)
    except OSError as error:
        return "fail", (f"a file in {folder} cannot be written, locked and synced: "
                        f"{error.strerror or error}"), (
            IN_TERMUX if probe.is_termux else ELSEWHERE)
    return "ok", "files can be written, locked and synced there", None


def ledger(probe: Probe, home: Home) -> Answer:
    """Whether the ledger is whole and of a known schema."""
    if not os.path.exists(home.ledger):
        return "ok", "there is no ledger yet; agent run starts one", None
    try:
        faults = probe.ledger_faults(home.ledger)
        gone, is_built_on = ("", False) if faults else probe.ledger_gaps(home.ledger)
    except UserError as error:
        return "fail", str(error), None
    if faults:
        return "fail", f"{home.ledger} is damaged: {'; '.join(faults)}", (
            f"sqlite3 {shlex.quote(str(home.ledger))} .recover | sqlite3 saved.db")
    if gone:
        return ("fail" if is_built_on else "warn"), f"the ledger lacks {gone}", (
            "put the rows back from a copy of ledger.db, or begin another study: agent run "
            "--run-tokens N")
    return "ok", "the ledger is whole and of a known schema", None


def daemon(probe: Probe, home: Home) -> Answer:
    """Who works in the home."""
    pid = probe.holder(home.lock)
    return "ok", "no agent runs here now" if pid is None else f"an agent runs here, pid {pid}", None


def clock(probe: Probe, home: Home) -> Answer:
    """Whether the time is plausible and not far behind what the ledger has seen."""
    now = probe.stamp()
    mends = ("Android's settings > System > Date & time > set automatically"
             if probe.is_termux else "timedatectl set-ntp true")
    if int(now[:4]) < FIRST_YEAR:
        return "warn", f"the clock says {moment(now)}, before this program was written", mends
    try:
        newest = probe.newest_stamp(home.ledger) if os.path.exists(home.ledger) else None
    except UserError:
        newest = None  # the ledger has a check of its own
    if newest is not None and seconds_between(now, newest) > DAY_S:
        return "warn", (f"the clock says {moment(now)}, but the ledger was written "
                        f"{moment(newest)}"), mends
    return "ok", f"the clock says {moment(now)}", None


def numbers(probe: Probe, home: Home) -> Answer:
    """Whether numpy computes right numbers for the models of this home."""
    found = probe.wrong_numbers(home.ledger)
    if found:
        return "fail", found[0], found[1]
    return "ok", "products, functions and a step of the model come out as they should", None
