"""`agent studies` and `agent best`: what there is to go on with, and the best of one of them."""

import dataclasses

import click

from agent.analysis import study_facts
from agent.cli.main import main
from agent.cli.options import which_run
from agent.cli.read import page_width
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import tell
from agent.home import Home
from agent.ledger import Reader, Run, find_run
from agent.show import detail, report, run_log, study_list


@main.command()
@as_json_option
@click.pass_obj
def studies(home: Home, as_json: bool) -> None:
    """List the studies: text, start, budget, runs and confirmed gain.

    Example:  agent studies
    """
    with Reader.open(home.ledger) as ledger:
        found = study_facts(ledger)
    if as_json:
        show_json([dataclasses.asdict(one) for one in found])
    else:
        click.echo(study_list(found, page_width()))


@main.command()
@which_run
@as_json_option
@click.pass_obj
def best(home: Home, study: int | None, of_all: bool, as_json: bool) -> None:
    """Show the best run of a study, or of the whole ledger.

    Example:  agent best --study 2
    """
    with Reader.open(home.ledger) as ledger:
        run = find_run(ledger, "best", study, of_all=of_all)
        found = detail(ledger, run)
        if of_all:
            tell(_against_whom(ledger, run))
    if as_json:
        show_json(found.as_dict())
        return
    click.echo(report.run_page(found, run_log.last_sample(home.run(run.uid)), page_width()))


def _against_whom(ledger: Reader, run: Run) -> str:
    """What the best of a whole ledger was held against: not all of that compares."""
    texts = {corpus.id: corpus.text_sha256 for corpus in ledger.corpora()}
    finished = [one for one in ledger.runs("finished") if one.corpus_id is not None]
    n_texts = len({texts[one.corpus_id or 0] for one in finished})
    n_budgets = len({one.budget_tokens for one in finished})
    told = [f"{n} {words}" for n, words in ((n_texts, "texts"), (n_budgets, "token budgets"))
            if n > 1]
    if not told:
        return f"{run.label} is the best of the whole ledger"
    return (f"{run.label} is the best over {' and '.join(told)}, whose scores do not compare; "
            "`agent best` is the best of one study")
