"""The commands as `agent -h` lists them: by what a person wants, the first things first."""

from collections.abc import Mapping

import click

SECTIONS: dict[str, tuple[str, ...]] = {
    "A night": ("run", "status", "serve", "pause", "resume", "stop", "doctor", "service",
                "cluster"),
    "What it found": ("best", "report", "runs", "show", "compare", "lineage", "importance",
                      "studies", "baselines", "table", "log", "trace", "note", "star", "explain"),
    "Its models": ("sample", "chat", "harvest", "improve", "export", "import-model", "path"),
    "Your own experiments": ("enqueue", "withdraw", "train", "grid", "scaling", "replicate",
                             "simulate"),
    "Data in and out": ("merge", "import", "export-runs", "datasette-metadata"),
}


def write(commands: Mapping[str, click.Command], formatter: click.HelpFormatter) -> None:
    """Every command with the whole first line of its help."""
    width = max(map(len, commands)) + 2
    for title, names in SECTIONS.items():
        with formatter.section(title):
            formatter.write_dl([(name, _first_line(commands[name])) for name in names],
                               col_max=width, col_spacing=2)


def _first_line(command: click.Command) -> str:
    return (command.help or "").partition("\n")[0]
