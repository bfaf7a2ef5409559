"""Trials on the machines of a Dask cluster: sent there, watched there, brought back as they grow.

In comes a run with its folder, or a machine that has time; out come the same files that a worker
of this machine would leave in that folder, so nothing else knows where a run was computed. It is
the one home of Dask, an optional package, and uses `trial`, `ledger`, `machine`, `home` and
`words`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.trial.cluster.likeness import own_class as own_class
    from agent.trial.cluster.opening import at_cluster as at_cluster
    from agent.trial.cluster.opening import join_cluster as join_cluster
    from agent.trial.cluster.opening import n_local as n_local
    from agent.trial.cluster.options import Options as Options

__all__, __getattr__ = doors(__name__, {
    "likeness": ("own_class",),
    "opening": ("at_cluster", "join_cluster", "n_local"),
    "options": ("Options",),
})
