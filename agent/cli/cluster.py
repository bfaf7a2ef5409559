"""`agent cluster`: several machines for the runs of a night, and this one as one of them."""

import os
from pathlib import Path
from typing import Any

import click

from agent.cli.given import GivenPath
from agent.cli.limits import limit_options, limits_of
from agent.cli.main import main
from agent.cli.talk import tell
from agent.machine import guard, kernels, machine
from agent.trial.cluster import Options, join_cluster
from agent.words import typed as units

MAX_TRIALS = 256


@main.command()
@click.argument("role", type=click.Choice(["worker"]))
@click.argument("address", metavar="ADDRESS|FILE")
@click.option("--name", metavar="NAME", help="What others call this machine.  [default: where it "
                                             "is]")
@click.option("--trials", "n_trials", type=click.IntRange(1, MAX_TRIALS),
              help="Runs at once here.  [default: cores]")
@limit_options
@click.option("--max-ram", metavar="SIZE",
              help="End a run that takes more memory.  [default: 3G, or half of the machine]")
@click.option("--folder", type=GivenPath(file_okay=False),
              help="Where runs and texts lie meanwhile.  [default: ~/.cache/phi-auto]")
def cluster(role: str, address: str, **options: Any) -> None:
    """Compute for a cluster until Ctrl-C; this machine's own limits decide what it takes.

    \b
    Example:  agent cluster worker tcp://10.0.0.5:8786 --window 22:00-07:00
    \b
    Four workers on this machine, which listen on localhost only:
        agent run --for 8h --cluster local:4
    Several machines: a scheduler on one of them, then a worker on each.
        dask scheduler --host 10.0.0.5           prints tcp://10.0.0.5:8786
        agent cluster worker tcp://10.0.0.5:8786         on each, a phone too
        agent run --for 8h --cluster tcp://10.0.0.5:8786            at home
    Slurm, PBS and others: agent/README.md has recipes for dask-jobqueue.
    \b
    All compute by numpy alone; where all have one compiler and processor,
    AGENT_NATIVE=1 on each takes kernels in C.
    \b
    A cluster is machines you trust: whoever reaches its scheduler runs what
    he likes on all of them. Dask's own settings switch TLS on.
    """
    limits, max_ram = limits_of(options), options["max_ram"]
    max_ram_mb = units.megabytes(max_ram) if max_ram else guard.default_max_ram_mb()
    with kernels.numpy_unless_asked():
        join_cluster(address, Options(limits, max_ram_mb), options["folder"] or cache(os.environ),
                     name=options["name"], n_trials=options["n_trials"] or machine.n_cores(),
                     say=tell)


def cache(environ: Any) -> Path:
    """Where this user's programs keep what can be had again."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phi-auto"
