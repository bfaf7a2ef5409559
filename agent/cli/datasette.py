"""`agent datasette-metadata`: a ledger explains itself to Datasette."""

import json
from pathlib import Path

import click

from agent.cli.given import GivenPath
from agent.cli.main import main
from agent.cli.talk import tell
from agent.home import Home
from agent.show import metadata
from engine.errors import UserError
from engine.files import write_atomically

MOST_BYTES = 10_000_000  # of a file that may be replaced


@main.command("datasette-metadata")
@click.option("--write", "path", type=GivenPath(dir_okay=False), metavar="FILE.json",
              help="Write it to a file, and say how to go on.")
@click.pass_obj
def datasette_metadata(home: Home, path: Path | None) -> None:
    """Print what every column of a ledger is, with facets and queries, for Datasette.

    Example:  agent datasette-metadata --write metadata.json
    """
    told = json.dumps(metadata(home.ledger.stem), indent=1, ensure_ascii=False)
    if path is None:
        click.echo(told)
        return
    _require_ours(path)
    write_atomically(path, f"{told}\n".encode())
    tell(f"{path}: datasette {home.ledger} --metadata {path}")


def _require_ours(path: Path) -> None:
    """UserError where a file would be replaced that is no metadata, or its folder is not there."""
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} for {path.name}; make it first, or "
                        "name another")
    if not path.exists():
        return
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(MOST_BYTES))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "databases" not in found:
        raise UserError(f"{path} is no metadata of Datasette, and would be replaced by some; name "
                        "another file")
