"""`agent service`: a night that outlives its terminal, as a systemd user unit."""

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

import agent
from agent.cli.main import main
from agent.cli.run import require_sense, run
from agent.home import Home
from agent.ledger import GENERATED
from agent.machine import machine
from engine.errors import UserError

UNIT = """\
# mkdir -p ~/.config/systemd/user && {again} > ~/.config/systemd/user/phi-auto.service \
&& systemctl --user daemon-reload && systemctl --user enable --now phi-auto
# loginctl enable-linger   # it runs without a login; journalctl --user -fu phi-auto follows it
[Unit]
Description=phi-auto: experiments on small language models, in {home}
StartLimitIntervalSec=1h
StartLimitBurst=5

[Service]
ExecStart={command}
{environment}Restart=on-failure
RestartSec=60
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=120

[Install]
WantedBy=default.target
"""
PHONE = """\
# Termux has no systemd: Termux:Boot starts the agent with the phone, and a watchdog every 15 min.
AGENT_HOME={home} sh {installer}
# The options of every start, one a line:
printf '%s\\n' {options} > {file}
"""
ANY_WORDS = {"ignore_unknown_options": True}


@main.command(context_settings=ANY_WORDS)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF AGENT RUN]...")
@click.pass_obj
def service(home: Home, /, options: Sequence[str]) -> None:
    """Print a systemd user unit that runs the agent, and how to install it.

    Example:  agent service --for 8h --corpus tinystories
    """
    with run.make_context("agent run", list(options)) as context:
        require_sense(home, context.params)  # here, and not at three in the morning
        words = list(_given(context))
    environ = os.environ
    text = _phone(home, words) if machine.is_termux(environ) else unit(home, words)
    click.echo(text, nl=False)


def unit(home: Home, words: Sequence[str]) -> str:
    """The unit: this Python, this home and these options of `agent run`, by absolute paths."""
    root = Path(agent.__file__).resolve().parents[1]
    # A checkout on PYTHONPATH; what is installed is found without, and never in the current folder.
    environment = "" if root.name.endswith("-packages") or str(root) not in sys.path else (
        f"Environment={_quoted(f'PYTHONPATH={root}', dollar='$')}\n")
    command = [sys.executable, "-P", "-m", "agent", "--home", str(home.root), "run", *words]
    again = shlex.join(["agent", "--home", str(home.root), "service", *words])
    return UNIT.format(again=_one_line(again), home=_one_line(str(home.root)).replace("%", "%%"),
                       command=" ".join(map(_quoted, command)), environment=environment)


def _phone(home: Home, words: Sequence[str]) -> str:
    installer = Path(agent.__file__).resolve().parents[1] / "termux" / "install.sh"
    return PHONE.format(home=shlex.quote(str(home.root)), installer=shlex.quote(str(installer)),
                        options=shlex.join(words) or "''",
                        file=shlex.quote(str(home.root / "agent.options")))


def _given(context: click.Context) -> Iterator[str]:
    """The options that were given, each as one word; files by their absolute path."""
    for option in context.command.params:
        value = context.params.get(option.name or "")
        source = context.get_parameter_source(option.name or "")
        if value is None or source is not ParameterSource.COMMANDLINE:
            continue
        for one in value if option.multiple else [value]:
            if isinstance(one, bool):
                yield option.opts[0]
            elif option.name in ("corpus", "valid") and one not in GENERATED:
                yield f"{option.opts[0]}={Path(one).expanduser().absolute()}"
            else:
                yield f"{option.opts[0]}={one:g}" if isinstance(one, float) else (
                    f"{option.opts[0]}={one}")


def _quoted(word: str, dollar: str = "$$") -> str:
    """A word as systemd reads it back."""
    inside = _one_line(word).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    inside = inside.replace("$", dollar)
    plain = inside == word and word.replace("-", "").replace("=", "").replace("/", "").replace(
        ".", "").replace("_", "").isalnum()
    return inside if plain else f'"{inside}"'


def _one_line(word: str) -> str:
    if not word.isprintable():
        raise UserError(f"{word!r} holds what a line of a unit cannot; rename it")
    return word
