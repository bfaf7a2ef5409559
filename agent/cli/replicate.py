"""`agent replicate`: the published log's recipes on this engine, published beside measured."""

import dataclasses
from typing import Any

import click

from agent.analysis import published_claims, replicated_runs
from agent.cli.given import COUNT
from agent.cli.main import main
from agent.cli.progress import Screen
from agent.cli.read import page_width
from agent.cli.run import text_options, wish_of
from agent.cli.status import show_json
from agent.cli.talk import tell
from agent.home import Home
from agent.ledger import Reader
from agent.night import desk, run_again
from agent.show import replicated as shown
from engine.errors import UserError


@main.command()
@click.option("--seeds", "n_seeds", type=COUNT, default=3, show_default=True, metavar="N",
              help="Seeds of each recipe.")
@click.option("--show", "is_look", is_flag=True, help="Show what there is and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value and nothing else.")
@text_options
@click.pass_obj
def replicate(home: Home, /, n_seeds: int, is_look: bool, as_json: bool, **options: Any) -> None:
    """Run the published rows' recipes again; what was begun goes on.

    Example:  agent replicate --corpus tinystories
    """
    if not is_look:
        with Screen() as screen, desk(home, screen, screen.stage) as at:
            n_left = run_again(at, wish_of(home, options), n_seeds)
        if n_left:
            tell(f"{n_left} runs to go; the same command goes on")
    with Reader.open(home.ledger) as ledger:
        found = replicated_runs(ledger)
    if not found:
        raise UserError(f"{home.ledger} has no published rows to run again; `agent import "
                        "published.csv` adds them")
    claims = published_claims(found)
    if as_json:
        show_json({"rows": [dataclasses.asdict(one) for one in found],
                   "findings": [dataclasses.asdict(one) for one in claims]})
    else:
        click.echo("\n".join(shown.lines(found, claims, page_width())))
