"""How the processors and the memory of a night are shared out among its trials."""

import dataclasses

from agent.ledger import Queries
from agent.machine import machine
from agent.night.wish import Wish
from agent.search import throughput
from engine.config import Config


def shared_out(ledger: Queries, wish: Wish, base: Config) -> Wish:
    """The wish with how many runs at once, and so many processes of each as there are processors.

    Where nobody said how many it is what computed most when `agent doctor --bench` measured a
    model like this one, as far as memory allows; one where that never was.

    No trial is tied to processors of its own: the system moves workers to what is free, be it for
    other programs' sake, or from a phone's slow cores to its fast ones. That there are no more
    processes than processors is what keeps them apart.
    """
    n = wish.n_trials
    if n is None:
        n = 1 if wish.is_replicas_given else _measured(ledger, wish, base)
    if wish.is_replicas_given or n == 1:
        return dataclasses.replace(wish, n_trials=n)
    return dataclasses.replace(wish, n_trials=n, n_replicas=max(1, machine.n_cores() // n))


def _measured(ledger: Queries, wish: Wish, base: Config) -> int:
    rows = throughput.noted(ledger, base)
    fit = [row for row in rows
           if row.n_trials * base.predicted_mb(row.n_replicas) <= wish.max_ram_mb]
    n = throughput.best(fit).n_trials if fit else 1
    return n if wish.max_runs is None else min(n, wish.max_runs)
