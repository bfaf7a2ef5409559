"""Which machine takes a run: pure, from what each machine last said of itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent.machine import Word
from agent.trial.cluster.likeness import Likeness, class_name

STALE_S = 15.0  # what a machine said longer ago says nothing
REST_S = 5.0  # after a trial was lost there; doubled each time
MAX_DOUBLED = 6
KNOWN = ("is_go", "reason", "free_mb", "reserve_mb", "max_ram_mb", "capacity", "n_trials")


@dataclass(slots=True)
class Machine:
    """A machine of the cluster, as its home knows it."""

    address: str
    name: str
    likeness: Likeness | None = None  # None: it has not answered yet
    refusal: str | None = None
    told: dict[str, Any] = field(default_factory=dict)  # by its station
    told_s: float = -1e9
    taken: dict[str, float] = field(default_factory=dict)  # MB each attempt here will take
    n_lost: int = 0  # trials in a row
    rests_until_s: float = 0.0

    @property
    def kind(self) -> str | None:
        """The name of its class."""
        return class_name(self.likeness.bits) if self.likeness else None

    def is_there(self, now_s: float) -> bool:
        """Whether it may compute for this home, and has spoken lately."""
        return (self.likeness is not None and self.refusal is None and bool(self.told)
                and now_s - self.told_s < STALE_S)

    def capacity(self, now_s: float) -> int:
        """Trials at once now, with those under way."""
        if not self.is_there(now_s):
            return len(self.taken)
        takes = self.told["is_go"] and now_s >= self.rests_until_s
        capacity: int = self.told["capacity"] if takes else 0
        return max(len(self.taken), capacity)

    def n_open(self, now_s: float) -> int:
        """Trials that it would take beside those under way, of other homes, too."""
        n_there: int = self.told.get("n_trials", 0)
        return self.capacity(now_s) - max(len(self.taken), n_there)

    def note_end(self, attempt: str, now_s: float, *, is_lost: bool) -> None:
        """A trial is over. Where it was lost the machine rests: what made it so may pass."""
        self.taken.pop(attempt, None)
        if self.told:
            self.told["n_trials"] = max(0, self.told["n_trials"] - 1)
        if not is_lost:
            self.n_lost = 0
            return
        self.rests_until_s = now_s + REST_S * 2 ** min(self.n_lost, MAX_DOUBLED)
        self.n_lost += 1


@dataclass(frozen=True, slots=True)
class Need:
    """What a run asks of a machine."""

    label: str
    predicted_mb: float
    kind: str | None = None  # the class it has to be computed on; None: any


def is_told(values: Any) -> bool:
    """Whether what a station said of itself is what it should be."""
    return isinstance(values, dict) and all(name in values for name in KNOWN) and isinstance(
        values["capacity"], int) and all(
        isinstance(values[name], int | float) for name in ("reserve_mb", "max_ram_mb"))


def choose(machines: Iterable[Machine], need: Need, now_s: float) -> Machine | Word:
    """The machine that has most room for a run, or why it has to wait."""
    present = [one for one in machines if one.is_there(now_s)]
    if not present:
        return _wait("no machine of the cluster is there", "cluster")
    of_class = [one for one in present if need.kind in (None, one.kind)]
    if not of_class:
        return _wait(f"{need.label} is computed on {need.kind} alone, whose noise is known, and no "
                     "machine of it is there", "class")
    open_ = [one for one in of_class if one.n_open(now_s) > 0]
    if not open_:
        return _wait(_why_closed(of_class), "machines")
    found = [one for one in open_ if not _why_short(one, need)]
    if not found:
        return _wait(_why_short(open_[0], need), "memory")
    return max(found, key=lambda one: (one.n_open(now_s), one.name, one.address))


def main_class(machines: Iterable[Machine], now_s: float) -> str | None:
    """The class that has the most room here; None where no machine is there."""
    room: dict[str, int] = {}
    for one in machines:
        if one.is_there(now_s) and one.kind:
            room[one.kind] = room.get(one.kind, 0) + one.capacity(now_s)
    return max(sorted(room), key=room.__getitem__, default=None)


def _why_closed(machines: list[Machine]) -> str:
    """Why none of them takes a trial now."""
    waiting = [f"{one.name} waits: {one.told['reason']}" for one in machines
               if not one.told["is_go"]]
    return "; ".join(waiting[:3]) or "every machine has as many trials as it takes"


def _why_short(machine: Machine, need: Need) -> str:
    """What a machine lacks for a run; empty where it lacks nothing."""
    told, taken_mb = machine.told, sum(machine.taken.values())
    free_mb = told["free_mb"]
    if need.predicted_mb > told["max_ram_mb"]:
        return (f"predicted peak {need.predicted_mb:,.0f} MB is over the {told['max_ram_mb']:,.0f} "
                f"MB that {machine.name} gives")
    if not isinstance(free_mb, int | float):
        return f"free memory of {machine.name} cannot be read, and unknown is not enough"
    if told["n_trials"] >= len(machine.taken):
        taken_mb = 0.0  # what is free was told with them under way
    if need.predicted_mb + told["reserve_mb"] > free_mb - taken_mb:
        return (f"predicted peak {need.predicted_mb:.0f} MB and a reserve of "
                f"{told['reserve_mb']:.0f} MB do not fit in {free_mb:.0f} MB free on "
                f"{machine.name}")
    return ""


def _wait(reason: str, cause: str) -> Word:
    return Word(False, reason, may_pass=True, cause=cause)
