"""`agent withdraw`: queued runs, or a study with all that waits for it, are taken back."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack

import click

from agent.cli.given import COUNT
from agent.cli.main import main
from agent.cli.options import complete_queued, complete_studies
from agent.cli.status import show_json
from agent.cli.talk import show, tell
from agent.home import Home, holder, only_one
from agent.ledger import Ledger, Reader, glance
from agent.machine import utc_stamp
from agent.night import Withdrawal, withdrawal
from engine.errors import UserError


@main.command("withdraw")
@click.argument("keys", nargs=-1, metavar="[RUN]...", shell_complete=complete_queued)
@click.option("--study", type=COUNT, metavar="N", shell_complete=complete_studies,
              help="A study: its queued runs, and that `agent run` goes on with it.")
@click.option("--dry-run", is_flag=True, help="Say what would be withdrawn and change nothing.")
@click.option("--yes", is_flag=True, help="Also runs of which a part is computed already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value and nothing else.")
@click.pass_obj
def withdraw_(home: Home, keys: tuple[str, ...], study: int | None, dry_run: bool, yes: bool,
              as_json: bool) -> None:
    """Take queued runs back, or a study; nothing that was measured goes.

    Example:  agent withdraw T3 T4
    """
    if bool(keys) == (study is not None):
        raise click.UsageError("name queued runs, or a study with --study N")
    home.require_writable()
    with (glance if dry_run else Reader.open)(home.ledger) as ledger:
        asked = withdrawal.planned(ledger, home, keys, study,
                                   is_agent_at_work=holder(home.lock) is not None)
    if not (dry_run or yes):
        _require_whole(asked)
    told = [] if dry_run else carry_out(home, asked)
    if as_json:
        show_json({"runs": [run.label for run in asked.runs], "study": asked.study,
                   "where": "dry" if dry_run else "done" if told else "inbox"})
    else:
        _say(asked, told, dry_run)


def _require_whole(asked: Withdrawal) -> None:
    """UserError where what a machine has computed already would be for nothing."""
    if begun := asked.begun:
        done = ", ".join(f"{run.label} ({100 * (run.tokens or 0) / (run.budget_tokens or 1):.0f} "
                         "%)" for run in begun)
        raise UserError(f"a part is computed already of {done}; `agent run` goes on with that, and "
                        "--yes withdraws it all the same")


def carry_out(home: Home, asked: Withdrawal) -> list[str]:
    """Leave it in the inbox, and empty that here where no daemon does; what became of it."""
    withdrawal.leave(home, asked)
    return emptied(home, withdrawal.take_up)


def emptied(home: Home, take_up: Callable[[Ledger, Home, str], Iterable[str]]) -> list[str]:
    """What became of what lies in the inbox; nothing where an agent is at work, which takes it."""
    told: list[str] = []
    with ExitStack() as stack:
        if holder(home.lock) is None and _is_ours(stack, home):
            ledger = stack.enter_context(Ledger.open(home.ledger))
            told += take_up(ledger, home, utc_stamp())
    return told


def _is_ours(stack: ExitStack, home: Home) -> bool:
    """Hold the home's lock as long as the stack; an agent that was quicker carries it out."""
    try:
        stack.enter_context(only_one(home.lock))
    except UserError:
        return False
    return True


def _say(asked: Withdrawal, told: list[str], is_dry: bool) -> None:
    for run in asked.runs:
        show(f"{run.label}  {run.config_text}, seed {run.seed}")
    if asked.ideas:
        n = len(asked.ideas)
        show(f"{n} {'idea' if n == 1 else 'ideas'} in the inbox")
    if is_dry:
        what = "" if asked.study is None else f"study {asked.study} and "
        tell(f"would withdraw {what}{len(asked.runs)} queued; a dry run, so nothing was")
        return
    is_grid = any(run.grid_id is not None for run in asked.runs)
    back = (f"; `agent run --study {asked.study}` takes it up again" if asked.study is not None
            else "; `agent grid` plans cells anew" if is_grid
            else "; `agent enqueue` queues an idea anew")
    for message in told or ["left in the inbox: the agent at work withdraws it"]:
        tell(f"{message}{back}")
