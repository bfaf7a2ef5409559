"""What on this machine will spoil a night, and the one command or setting that mends it."""

import textwrap
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from agent.doctor import home as doctor_home
from agent.doctor import machine as doctor_machine
from agent.doctor import phone as doctor_phone
from agent.doctor.probe import Answer, Probe, Verdict
from agent.home import Home
from agent.words import printable

CHECK_S = 30.0  # until a check that hangs is left behind
# What is wrong with numbers is known after one child, what mends it after up to three more: on a
# slow processor that takes longer, and the remedy is what was asked for.
SLOW_S = {"numbers": 300.0}
SIGNS = {"ok": "ok", "warn": "warn", "fail": "FAIL"}

Step = tuple[str, Callable[[], Answer]]


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at the machine found."""

    name: str
    verdict: Verdict
    finding: str
    remedy: str | None  # one command or setting


def steps(probe: Probe, home: Home) -> list[Step]:
    """Every check that makes sense on this machine, by name, in the order people read them."""
    of_machine: dict[str, Callable[[Probe], Answer]] = {
        "python": doctor_machine.python, "packages": doctor_machine.packages,
        "blas": doctor_machine.blas, "kernels": doctor_machine.kernels,
        "cores": doctor_machine.cores, "memory": doctor_machine.memory,
        "time zone": doctor_machine.time_zone,
        "strategies": doctor_machine.strategies,
        "sensors": doctor_phone.sensors}
    of_phone: dict[str, Callable[[Probe], Answer]] = {
        "wake lock": doctor_phone.wake_lock, "battery": doctor_phone.battery_exemption,
        "processes": doctor_phone.phantom_limit}
    of_home: dict[str, Callable[[Probe, Home], Answer]] = {
        "storage": doctor_home.storage, "disk": doctor_home.free_disk,
        "writing": doctor_home.writing, "ledger": doctor_home.ledger,
        "daemon": doctor_home.daemon, "clock": doctor_home.clock,
        "numbers": doctor_home.numbers}
    chosen = of_machine | (of_phone if probe.is_termux else {})
    return [*((name, partial(look, probe)) for name, look in chosen.items()),
            *((name, partial(look_at, probe, home)) for name, look_at in of_home.items())]


def examine(chosen: Iterable[Step], limit_s: float = CHECK_S,
            slow_s: Mapping[str, float] = SLOW_S) -> list[Check]:
    """What every check found; one that breaks or hangs is a warning and holds up nobody."""
    return [_bounded(name, look, slow_s.get(name, limit_s)) for name, look in chosen]


def _bounded(name: str, look: Callable[[], Answer], limit_s: float) -> Check:
    answers: list[Answer] = []

    def work() -> None:
        try:
            answers.append(look())
        except Exception as error:  # noqa: BLE001 the edge of a check: told, and the next goes on
            answers.append(("warn", f"could not be checked: {type(error).__name__}: {error}", None))

    # A read of a broken disk or driver may never return: the thread is left behind then.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)
    if not answers:
        return Check(name, "warn", f"gave no answer within {limit_s:g} s", None)
    return Check(name, *answers[0])


def render(checks: Sequence[Check], width: int) -> str:
    """Aligned lines for a person; remedies stay whole, to be copied."""
    room = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        head = f"{SIGNS[check.verdict]:4}  {check.name:{room}}  "
        finding = " ".join(printable(check.finding).split())
        lines += textwrap.wrap(finding, max(width, len(head) + 20), initial_indent=head,
                               subsequent_indent=" " * len(head), break_on_hyphens=False)
        if check.remedy:
            lines.append(f"{' ' * len(head)}→ {printable(check.remedy)}")
    return "\n".join(lines)


def told_failures(checks: Sequence[Check]) -> str | None:
    """One sentence that names what fails; None where nothing does."""
    failing = [check.name for check in checks if check.verdict == "fail"]
    if not failing:
        return None
    return (f"{len(failing)} of {len(checks)} checks failed: {', '.join(failing)}; what mends each "
            "stands beside it")


def told_packages(probe: Probe) -> str | None:
    """What is missing and what brings it back, for a program that cannot even start."""
    verdict, finding, remedy = doctor_machine.packages(probe)
    return f"agent: {finding}\nmend it with: {remedy}" if verdict == "fail" else None
