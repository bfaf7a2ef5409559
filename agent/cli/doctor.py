"""`agent doctor`: what on this machine will spoil a night, and how many runs at once it does best.
"""

import dataclasses

import click
from rich.console import Console

from agent.cli.given import each_once
from agent.cli.main import main
from agent.cli.options import complete_fields
from agent.cli.progress import Screen
from agent.cli.read import PAGE_WIDTH
from agent.cli.status import as_json_option, show_json
from agent.doctor import Probe, examine, render, steps, told_failures
from agent.home import Home
from agent.ledger import current_study
from agent.machine import machine
from agent.night import desk, tie_to_fast
from agent.search import throughput
from agent.trial import spawn_worker
from engine.config import Config
from engine.errors import UserError


@main.command()
@click.option("--bench", "is_bench", is_flag=True,
              help="Measure instead how many runs at once compute most, some seconds each; "
                   "`agent run` goes by it.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              shell_complete=complete_fields, callback=each_once,
              help="With --bench: of another model than the last study's start; may be repeated.")
@as_json_option
@click.pass_obj
def doctor(home: Home, as_json: bool, is_bench: bool, settings: tuple[str, ...]) -> None:
    """Check what on this machine could spoil a night.

    Example:  agent doctor
    """
    if is_bench:
        _bench(home, settings, as_json)
        return
    if settings:
        raise click.UsageError("--set says which model --bench measures; give --bench, too")
    checks = examine(steps(Probe(), home))
    if as_json:
        show_json([dataclasses.asdict(check) for check in checks])
    else:
        click.echo(render(checks, min(PAGE_WIDTH, Console().width)))
    if told := told_failures(checks):
        raise UserError(told)


def _bench(home: Home, settings: tuple[str, ...], as_json: bool) -> None:
    """Measure with the start of the newest study, or of a first night; what is found is kept."""
    asked = Config().assign(settings) if settings else None
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        known = current_study(at.ledger)
        config = asked or (Config.from_dict(known.config) if known else Config())
        tie_to_fast(at, config)
        found = throughput.measured(
            config, machine.n_cores(), spawn_worker,
            lambda done, total: screen.stage("measuring runs at once", done, total))
        throughput.note(at.ledger, config, found, at.clock.stamp())
    if as_json:
        best = throughput.best(found)
        show_json([dataclasses.asdict(one) | {"is_best": one == best} for one in found])
    else:
        click.echo("\n".join(_table(config, found)))


def _table(config: Config, found: list[throughput.Throughput]) -> list[str]:
    best, one = throughput.best(found), found[0]
    lines = [f"{config.n_embd}d/{config.n_layer}L, {config.batch_size} × {config.seq_len} tokens a "
             "step", "at once  processes each  tokens/s in sum"]
    lines += [f"{row.n_trials:7}  {row.n_replicas:14}  {row.tok_per_s:15,.0f}"
              f"  {row.tok_per_s / one.tok_per_s:.2f} ×{'  ←' if row == best else ''}"
              for row in found]
    return [*lines, f"`agent run` of such a model has {best.n_trials} at once; --trials K is yours"]
