"""Strategies of other packages, asked with care: they propose what may run, or refuse in words.

Whatever one does wrong counts as a refusal and is noted; after MAX_BROKEN times in a night it is
not asked again. The count is the ledger's, from the end of the night before, so that a night that
died goes on as it would have.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from numpy.random import Generator

from agent.ledger import Queries
from agent.words import one_line, printable, told_error
from engine.config import Config
from engine.errors import ConfigError, NoProposal
from strategies.base import Limits, Mutator, Outcome, Proposal, door

MAX_BROKEN = 3  # times in a night
BROKE = "strategy_broke"  # the kind of event
LONGEST_REASON = 400  # letters
LONGEST_TRACEBACK = 2000  # letters; its end tells most
PLAIN = (int, float, bool, str, type(None))

Note = Callable[[str, str, dict[str, Any]], None]  # of kind, message and data


class Outsiders:
    """The strategies of other packages in one night.

    note  tells the person, and the ledger as soon as it can be written
    """

    def __init__(self, ledger: Queries, mutators: Mapping[str, Mutator], note: Note) -> None:
        self._ledger, self._mutators, self._note = ledger, mutators, note
        self._noted: set[tuple[str, int]] = set()  # also what the ledger could not take yet

    def at(self, n_runs: int) -> dict[str, Mutator]:
        """Each as a strategy that breaks nothing.

        n_runs  known to it; what it does wrong with the same runs counts once
        """
        return {name: partial(self._ask, name, n_runs) for name in self._mutators}

    def _ask(self, name: str, n_runs: int, parent: Config, history: Sequence[Outcome],
             rng: Generator, limits: Limits) -> Proposal:
        if len(self._times(name)) >= MAX_BROKEN:
            raise NoProposal(f"{name} broke {MAX_BROKEN} times tonight and is not asked again")
        trace = ""
        try:
            found = self._mutators[name](parent, tuple(history), rng, limits)
            fault = what_is_wrong(found, parent, history, limits)
            if fault is None:
                config = Config.from_dict(found.config.to_dict())
                return Proposal(config, one_line(found.reason, LONGEST_REASON), name)
        except NoProposal as refusal:
            raise NoProposal(one_line(refusal, LONGEST_REASON)) from refusal
        except KeyboardInterrupt:
            raise  # a person's
        except BaseException as error:  # noqa: BLE001 foreign code may raise anything
            fault = told_error(error)
            trace = printable(traceback.format_exc()[-LONGEST_TRACEBACK:])
        raise NoProposal(self._broke(name, n_runs, fault, trace))

    def _times(self, name: str) -> set[int]:
        """When a strategy broke, in runs it knew."""
        known = {(event.data["strategy"], event.data["n_runs"])
                 for event in self._ledger.events_since_night_over(BROKE) if event.data}
        return {n_runs for strategy, n_runs in known | self._noted if strategy == name}

    def _broke(self, name: str, n_runs: int, fault: str, trace: str) -> str:
        """Note it, once; returns the same in words."""
        times = self._times(name)
        what_now = ("it is not asked again tonight" if len(times | {n_runs}) >= MAX_BROKEN
                    else "the others are asked instead")
        message = f"strategy {name} broke, {fault}; {what_now}"
        if n_runs not in times:
            self._noted.add((name, n_runs))
            self._note(BROKE, message, {"strategy": name, "n_runs": n_runs, "traceback": trace})
        return message


def what_is_wrong(found: Any, parent: Config, history: Sequence[Outcome],
                  limits: Limits) -> str | None:
    """Why what a strategy gave cannot be run, in words; None where it can."""
    if type(found) is not Proposal:
        return f"it gave {type(found).__name__}, not Proposal"
    if type(found.config) is not Config:
        return f"it proposed {type(found.config).__name__}, not Config"
    if type(found.reason) is not str or not found.reason.strip():
        return "it proposed without a reason in words"
    values = found.config.to_dict()
    for field, value in values.items():
        if type(value) not in PLAIN:
            return f"it made {field} of type {type(value).__name__}, which is not plain Python"
    try:
        config = Config.from_dict(values)
    except ConfigError as error:
        return f"it proposed what is not allowed: {error}"
    barrier = door(parent, history, limits)(config)
    return None if barrier is None else f"it proposed {config.describe()}: {barrier}"
