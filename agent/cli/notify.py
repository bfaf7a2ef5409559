"""--notify and --notify-url: who is told what became of a night."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import click

from agent.home import Home
from agent.ledger import Queries
from agent.night import Hooks, has_desktop, why_not_url

MOST = 4096  # letters of a command or an address


def _command(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    if text is not None and (not text.strip() or len(text) > MOST or "\0" in text):
        raise click.BadParameter(f"it is empty, or over {MOST:,} letters long; write a command, "
                                 "such as 'mail -s night me'")
    return text


def _url(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    if text is not None and (why := why_not_url(text[:MOST + 1])
                             or ("it is too long" if len(text) > MOST else None)):
        raise click.BadParameter(why)
    return text


def notify_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The two options of a night."""
    for option in reversed([
        click.option("--notify", metavar="COMMAND", callback=_command,
                     help="Run it when the night is over, something is confirmed, the machine "
                     "makes it stop or it is given up; a summary is its standard input, as JSON."),
        click.option("--notify-url", metavar="URL", callback=_url,
                     help="POST that JSON to an https address, at the same times."),
    ]):
        command = option(command)
    return command


def hooks_of(home: Home, options: dict[str, Any]) -> Hooks | None:
    """Those that were asked for, and the desktop where there is one; None for nobody."""
    command, url = options["notify"], options["notify_url"]
    is_on_desktop = has_desktop(os.environ)
    if command is None and url is None and not is_on_desktop:
        return None
    return Hooks(lambda ledger, now: summary(ledger, home, now), command, url, is_on_desktop)


def summary(ledger: Queries, home: Home, now: str) -> dict[str, Any]:
    """What `agent status --json` tells of the morning and of the best run."""
    from agent.show import gather, run_log

    found = gather(ledger, now, is_daemon_alive=False, read_mb=lambda pid: None,
                   read_sample=lambda run: run_log.last_sample(home.run(run.uid)))
    best = found.best
    return {"study": found.study,
            "best": best and {"label": best.label, "val_bpb": best.val_bpb,
                              "val_loss": best.val_loss, "verdict": found.best_verdict,
                              "config": best.config_text},
            "morning": found.morning and dataclasses.asdict(found.morning)}
