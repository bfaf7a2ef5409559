"""Checks of the interpreter, its packages and the machine they run on."""

import re
import shlex
import zoneinfo
from importlib import metadata
from pathlib import Path

from agent.doctor.probe import Answer, Probe
from agent.machine import affinity

PYTHONS = ((3, 11), (3, 14))  # oldest and newest that the program is made for

# Import name → what pip is asked for, as in pyproject.toml. click comes with sqlite-utils; tzdata
# has a check of its own, because many systems have such data themselves.
PACKAGES = {
    "numpy": "numpy>=2.0", "psutil": "psutil>=5.9", "sqlite_utils": "sqlite-utils>=4.0",
    "apscheduler": "apscheduler>=3.11,<4", "rich": "rich>=13.7", "click": "click",
}
# From PyPI these take an hour under Termux, or do not build at all.
TERMUX_PACKAGES = {"numpy": "python-numpy", "psutil": "python-psutil"}
ROOT = Path(__file__).resolve().parents[2]  # the checkout, or the folder of an installed wheel

COMPILERS = ("cc", "clang", "gcc")  # any of which compiles them
LIBRARY = re.compile(r"(/\S*/lib[^/\s]*(?:blas|blis|mkl_rt)[^/\s]*\.so[^/\s]*)$", re.MULTILINE)
ONE_ZONE = "Europe/Berlin"


def python(probe: Probe) -> Answer:
    """Whether the interpreter is one the program is made for."""
    here = ".".join(map(str, probe.python))
    oldest, newest = (".".join(map(str, version)) for version in PYTHONS)
    mends = "pkg install python" if probe.is_termux else f"install Python {newest}"
    if probe.python < PYTHONS[0]:
        return "fail", f"Python {here} is too old; {oldest} to {newest} will do", mends
    if probe.python > PYTHONS[1]:
        return "warn", f"Python {here} is newer than what is tested, {oldest} to {newest}", None
    return "ok", f"Python {here}", None


def packages(probe: Probe) -> Answer:
    """Whether all that `agent run` imports is there: a new minor Python loses pip's packages."""
    missing, reasons = [], []
    for name in PACKAGES:
        try:
            probe.load(name)
        except Exception as error:  # noqa: BLE001 a broken package may raise anything
            missing.append(name)
            reasons.append(f"{name} ({str(error) or type(error).__name__})")
    try:
        probe.version("phi-auto")
        is_installed = True
    except metadata.PackageNotFoundError:
        is_installed = False
        reasons.append("phi-auto itself (not installed for this Python)")
    if not reasons:
        return "ok", f"{', '.join(PACKAGES)} can be imported", None
    return "fail", f"cannot be imported: {', '.join(reasons)}", install_command(
        probe, missing, is_installed)


def install_command(probe: Probe, missing: list[str], is_installed: bool) -> str:
    """One line for the shell that brings the missing packages back."""
    from_termux = [TERMUX_PACKAGES[name] for name in missing
                   if probe.is_termux and name in TERMUX_PACKAGES]
    from_pip = [PACKAGES[name] for name in missing
                if not (probe.is_termux and name in TERMUX_PACKAGES)]
    steps = [["pkg", "install", *from_termux]] if from_termux else []
    pip = [probe.executable, "-m", "pip", "install"]
    steps += [[*pip, *from_pip]] if from_pip else []
    is_checkout = 'name = "phi-auto"' in (probe.read(f"{ROOT}/pyproject.toml") or "")
    # A file, not the name: what PyPI has under that name need not be this program.
    itself = ["-e", str(ROOT)] if is_checkout else ["phi_auto-VERSION-py3-none-any.whl"]
    steps += [] if is_installed else [[*pip, "--no-deps", *itself]]
    return " && ".join(map(shlex.join, steps))


def kernels(probe: Probe) -> Answer:
    """Whether what numpy makes many passes for is computed by kernels in C."""
    name, why = probe.kernels()
    if name != "numpy":
        return "ok", f"{name}, {why}: numpy's passes over memory in one each", None
    told = f"numpy alone: {why}; kernels in C spare a training step some tenth of its time"
    if any(map(probe.which, COMPILERS)):
        return "ok", told, None
    zig = shlex.join([probe.executable, "-m", "pip", "install", "ziglang"])
    return "ok", told, "pkg install clang" if probe.is_termux else zig


