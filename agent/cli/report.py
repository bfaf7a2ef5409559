"""`agent report` and `agent export-runs`: a study as one page, a ledger as tables."""

import sys
from pathlib import Path

import click

from agent.analysis import Findings, find_out
from agent.cli import talk
from agent.cli.given import GivenPath
from agent.cli.main import main
from agent.cli.options import study_option
from agent.cli.progress import told_if_slow
from agent.cli.status import as_json_option, show_json
from agent.home import Home
from agent.ledger import EXPORTED, Exported, Reader, export_table
from agent.machine import utc_stamp
from agent.show import exports, run_log
from agent.show.page import files, page, report_of, text
from engine.errors import UserError
from engine.files import write_atomically

SLOW = "reading all runs and fitting a model to them; some seconds more"
READING = "reading the whole ledger; some seconds more"
A_PAGE = (b"<!doctype html", b"<html")  # how a file begins that may be replaced
LOOKED_AT = 200  # bytes of it


@main.command()
@study_option
@click.option("--write", "path", type=GivenPath(dir_okay=False), metavar="FILE.html",
              help="Write the page to a file; it needs no network and no other file.")
@click.option("--markdown", "folder", type=GivenPath(file_okay=False), metavar="DIR",
              help="Write it as Markdown with its pictures beside it.")
@as_json_option
@click.pass_obj
def report(home: Home, study: int | None, path: Path | None, folder: Path | None,
           as_json: bool) -> None:
    """Show a study as one page: on a terminal in words, through a pipe as HTML.

    Example:  agent report --write night.html
    """
    if as_json and (path or folder):
        raise click.UsageError("--write and --markdown write pages; leave out --json")
    with told_if_slow(SLOW), Reader.open(home.ledger) as ledger:
        found = find_out(ledger, study, utc_stamp(), lambda uid: run_log.samples(home.run(uid)))
    if as_json:
        show_json(found.as_dict())
    elif path or folder:
        _write(found, path, folder)
    else:
        click.echo(text(report_of(found), talk.width()) if talk.is_terminal(sys.stdout)
                   else page(report_of(found)))


def _write(found: Findings, path: Path | None, folder: Path | None) -> None:
    whole = report_of(found)
    if path:
        _require_page(path)
        told = page(whole).encode()
        write_atomically(path, told)
        talk.tell(f"{path}: {len(told) / 1000:,.0f} kB; {whole.headline}")
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        written = files(whole)
        for name, content in written.items():
            write_atomically(folder / name, content.encode())
        talk.tell(f"{folder}: report.md and {len(written) - 1} pictures")


def _require_page(path: Path) -> None:
    """UserError where a page would replace what is none, or has no folder."""
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} for {path.name}; make it first, or "
                        "name another")
    if path.is_file():
        with open(path, "rb") as file:
            begin = file.read(LOOKED_AT).lstrip().lower()
        if begin and not begin.startswith(A_PAGE):
            raise UserError(f"{path} is no HTML page, and would be replaced by one; name another "
                            "file")



@main.command("export-runs")
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values.")
@click.option("--jsonl", "form", flag_value="jsonl", help="A JSON object a line.")
@click.option("--parquet", "form", flag_value="parquet", help="Parquet, where pyarrow is there.")
@click.option("--table", "name", type=click.Choice(EXPORTED), help="Only this table.")
@click.argument("folder", metavar="[DIR]", required=False, type=GivenPath(file_okay=False))
@click.pass_obj
def export_runs(home: Home, form: exports.Format | None, name: str | None,
                folder: Path | None) -> None:
    """Write every run, decision and metric: a file a table into DIR, or to stdout.

    Example:  agent export-runs --csv tables
    """
    if form is None:
        raise click.UsageError("give a format: --csv, --jsonl or --parquet")
    if folder is None and form == "parquet":
        raise click.UsageError("Parquet goes into files; name a folder: agent export-runs "
                               "--parquet tables")
    names = [one for one in EXPORTED if name in (None, one)]
    with told_if_slow(READING), Reader.open(home.ledger) as ledger:
        tables = [export_table(ledger, one) for one in names]
        if folder is None:
            _to_stdout(tables if form == "jsonl" else tables[:1], form)
        else:
            _to_files(tables, folder, form)


def _to_stdout(tables: list[Exported], form: exports.Format) -> None:
    """JSON lines of all tables, or the CSV of one: the runs, unless another was named."""
    for table in tables:
        if form == "csv":
            exports.write_csv(table, sys.stdout)
        else:
            exports.write_jsonl(table, sys.stdout, names_table=len(tables) > 1)


def _to_files(tables: list[Exported], folder: Path, form: exports.Format) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        path, n_rows = exports.write_file(table, folder, form)
        talk.tell(f"{path}: {n_rows:,} rows")
