"""`agent explain`: what the words on the screen mean."""

import textwrap
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem
from rich.console import Console

from agent.cli.main import main
from agent.cli.status import as_json_option, show_json
from agent.words import everything, explained

GAP = "  "
MOST_COLUMN = 20  # letters of words that stand beside all of their meaning


def complete_words(_ctx: click.Context, _param: click.Parameter,
                   incomplete: str) -> list[CompletionItem]:
    """Words that begin so, each with what it means."""
    return [CompletionItem(word, help=told) for word, told in everything().items()
            if word.lower().startswith(incomplete.lower())]


@main.command()
@click.argument("words", nargs=-1, metavar="[WORD]", shell_complete=complete_words)
@as_json_option
def explain(words: tuple[str, ...], as_json: bool) -> None:
    """Say what a word on the screen means, or what all of them do.

    Example:  agent explain pruned
    """
    found = dict([explained(" ".join(words))]) if words else everything()
    if as_json:
        show_json(found)
    else:
        click.echo("\n".join(lines(found, Console().width)))


def lines(found: Mapping[str, str], width: int) -> list[str]:
    """Words in a column, their meanings beside it, no line longer than width; the longest words
    reach into that.
    """
    widest = min(max(map(len, found)), MOST_COLUMN) + len(GAP)
    return [line for word, told in found.items()
            for line in textwrap.wrap(f"{word + GAP:<{widest}}{told}", width,
                                      subsequent_indent=" " * min(widest, width // 2),
                                      break_on_hyphens=False)]
