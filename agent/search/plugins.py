"""Strategies of other packages: found by their entry points, left out with a sentence if unusable.

    [project.entry-points."phi_auto.strategies"]
    cooldown = "phi_auto_cooldown:propose"

Whatever is wrong with one costs that one alone: it becomes a remark.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from agent.ledger import LABEL_LETTERS
from agent.search.proposer import WARM_START
from agent.words import one_line, told_error
from strategies import STRATEGIES
from strategies.base import Mutator

GROUP = "phi_auto.strategies"
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")  # as it stands in the ledger and in tables
VALUE = re.compile(r"[\w.]+\s*:\s*[\w.]+")
RESERVED = {*LABEL_LETTERS, WARM_START}  # what the ledger calls runs that no strategy proposed
NAMELESS = "a package without a name"

Distributions = Callable[[], Iterable[metadata.Distribution]]


@dataclass(frozen=True, slots=True)
class Remark:
    """Why a strategy, or a whole package, is left out: one sentence with the remedy."""

    package: str | None  # None where it does not tell its name
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What other packages brought."""

    mutators: Mapping[str, Mutator]  # by name, in its order
    packages: Mapping[str, str]  # strategy → package and version
    remarks: Sequence[Remark]

    def told(self) -> str | None:
        """cooldown of phi-auto-cooldown 0.1; None where there is none."""
        return ", ".join(f"{name} of {self.packages[name]}" for name in self.mutators) or None


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry point as its package wrote it."""

    name: str
    package: str  # as pip compares names
    value: str
    version: str


def find(distributions: Distributions = metadata.distributions) -> Found:
    """Every usable strategy of the installed packages, and a remark on each that is not.

    Of two packages with one name for a strategy the alphabetically first has it, even where its
    own is broken: in a ledger, a name must not change its meaning.
    """
    entries, remarks = _entries(distributions)
    mutators, packages = dict[str, Mutator](), dict[str, str]()
    owners: dict[str, str] = {}
    entries.sort(key=lambda one: (one.name, one.package == NAMELESS, one.package, one.value))
    for entry in entries:
        fault = _why_not_named(entry, owners.get(entry.name))
        owners.setdefault(entry.name, entry.package)
        loaded = None if fault else _load(entry)
        if isinstance(loaded, str) or loaded is None:
            remarks.append(_remark(entry.package, f"strategy {one_line(entry.name)} of "
                                   f"{entry.package} is left out: {fault or loaded}"))
        else:
            mutators[entry.name] = loaded
            packages[entry.name] = f"{entry.package} {entry.version}".strip()
    return Found(mutators, packages, remarks)


def _entries(distributions: Distributions) -> tuple[list[_Entry], list[Remark]]:
    """The group's entry points; of a package that is on the path twice, those of the first."""
    seen: set[str] = set()
    entries: list[_Entry] = []
    remarks: list[Remark] = []
    for distribution in _installed(distributions, remarks):
        package = _name(distribution)
        if package in seen:
            continue
        seen |= {package} - {NAMELESS}
        try:
            entries += [_Entry(point.name, package, point.value, _version(distribution))
                        for point in distribution.entry_points if point.group == GROUP]
        except Exception as error:  # noqa: BLE001 a torn package may raise anything
            remarks.append(_remark(package, f"the entry points of {package} cannot be read "
                                   f"({told_error(error)}), so any strategies in it are left "
                                   "out; install it anew"))
    return entries, remarks


def _remark(package: str, text: str) -> Remark:
    return Remark(None if package == NAMELESS else package, text)


def _installed(distributions: Distributions,
               remarks: list[Remark]) -> Iterator[metadata.Distribution]:
    try:
        yield from distributions()
    except Exception as error:  # noqa: BLE001 whoever changes how packages are found may err
        remarks.append(Remark(None, "the installed packages cannot be listed "
                              f"({told_error(error)}), so strategies of some may be missing; "
                              "`pip check` may say more"))


def _name(distribution: metadata.Distribution) -> str:
    """A package as pip calls it: Phi_Cooldown and phi-cooldown are one."""
    try:
        name = distribution.metadata["Name"]
    except Exception:  # noqa: BLE001 torn METADATA may raise anything
        return NAMELESS
    return re.sub(r"[-_.]+", "-", one_line(name).lower()) if name else NAMELESS


def _version(distribution: metadata.Distribution) -> str:
    try:
        return one_line(distribution.version or "")
    except Exception:  # noqa: BLE001 torn METADATA may raise anything
        return ""


def _why_not_named(entry: _Entry, owner: str | None) -> str | None:
    """What is wrong with the name, and what to do; None where it can be had."""
    if not NAME.fullmatch(entry.name):
        return "a name is 1 to 32 of a-z, 0-9 and _, a letter first; rename it"
    if entry.name in STRATEGIES:
        return "the project's own strategy has that name; rename it"
    if entry.name in RESERVED:
        return "the ledger uses that word for runs that no strategy proposed; rename it"
    if owner == entry.package:
        return f"{owner} has named another one so; rename one of them"
    if owner is not None:
        return f"{owner} has that name already; rename it, or uninstall one of the two"
    return None


def _load(entry: _Entry) -> Mutator | str:
    """The strategy, or what keeps it from being one."""
    if not VALUE.fullmatch(entry.value.strip()):
        return (f"{one_line(entry.value)} is not of the form module:function; correct its entry "
                "point")
    try:
        loaded = metadata.EntryPoint(entry.name, entry.value, GROUP).load()
    except KeyboardInterrupt:
        raise  # a person's
    except BaseException as error:  # noqa: BLE001 foreign code may raise anything, even SystemExit
        return (f"{one_line(entry.value)} cannot be imported ({told_error(error)}); mend or "
                "uninstall it")
    return _why_not_a_mutator(entry, loaded) or loaded


def _why_not_a_mutator(entry: _Entry, loaded: Any) -> str | None:
    if not callable(loaded):
        return (f"{one_line(entry.value)} is of type {type(loaded).__name__}, not a function; "
                "correct its entry point")
    try:
        inspect.signature(loaded).bind("parent", "history", "rng", "limits")
    except TypeError as error:
        return (f"it does not take (parent, history, rng, limits): {told_error(error)}; "
                "strategies/README.md says what each is")
    except Exception:  # noqa: BLE001 it does not say what it takes: asking it will tell
        return None
    return None