def blas(probe: Probe) -> Answer:
    """Whether numpy's OpenBLAS has threads; an OpenBLAS without them has no locks either."""
    probe.load("numpy")
    libraries = sorted(set(LIBRARY.findall(probe.read("/proc/self/maps") or "")))
    found = [library for library in libraries if "openblas" in library]
    if not found:
        others = ", ".join(Path(library).name for library in libraries) or "an unknown library"
        return "warn", f"numpy computes with {others}, whose threads cannot be asked for", None
    threads = probe.blas_parallel(found[0])
    name = Path(found[0]).name
    if kind := probe.environ.get("OPENBLAS_CORETYPE"):  # a remedy for wrong numbers, or a habit
        name += f", held to what it has for {kind} by OPENBLAS_CORETYPE,"
    if threads == 0:
        return "ok", (f"{name} is built without threads and locks: one core a process, and "
                      "replicas in processes of their own use the others"), None
    if threads == 1:
        return "ok", f"{name} is built with threads; a worker is given one", None
    if threads == 2:
        return "ok", f"{name} is built with OpenMP; a worker is given one thread", None
    return "warn", f"{name} does not say whether it has threads", None


def cores(probe: Probe) -> Answer:
    """Whether this process may use every core."""
    usable, all_of_them = probe.usable_cores(), probe.all_cores()
    if all_of_them is None:
        return "warn", f"{usable} cores are usable, of an unknown number", None
    if usable < all_of_them:
        mends = ("bring Termux to the front; Android takes cores away in the background"
                 if probe.is_termux else f"taskset -cp 0-{all_of_them - 1} $$")
        return "warn", f"{usable} of {all_of_them} cores are usable now", mends
    allowed = probe.container()[1]
    if allowed is not None and allowed < usable:
        return "warn", (f"this container may use {allowed:g} of {usable} cores, so a run gets "
                        f"{max(1, int(allowed))}"), "give the container more: --cpus of docker"
    told = "the one core is usable" if usable == 1 else f"all {usable} cores are usable"
    every = frozenset(range(usable))
    few = affinity.fast(affinity.capacities(every, probe.read))
    if few and few != every:
        told += (f"; {affinity.listed(few)} are the fast ones, and `agent run` keeps to them where "
                 "it measures that to be faster")
    return "ok", told, None


def memory(probe: Probe) -> Answer:
    """Whether a run may take as much memory as --max-ram allows."""
    free_mb, reserve_mb, max_ram_mb = probe.memory()
    limit = probe.container()[0]
    if not limit.is_known:
        return "fail", (f"this container may take {limit.limit_mb:,.0f} MB and hides how much of "
                        "that is taken, and unknown is not enough to start a run"), (
                        "make memory.current of its control group readable")
    if free_mb is None:
        mends = "pkg install python-psutil" if probe.is_termux else None
        return "fail", "free memory cannot be read, and unknown is not enough to start a run", mends
    room_mb = free_mb - reserve_mb
    told = f"{free_mb:,.0f} MB free, {reserve_mb:,.0f} of it a reserve"
    mends = "close other apps"
    if limit.free_mb is not None and limit.free_mb <= free_mb:
        told = f"{told}, in a container of {limit.limit_mb:,.0f} MB"
        mends = "give the container more memory"
    if room_mb < 100:
        return "fail", f"{told}: no run can start", mends
    if room_mb < max_ram_mb:
        return "warn", (f"{told}: less than the {max_ram_mb:,.0f} MB that --max-ram allows a run, "
                        "so large ones wait"), (
            f"{mends}, or: agent run --max-ram {room_mb // 100 * 100:.0f}M")
    return "ok", f"{told}; a run may take {max_ram_mb:,.0f} MB", None


def strategies(probe: Probe) -> Answer:
    """Whether every strategy that another package brings can be used."""
    found = probe.strategies()
    if found.remarks:
        packages = sorted({remark.package for remark in found.remarks if remark.package})
        mends = shlex.join([probe.executable, "-m", "pip", "uninstall", *packages])
        return "warn", "; ".join(remark.text for remark in found.remarks), (
            f"mend the package, or: {mends}" if packages else None)
    told = found.told()
    return "ok", f"also of other packages: {told}" if told else "the project's own", None


def time_zone(probe: Probe) -> Answer:
    """Whether times of the day can be told; the daemon itself reckons in UTC."""
    try:
        probe.zone(ONE_ZONE)
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        return "warn", "there is no time zone data, so only UTC is known", shlex.join(
            [probe.executable, "-m", "pip", "install", "tzdata"])
    return "ok", "time zone data is there; the ledger is in UTC", None
