"""Options that several commands share: which study, and what the shell offers for words like it.

Completion has no place for errors: where a ledger cannot be read it offers nothing.
"""

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from agent.cli.given import SEED, each_once
from agent.cli.homes import home_of
from agent.ledger import GENERATED, Queries, Reader
from agent.ledger import WORDS as WORDS_OF_RUNS
from agent.machine import affinity
from engine.config import CHOICES, Config
from engine.errors import UserError
from strategies.families import FAMILIES

T = TypeVar("T")
Command = Callable[..., Any]

# What fields may be that are no numbers.
WORDS = CHOICES | {field.name: ("false", "true") for field in dataclasses.fields(Config)
                   if isinstance(field.default, bool)}


def complete_families(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Names of families, the last one of a list with those before it."""
    before, comma, word = begun.rpartition(",")
    return [f"{before}{comma}{name}" for name in FAMILIES if name.startswith(word.lower())]


def ask_ledger(ctx: click.Context, ask: Callable[[Queries], list[T]]) -> list[T]:
    """What the ledger of the home that was typed answers; nothing where it cannot be read."""
    try:
        with Reader.open(home_of(ctx).ledger) as ledger:
            return ask(ledger)
    except (UserError, OSError, sqlite3.Error):
        return []


def complete_labels(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Labels that begin so, and the words that name a run of a study."""
    labels = ask_ledger(ctx, lambda ledger: [
        *(run.label for run in ledger.runs()), *WORDS_OF_RUNS])
    return [label for label in labels if label.lower().startswith(incomplete.lower())]


def complete_queued(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Labels of queued runs that begin so."""
    labels = ask_ledger(ctx, lambda ledger: [run.label for run in ledger.runs("queued")])
    return [label for label in labels if label.lower().startswith(incomplete.lower())]


def complete_studies(ctx: click.Context, _param: click.Parameter,
                     incomplete: str) -> list[CompletionItem]:
    """Numbers of studies that begin so, each with what it is."""
    def ask(ledger: Queries) -> list[tuple[str, str]]:
        names = {corpus.id: corpus.name for corpus in ledger.corpora()}
        return [(str(one.id), f"{names.get(one.corpus_id, 'no text')}; "
                              f"{one.budget_tokens} tokens a run")  # fish reads to a comma
                for one in reversed(ledger.studies())]

    return [CompletionItem(number, help=told) for number, told in ask_ledger(ctx, ask)
            if number.startswith(incomplete)]


def complete_texts(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of texts of the ledger that begin so."""
    names = {one.name for one in ask_ledger(ctx, lambda ledger: ledger.corpora())}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_fields(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of fields that begin so; behind the sign =, what the field may be."""
    name, equals, begun = incomplete.partition("=")
    fields = {field.name: field.default for field in dataclasses.fields(Config)}
    if not equals:
        return [f"{field}=" for field in fields if field.startswith(name)]
    if name not in fields:
        return []
    values = WORDS.get(name) or (
        "none" if fields[name] is None else f"{fields[name]:g}",)  # a number: its default
    return [f"{name}={value}" for value in values if value.startswith(begun.lower())]


def complete_idea(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Fields and their values, and JSON files, of which an idea may be one."""
    found = complete_fields(ctx, param, incomplete)
    return found + [name for name in _names_here(incomplete) if name.endswith(".json")]


def complete_text(_ctx: click.Context, _param: click.Parameter,
                  incomplete: str) -> list[CompletionItem]:
    """The texts that can be made here, and files; folders of the shell's own finding."""
    generated = [name for name in GENERATED if name.startswith(incomplete)]
    if not generated:
        return [CompletionItem(incomplete, type="file")]
    # A shell that is given words looks for no files by itself.
    return [CompletionItem(name) for name in [*generated, *_names_here(incomplete)]]


def _names_here(incomplete: str) -> list[str]:
    """What lies in the current folder and begins so, a folder with a slash."""
    try:
        return sorted(f"{path.name}/" if path.is_dir() else path.name for path in Path().iterdir()
                      if path.name.startswith(incomplete) and not path.name.startswith("."))
    except OSError:
        return []


study_option = click.option(
    "--study", type=click.IntRange(min=1), metavar="N", shell_complete=complete_studies,
    help="Of this study.  [default: the last one]")
any_option = click.option("--any", "of_all", is_flag=True,
                          help="The best run of the whole ledger, whatever its study.")


def which_run(command: Callable[..., Any]) -> Callable[..., Any]:
    """--study and --any: of which study `best` is the best."""
    return study_option(any_option(command))




def _tied(ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """The cores that were named, once this process and all it starts keep to them."""
    if text in (None, "all") or ctx.resilient_parsing:
        return text
    try:
        cores = affinity.read_cores(text)
    except UserError as error:
        raise click.BadParameter(str(error)) from error
    if not affinity.tie(cores):
        raise click.BadParameter(f"the system keeps this process off {text}; give --cores all")
    return text


cores_option = click.option(
    "--cores", metavar="LIST", callback=_tied, help="Cores to compute on, such as 4-7, or all.  "
    "[default: all, or a phone's fast ones where that is measured to be faster]")


def training_options(seeds: str) -> Command:
    """--set, --seed, --replicas and --max-ram: what every training depends on.

    seeds  what the seed is of, and where none is given
    """
    def given(command: Command) -> Command:
        for option in reversed([
            click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                         shell_complete=complete_fields, callback=each_once,
                         help="Change a field of the configuration; may be repeated."),
            click.option("--seed", type=SEED, help=seeds),
            click.option("--replicas", "n_replicas", type=click.IntRange(1, 64),
                         help="Processes that share a run's training.  [default: cores]"),
            cores_option,
            click.option("--max-ram", metavar="SIZE", help="End a run whose processes take more "
                         "memory.  [default: 3G, or half of the machine]"),
        ]):
            command = option(command)
        return command

    return given


run_argument = click.argument("key", metavar="RUN", shell_complete=complete_labels)
