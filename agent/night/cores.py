"""Which cores a night computes on: all, or the fast ones alone where a step is sooner done there.

Measured once on a machine whose cores differ, and kept in the ledger as an event. Nothing is shared
out unevenly by speed: which sums are added up would hang on it, and with them the bits of a run.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from agent.home import Home
from agent.ledger import Queries
from agent.machine import affinity, kernels, machine
from agent.night.wish import Wish
from agent.search import foresight, throughput
from agent.trial import spawn_worker
from engine.config import Config

if TYPE_CHECKING:
    from agent.night.launch import Desk

CORES = "cores"  # kind of the event


def settled(at: "Desk", wish: Wish, base: Config | None = None) -> Wish:
    """The wish with as many processes as there are cores to compute on, this process tied to them.

    base  a model of the night's size to measure with where nothing is known; None: nothing is
          measured, and what was measured before decides

    Nothing is changed where somebody named cores or a number of processes, where all cores are
    alike, and where other machines compute.
    """
    if wish.are_cores_given or wish.is_replicas_given or at.executor is not None:
        return wish
    if tie_to_fast(at, base):
        return dataclasses.replace(wish, n_replicas=machine.n_cores())
    return wish


def tie_to_fast(at: "Desk", base: Config | None = None) -> bool:
    """Whether this process now keeps to the fast cores, because a step is sooner done there."""
    every = affinity.usable()
    few = affinity.fast(affinity.capacities(every))
    if not few or machine.n_cores() <= len(few):  # alike, or a quota that leaves the slow ones idle
        return False
    known = _noted(at.ledger, few)
    if known is None and base is not None:
        known = _measure(at, base, every, few)
    if known is None or known <= 1 or not affinity.tie(few):
        return False
    at.observer.say(f"computes on core{'s' * (len(few) > 1)} {affinity.listed(few)}, {known:.2f} × "
                    f"as fast as on all {len(every)}; --cores all takes all")
    return True


def _measure(at: "Desk", base: Config, every: frozenset[int],
             few: frozenset[int]) -> float | None:
    """How many times as fast a run is on the fast cores; None where they are not to be had."""
    kernels.make_ready(at.progress)
    found: dict[frozenset[int], float] = {}
    for cores in (every, few):
        with affinity.only(cores) as is_had, tempfile.TemporaryDirectory(
                prefix="phi-auto-") as folder:
            if not is_had:
                return None
            home = Home(Path(folder))
            found[cores] = throughput.at_once(
                home, foresight.any_tokens(home, base), base, 1, machine.n_cores(), spawn_worker,
                at.look_at_measuring).tok_per_s
    ratio = found[few] / found[every]
    at.ledger.event(CORES, f"a run on the fast cores {affinity.listed(few)} is {ratio:.2f} × as "
                    f"fast as on {affinity.listed(every)}", at.clock.stamp(), data={
                        "device": machine.device(), "cores": machine.cores(),
                        "fast": sorted(few), "ratio": ratio})
    return ratio


def _noted(ledger: Queries, few: frozenset[int]) -> float | None:
    """What was measured last with these cores of this device; None where nothing was."""
    for event in ledger.events_of(CORES):
        data = event.data or {}
        if (data.get("device"), data.get("cores"), data.get("fast")) == (
                machine.device(), machine.cores(), sorted(few)):
            ratio = data.get("ratio")
            return float(ratio) if isinstance(ratio, int | float) else None
    return None
