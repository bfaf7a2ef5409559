"""`agent simulate`: made-up nights, to see what the verdicts are worth."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.cli.given import COUNT, SEED, Finite
from agent.cli.main import main
from agent.cli.status import as_json_option, show_json
from agent.home import Home
from agent.ledger import Reader
from agent.search import N_BASELINE_SEEDS
from agent.simulate import as_dict, page, suite_page, surface
from agent.simulate import nights as simulation
from engine.errors import UserError

PATIENCE_S = 2.0  # a bar for less than that only flickers


class Bar:
    """Nights done, on stderr, once they have taken a while; nothing through a pipe."""

    def __init__(self, total: int, seconds: Callable[[], float] = time.monotonic,
                 console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._seconds, self._began_s = seconds, seconds()
        self._bar = Progress(
            TextColumn("nights"), BarColumn(bar_width=20), MofNCompleteColumn(),
            TimeRemainingColumn(compact=True), console=console, transient=True,
            disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=total)
        self.is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bar.stop()

    def tick(self) -> None:
        """Note one more night."""
        self._bar.advance(self._task)
        if not self.is_shown and self._seconds() - self._began_s > PATIENCE_S:
            self.is_shown = True
            self._bar.start()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for; None: not given."""

    nights: int = 1000
    runs: int = simulation.N_RUNS
    seed: int = 0
    at_once: int = 1
    rho: float = 0.0
    sigma: float | None = None
    name: str | None = None
    table: str | None = None
    half: str = "develop"
    from_ledger: bool = False


@main.command("simulate")
@click.option("--suite", "is_suite", is_flag=True,
              help="The lines by which the search is accepted, each over all nights.")
@click.option("--check", is_flag=True, help="With --suite: exit 1 unless every line is met.")
@click.option("--surface", "name", type=click.Choice(simulation.SUITE),
              help="What proposals do.  [default: mixed, one in ten helps]")
@click.option("--table", type=click.Choice(surface.TABLES),
              help="On real runs of tiny models on this text, looked up instead of trained; ideas "
                   "are then the search's own.")
@click.option("--starts", "half", type=click.Choice(surface.HALVES),
              help="With --table: the recipes that nights begin with.  [default: develop; the "
                   "others are kept for judging]")
@click.option("--from-ledger", is_flag=True,
              help="Propose the newest study's finished runs instead.")
@click.option("--nights", type=COUNT, help="[default: 1,000]")
@click.option("--runs", type=click.IntRange(N_BASELINE_SEEDS + 1, 100_000),
              help="Of a night, baseline and all.  [default: 100]")
@click.option("--at-once", type=COUNT, help="Runs computed side by side.  [default: 1]")
@click.option("--sigma", type=Finite(0, 1e6, min_open=True),
              help="Spread of a score over seeds, bits per byte.  [default: 1, or as measured]")
@click.option("--rho", type=Finite(0, 1, max_open=True),
              help="Correlation of two configurations on one seed.  [default: 0]")
@click.option("--seed", type=SEED, help="Other nights.  [default: 0]")
@as_json_option
@click.pass_obj
def simulate(home: Home, /, is_suite: bool, check: bool, as_json: bool, **options: Any) -> None:
    """Run made-up nights through the real search and count what it gets wrong.

    Example:  agent simulate --suite
    """
    wanted = Wanted(**{name: value for name, value in options.items() if value is not None})
    if is_suite and (wanted.name or wanted.from_ledger):
        raise click.UsageError("--suite has surfaces of its own; leave out the other")
    if wanted.name and wanted.from_ledger:
        raise click.UsageError("--surface or --from-ledger, not both")
    if wanted.table and (wanted.from_ledger or wanted.sigma or wanted.rho):
        raise click.UsageError("--table has runs and a noise of its own; leave out the other")
    if wanted.table and wanted.name == "texts":
        raise click.UsageError("--surface texts is made up; the runs of --table kept no blocks of "
                               "text")
    if check and not is_suite:
        raise click.UsageError("--check goes with --suite")
    if is_suite:
        _suite(wanted, check, as_json)
    else:
        _one(home, wanted, as_json)


def _suite(wanted: Wanted, check: bool, as_json: bool) -> None:
    if wanted.table:
        from agent.simulate import tunnel_world  # loads numpy, which other commands do without
        surfaces = {name: tunnel_world.worlds(wanted.table, wanted.half, name)
                    for name in tunnel_world.NAMES}
    else:
        surfaces = simulation.made_up(wanted.sigma or surface.SIGMA, wanted.rho)
    with Bar(wanted.nights * len(surfaces)) as bar:
        found = simulation.suite(surfaces, wanted.nights, wanted.runs, wanted.seed,
                                 tick=bar.tick, n_at_once=wanted.at_once)
    if as_json:
        show_json(found.as_dict())
    else:
        click.echo(suite_page(found, wanted.runs))
    failures = found.failures()
    if check and failures:
        raise UserError(f"the search is not accepted: {'; '.join(failures)}")


def _one(home: Home, wanted: Wanted, as_json: bool) -> None:
    if wanted.from_ledger:
        with Reader.open(home.ledger) as ledger:
            study = surface.recorded(ledger)
        sigma = wanted.sigma or study.sigma
        chosen = surface.table(study.losses, sigma, wanted.rho)
        title = f"the newest study's {study.n_configs} configurations"
    elif wanted.table:
        from agent.simulate import tunnel_world
        title = f"{wanted.name or 'its own'}, on {wanted.table}"
        sigma = tunnel_world.sigma(wanted.table)
        chosen = tunnel_world.worlds(wanted.table, wanted.half, wanted.name or "mixed")
    else:
        title, sigma = wanted.name or "mixed", wanted.sigma or surface.SIGMA
        chosen = surface.synthetic(title, sigma, wanted.rho)
    with Bar(wanted.nights) as bar:
        found = simulation.simulate(chosen, wanted.nights, wanted.runs, wanted.seed, bar.tick,
                                    n_at_once=wanted.at_once)
    if as_json:
        show_json({"surface": title, "runs": wanted.runs, "seed": wanted.seed,
                   "rho": wanted.rho, "at_once": wanted.at_once} | as_dict(found))
    else:
        click.echo(page(found, title, wanted.runs, sigma, wanted.at_once))
