"""`agent enqueue`: a person's own idea joins the study."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from agent.cli.given import SEED, each_once
from agent.cli.main import main
from agent.cli.options import complete_idea, complete_labels, study_option
from agent.cli.status import show_json
from agent.cli.talk import show, tell
from agent.cli.withdraw import emptied
from agent.home import Home
from agent.ledger import Calibration, Ledger, Reader, Run, current_study, glance
from agent.machine import guard, utc_stamp
from agent.night import Idea, Wanted, idea_of, inbox
from agent.search import footprint
from agent.words import typed as units


@main.command()
@click.argument("config", nargs=-1, required=True, metavar="KEY=VALUE...|FILE|-",
                shell_complete=complete_idea, callback=each_once)
@click.option("--from", "parent", metavar="RUN", shell_complete=complete_labels,
              help="Change this run.  [default: the head]")
@click.option("--seed", type=SEED, help="Another seed.  [default: its own]")
@study_option
@click.option("--max-ram", metavar="SIZE",
              help="Refuse what needs more memory.  [default: 3G, or half of the machine]")
@click.option("--dry-run", is_flag=True, help="Show what would be queued and queue nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value and nothing else.")
@click.pass_obj
def enqueue(home: Home, /, config: tuple[str, ...], dry_run: bool, as_json: bool,
            **options: Any) -> None:
    """Queue an idea of your own; it is run before new proposals and judged like them.

    Example:  agent enqueue lr=2e-3 n_layer=6
    """
    max_ram = options.pop("max_ram")
    wanted = Wanted(texts=config, **options, max_ram_mb=(
        units.megabytes(max_ram) if max_ram else guard.default_max_ram_mb()))
    home.require_writable()
    with (glance if dry_run else Reader.open)(home.ledger) as ledger:
        idea = idea_of(ledger, home, wanted, utc_stamp(), sys.stdin)
        study, last = ledger.calibration(idea.calibration_id), current_study(ledger)
        predicted_mb = _predicted_mb(ledger, idea, study)
    run = None if dry_run else submit(home, idea)
    where = "dry" if dry_run else "inbox" if run is None else "queued"
    if as_json:
        show_json(_as_dict(idea, study, run, where) | {"predicted_mb": predicted_mb})
    else:
        show(_in_words(idea, study, predicted_mb))
        _say(study, run, last, is_dry=dry_run)


def _predicted_mb(ledger: Reader, idea: Idea, study: Calibration) -> float:
    corpus = ledger.corpus(study.corpus_id)
    return (idea.config.predicted_mb(idea.replicas) + footprint.beside_mb(ledger, corpus)
            + footprint.stories_mb(idea.config, corpus.n_stories_train, idea.replicas))


def _in_words(idea: Idea, study: Calibration, predicted_mb: float) -> str:
    return (f"{idea.config.describe()}\n{idea.reason}\nseed {idea.seed}, "
            f"{study.budget_tokens:,} tokens, {idea.config.n_params:,} parameters, "
            f"{predicted_mb:,.0f} MB predicted")


def submit(home: Home, idea: Idea) -> Run | None:
    """Leave the idea in the inbox, and empty that here where no daemon does.

    The run it became; None where it waits in the inbox: for the daemon's next tick, or for a
    night that can prepare its vocabulary.
    """
    inbox.leave(home, idea)
    emptied(home, taken_up)
    with Reader.open(home.ledger) as reader:
        return reader.run(idea.uid) if reader.has_uid(idea.uid) else None


def taken_up(ledger: Ledger, home: Home, now: str) -> Iterator[str]:
    """Take up what lies in the inbox and note it, as an agent does."""
    for message in inbox.take_up(ledger, home, now, None):
        ledger.event("inbox", message, now)
        yield message


def _as_dict(idea: Idea, study: Calibration, run: Run | None, where: str) -> dict[str, Any]:
    return {"where": where, "label": run.label if run else None, "uid": idea.uid,
            "config": idea.config.to_dict(), "reason": idea.reason, "seed": idea.seed,
            "parent_id": idea.parent_id, "calibration_id": study.id,
            "budget_tokens": study.budget_tokens, "n_params": idea.config.n_params}


def _say(study: Calibration, run: Run | None, last: Calibration | None, *, is_dry: bool) -> None:
    """What becomes of the idea, and which study it waits for; without a run it is in the inbox."""
    if is_dry:
        tell("nothing was queued: a dry run")
        return
    is_last = last is None or last.id == study.id
    command = "`agent run`" if is_last else f"`agent run --study {study.id}`"
    waits = "" if is_last or last is None else (
        f"; it waits for study {study.id}, and the last night worked on study {last.id}")
    if run is not None:
        tell(f"queued as {run.label}; {command} executes and judges it{waits}")
    else:
        tell("left in the inbox: the agent at work takes it up, or the next "
             f"{command}{waits}")
