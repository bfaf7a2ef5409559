"""`agent scaling`: the law of loss over size and data that the cells of grids tell."""

import dataclasses
from pathlib import Path

import click

from agent.analysis.scaling import (
    as_dict,
    observed_of,
    rate_checks,
    seed_sigma,
    study_of,
    told_of_rates,
)
from agent.cli.given import COUNT, GivenPath
from agent.cli.main import main
from agent.cli.options import complete_texts, study_option
from agent.cli.progress import Screen
from agent.cli.read import page_width
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import tell
from agent.home import Home
from agent.ledger import glance
from agent.show import scaling as shown
from agent.show.page import scaling_files
from engine.errors import LedgerError, UserError
from engine.files import write_atomically

OURS = ("report.md", "results.csv", "bootstrap.csv", "figures")  # what is written anew


@main.command()
@click.option("--corpus", metavar="NAME", shell_complete=complete_texts,
              help="The runs on this text.  [default: the text with the most]")
@study_option
@click.option("--draws", "n_draws", type=COUNT, default=1000, show_default=True, metavar="N",
              help="Draws of the bootstrap behind each interval.")
@click.option("--write", "folder", type=GivenPath(file_okay=False), metavar="DIR",
              help="Write report.md, results.csv, bootstrap.csv and figures/.")
@as_json_option
@click.pass_obj
def scaling(home: Home, corpus: str | None, study: int | None, n_draws: int,
            folder: Path | None, as_json: bool) -> None:
    """Fit the loss over size and data of all grids, with intervals.

    Example:  agent scaling --write results
    """
    if corpus is not None and study is not None:
        raise click.UsageError("--corpus and --study both say the text; give one")
    if not home.ledger.exists():
        raise LedgerError(f"there is no ledger at {home.ledger}; `agent grid` starts one, --home "
                          "names another")
    with glance(home.ledger) as ledger, Screen() as screen:
        ground = observed_of(ledger, corpus, study)
        checks = rate_checks(ledger, ground.corpora)
        try:
            found = study_of(ground.runs, ground.yardsticks, screen.stage, n_draws)
        except UserError:  # too few for a law; what the rates say is known all the same
            if told := told_of_rates(checks, seed_sigma(ground.runs)):
                tell(told)
            raise
    if folder:
        options = [f" --{name} {value}" for name, value in (
            ("corpus", corpus), ("study", study), ("draws", n_draws if n_draws != 1000 else None))
            if value is not None]
        _write(folder, scaling_files(found, ground, checks, "".join(options)))
    if as_json:
        show_json(as_dict(found) | {
            "text": ground.text, "vocab_size": ground.vocab_size, "recipe": ground.recipe,
            "rates": [dataclasses.asdict(one) | {"best": one.best, "holds": one.holds(found.sigma)}
                      for one in checks]})
    elif not folder:
        click.echo("\n".join(shown.lines(found, ground, checks, page_width())))


def _write(folder: Path, files: dict[str, str]) -> None:
    """All of a report, each file whole or as it was; nothing that is not its own is touched."""
    if folder.is_dir() and (other := sorted(
            path.name for path in folder.iterdir() if path.name in OURS and _is_other(path))):
        raise UserError(f"{folder / other[0]} is not what a report would replace; move it away, or "
                        "name another folder")
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomically(folder / name, text.encode())
    n = sum(name.endswith(".svg") for name in files)
    tell(f"{folder}: report.md, results.csv, bootstrap.csv and {n} figures")


def _is_other(path: Path) -> bool:
    return path.is_dir() != (path.name == "figures")
