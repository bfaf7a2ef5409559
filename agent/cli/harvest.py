"""The command that grows a run to what a time can carry: harvest."""

from typing import Any

import click

from agent.analysis import harvested
from agent.cli.main import main
from agent.cli.options import complete_labels, cores_option, study_option
from agent.cli.progress import Screen
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import show, tell
from agent.home import Home
from agent.machine import guard
from agent.night import Crop, Wish, desk, foresee_harvest, harvest_once
from agent.trial import Source
from agent.words import typed
from engine.errors import UserError


@main.command()
@click.argument("key", metavar="[RUN]", required=False, shell_complete=complete_labels)
@click.option("--for", "time", required=True, metavar="TIME", help="How long, such as 3h.")
@click.option("--dry-run", is_flag=True, help="Say what would be grown and run nothing.")
@study_option
@click.option("--replicas", "n_replicas", type=click.IntRange(1, 64),
              help="Processes that share the training.  [default: cores]")
@cores_option
@click.option("--max-ram", metavar="SIZE", help="Most memory.  [default: 3G, or half of the "
              "machine]")
@as_json_option
@click.pass_obj
def harvest(home: Home, /, key: str | None, time: str, dry_run: bool, as_json: bool,
            **options: Any) -> None:
    """Grow RUN, or what is confirmed, to what a time can carry, with its score foretold.

    Example:  agent harvest best --for 3h
    """
    seconds, wish = typed.seconds(time), _wish(home, options)
    with Screen() as screen:
        if dry_run:
            crop = foresee_harvest(home, key, wish, seconds, screen.stage)
            _say(crop, as_json)
            return
        with desk(home, screen, screen.stage) as at:
            run, planned = harvest_once(at, key, wish, seconds)
            told = harvested(at.ledger, run)
    if as_json:
        show_json(told.as_dict() | {"plan": planned.as_dict() if planned else None})
    if run.state == "queued":
        raise UserError(f"{run.label} was stopped at a checkpoint; `agent harvest --for 1h` or "
                        "`agent run` goes on with it")
    if run.state != "finished":
        raise UserError(f"{run.label} {run.state}: {run.error}")
    if not as_json:
        show("\n".join(told.lines()))


def _say(crop: Crop, as_json: bool) -> None:
    if as_json:
        show_json(crop.as_dict())
        return
    show(str(crop))
    if crop.source.why_guess:
        tell(f"a guess and no law, since {crop.source.why_guess}")


def _wish(home: Home, options: dict[str, Any]) -> Wish:
    max_ram = options["max_ram"]
    given = {name: options[name] for name in ("n_replicas", "study") if options[name] is not None}
    return Wish(Source(str(home.data), "builtin"),
                typed.megabytes(max_ram) if max_ram else guard.default_max_ram_mb(),
                is_text_given=False, is_corpus_given=False, is_seed_given=False,
                is_replicas_given="n_replicas" in given, are_cores_given=bool(options["cores"]),
                **given)
