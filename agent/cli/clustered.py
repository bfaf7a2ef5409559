"""`agent run --cluster`: a night whose trials are computed on other machines."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from typing import Any

import click

from agent.ledger import BLOCKED
from agent.machine import kernels, machine
from agent.night import Desk, Wish
from agent.trial.cluster import at_cluster, n_local, own_class

KIND = "cluster"  # of the events that tell of machines


def cluster_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--cluster: where the trials of a night are computed."""
    return click.option("--cluster", metavar="ADDRESS|local:N|FILE",
                        help="Compute the runs on a Dask cluster; `agent cluster -h` says how.  "
                             "[default: here]")(command)


def settle(options: dict[str, Any]) -> str | None:
    """Take the cluster out of the options of a night; what it alone decides is filled in.

    Dask counts a machine's threads, so a run there has one process unless --replicas says more; a
    cluster of this machine alone shares its cores out.
    """
    text: str | None = options.pop("cluster")
    if text is not None:
        n = n_local(text)
        options["n_trials"] = options["n_trials"] or n
        options["n_replicas"] = options["n_replicas"] or (
            max(1, machine.n_cores() // n) if n else 1)
    return text


class Classes:
    """The classes of devices that compute a night's runs, looked at when somebody asks."""

    def __init__(self, cluster: Callable[[], tuple[str, set[str]]] | None = None) -> None:
        self._cluster = cluster

    @cached_property
    def own(self) -> str:
        return own_class() if self._cluster is None else self._cluster()[0]

    @property
    def there(self) -> set[str] | None:
        return None if self._cluster is None else self._cluster()[1]


@contextmanager
def clustered(at: Desk, text: str | None, wish: Wish) -> Iterator[Wish]:
    """The desk with its trials on the cluster that was named, or here; and the wish with as many of
    them at once as its machines take now, where nobody said.

    Several machines compute by numpy alone where nobody says AGENT_NATIVE=1.
    """
    if text is None:
        at.classes = Classes()
        yield wish
        return
    with nullcontext() if n_local(text) else kernels.numpy_unless_asked():
        yield from _at(at, text, wish)


def _at(at: Desk, text: str, wish: Wish) -> Iterator[Wish]:
    """The wish, once; the cluster is left behind it."""

    def say(told: str) -> None:
        at.observer.say(told)
        with suppress(*BLOCKED):
            at.ledger.event(KIND, told, at.clock.stamp())

    executor = at_cluster(text, at.home, at.ledger, say, wish.max_ram_mb)
    at.executor = executor
    try:
        n = executor.await_machines(at.look, wish.n_trials)
        at.classes = Classes(executor.classes)
        yield dataclasses.replace(wish, n_trials=n, cluster=text)
    finally:
        executor.close()
