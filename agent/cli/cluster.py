"""`agent run --cluster`, and `agent cluster worker`: trials on other machines."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from agent.cli.given import Finite, GivenPath
from agent.cli.main import Command, main
from agent.ledger import BLOCKED
from agent.machine import COOLER_C, Limits, guard, machine, parse_window
from agent.night import Desk
from agent.trial.cluster import Options, at_cluster, join_cluster, n_local
from agent.words import typed as units

KIND = "cluster"  # of the events that tell of machines
MAX_TRIALS = 256
N_TRIALS = 8  # a night asks for at once where nothing was said: the search knows of none of them


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
        options["n_trials"] = options.get("n_trials") or n or N_TRIALS
        options["n_replicas"] = options["n_replicas"] or (
            max(1, machine.n_cores() // n) if n else 1)
    return text


@contextmanager
def clustered(at: Desk, text: str | None) -> Iterator[None]:
    """The desk with its trials on the cluster that was named, or here."""
    if text is None:
        yield
        return

    def say(told: str) -> None:
        at.observer.say(told)
        with suppress(*BLOCKED):
            at.ledger.event(KIND, told, at.clock.stamp())

    executor = at_cluster(text, at.home, at.ledger, say)
    at.executor = executor
    try:
        yield
    finally:
        executor.close()


@main.group(cls=click.Group)
def cluster() -> None:
    """Compute the runs of a night on several machines, and keep one ledger at home.

    \b
    Example:  agent run --for 8h --cluster local:4
    \b
    Four workers on this machine, which listen on localhost only:
        agent run --for 8h --cluster local:4
    Several machines: a scheduler on one of them, then a worker on each.
        dask scheduler --host 10.0.0.5           prints tcp://10.0.0.5:8786
        agent cluster worker tcp://10.0.0.5:8786         on each, a phone too
        agent run --for 8h --cluster tcp://10.0.0.5:8786            at home
    Slurm, PBS and others: agent/README.md has recipes for dask-jobqueue.
    \b
    A cluster is machines you trust: whoever reaches its scheduler runs what
    he likes on all of them. Dask's own settings switch TLS on.
    """


@cluster.command(cls=Command)
@click.argument("address", metavar="ADDRESS|FILE")
@click.option("--name", metavar="NAME", help="What others call this machine.  [default: where it "
                                             "is]")
@click.option("--trials", "n_trials", type=click.IntRange(1, MAX_TRIALS),
              help="Runs at once here.  [default: cores]")
@click.option("--min-battery", type=Finite(), default=30.0, show_default=True, metavar="PERCENT",
              help="Take nothing below this charge, unless it charges; 0 is no limit.")
@click.option("--max-heat", type=Finite(), default=40.0, show_default=True, metavar="°C",
              help=f"Nor at this temperature of the battery, until {COOLER_C:g} °C below.")
@click.option("--window", metavar="HH:MM-HH:MM", help="Compute only in these hours: 22:00-07:00.")
@click.option("--only-charging", is_flag=True, help="Compute only while the device charges.")
@click.option("--max-ram", metavar="SIZE",
              help="End a run that takes more memory.  [default: 3G, or half of the machine]")
@click.option("--folder", type=GivenPath(file_okay=False),
              help="Where runs and texts lie meanwhile.  [default: ~/.cache/phi-auto]")
def worker(address: str, **options: Any) -> None:
    """Compute for a cluster until Ctrl-C; this machine's own limits decide what it takes.

    Example:  agent cluster worker tcp://10.0.0.5:8786 --window 22:00-07:00
    """
    window, max_ram = options["window"], options["max_ram"]
    limits = Limits(min_battery=options["min_battery"], stop_c=options["max_heat"],
                    window=parse_window(window) if window else None,
                    only_charging=options["only_charging"])
    max_ram_mb = units.megabytes(max_ram) if max_ram else guard.default_max_ram_mb()
    join_cluster(address, Options(limits, max_ram_mb), options["folder"] or cache(os.environ),
                 name=options["name"], n_trials=options["n_trials"] or machine.n_cores(),
                 say=lambda told: click.echo(told, err=True))


def cache(environ: Any) -> Path:
    """Where this user's programs keep what can be had again."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phi-auto"
