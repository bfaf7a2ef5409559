"""Commands that let a run's model write: sample and chat. Nothing is written but to stdout."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import click

from agent.analysis import rows_of_text, written_in
from agent.cli.given import COUNT, SEED, Finite, GivenPath
from agent.cli.main import main
from agent.cli.options import run_argument, which_run
from agent.cli.read import page_width
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import tell
from agent.home import Home
from agent.ledger import Reader, find_run
from agent.show import grid
from agent.trial import prompts_of, sampler
from agent.words import printable
from engine.sampling import Sampling

_HOW = Sampling()  # the defaults
SIGN = "> "  # where a terminal waits for a line


def _how_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How long a text is and how its tokens are chosen."""
    for option in reversed([
        click.option("--tokens", type=COUNT, default=120, show_default=True,
                     help="Most tokens of a text."),
        click.option("--stop", multiple=True, metavar="TEXT",
                     help="End before this text; may be repeated."),
        click.option("--temperature", type=Finite(), default=_HOW.temperature, show_default=True,
                     help="Below 1 is safer, above 1 wilder, 0 always the likeliest."),
        click.option("--top-k", type=int, default=_HOW.top_k, show_default=True,
                     help="Choose among so many likeliest tokens."),
        click.option("--top-p", type=Finite(),
                     help="Choose among the likeliest that make up this share."),
        click.option("--repetition-penalty", type=Finite(), default=_HOW.repetition_penalty,
                     show_default=True, help="Above 1 makes tokens that were used less likely."),
        click.option("--seed", type=SEED, default=0, show_default=True,
                     help="The same seed writes the same text."),
    ]):
        command = option(command)
    return command


def _speaker(home: Home, how: dict[str, Any]) -> sampler.Speaker:
    """The model of the run that was named; the options that name it are taken out of how."""
    with Reader.open(home.ledger) as ledger:
        run = find_run(ledger, **{name: how.pop(name) for name in ("key", "study", "of_all")})
    return sampler.load(run, home.run(run.uid))


@main.command()
@run_argument
@which_run
@click.argument("prompt", required=False)
@click.option("--prompts", "file", metavar="FILE",
              type=GivenPath(exists=True, dir_okay=False, allow_dash=True),
              help="Continue each line of a file, - is stdin; of a .jsonl its \"prompt\".")
@click.option("--n", "n_texts", type=click.IntRange(1, 10_000), default=1, show_default=True,
              help="How many texts of each prompt.")
@_how_options
@click.option("--measure", "is_measured", is_flag=True,
              help="Show no text; hold many beside real text instead.")
@as_json_option
@click.pass_obj
def sample(home: Home, /, prompt: str | None, file: Path | None, n_texts: int, is_measured: bool,
           as_json: bool, **how: Any) -> None:
    """Write text with the model of a run, shown while it is written.

    Example:  agent sample best "The dog" --n 3
    """
    if (prompt is not None) + (file is not None) + is_measured > 1:
        raise click.UsageError("PROMPT, --prompts and --measure each say what to continue; give "
                               "one")
    speaker = _speaker(home, how)
    if is_measured:
        _measure(speaker, how["seed"], as_json)
        return
    prompts = [prompt] if file is None else _prompts(file)
    if as_json:
        found = [_speak(speaker, one, n_texts, how) for one in prompts]
        show_json([*map(dataclasses.asdict, found)] if file else dataclasses.asdict(found[0]))
        return
    _write(speaker, prompts, n_texts, how, is_told=file is not None)


def _write(speaker: sampler.Speaker, prompts: Sequence[str | None], n_texts: int,
           how: Mapping[str, Any], *, is_told: bool) -> None:
    """A page for each prompt; is_told says which of how many it is."""
    title = f"{speaker.label} at step {speaker.model.step:,}, sampling seed {how['seed']}"
    for i, one in enumerate(prompts):
        place = f"prompt {i + 1} of {len(prompts)}" if is_told else ""
        with Page(place, n_texts, "" if i else title) as page:
            _speak(speaker, one, n_texts, how, page.heard)


def _measure(speaker: sampler.Speaker, seed: int, as_json: bool) -> None:
    """What 64 texts of default settings are like, beside what the held-out text goes on with."""
    if not as_json:
        tell(f"{speaker.label} at step {speaker.model.step:,} goes on from held-out beginnings; "
             f"sampling seed {seed}")
    its = written_in(one._asdict() for one in sampler.measure(speaker, seed))
    if as_json:
        show_json([dataclasses.asdict(one) for one in its])
        return
    head, rows = ("", speaker.label, "real text"), rows_of_text(its)
    lines = grid.columns([head, *rows])
    if max(map(len, lines)) > page_width():  # the intervals are for those who have room
        lines = grid.columns([head, *((name, own.partition(" (")[0], real.partition(" (")[0])
                                      for name, own, real in rows)])
    click.echo("\n".join(lines))


def _prompts(file: Path) -> list[str]:
    if str(file) == "-":
        return prompts_of(sys.stdin.buffer.read(), "standard input")
    return prompts_of(file.read_bytes(), str(file))


def _speak(speaker: sampler.Speaker, prompt: str | None, n_texts: int, how: Mapping[str, Any],
           heard: sampler.Heard | None = None) -> sampler.Sample:
    """Texts of a prompt by the options of _how_options."""
    chosen = Sampling(**{name: how[name] for name in Sampling.__dataclass_fields__})
    return sampler.speak(speaker, prompt, how["tokens"], n_texts, how["seed"], chosen, how["stop"],
                         heard)


class Page:
    """Texts of one prompt on stdout, parted by a line above each where there are several.

    The first is shown while it is written, the others, which are written beside it, behind it.

    title  told on stderr before the first page's texts; of later pages there is none
    """

    def __init__(self, place: str, n_texts: int, title: str) -> None:
        self._place, self._title = place, title
        self._others: list[list[str]] = [[] for _ in range(n_texts - 1)]
        self._n_texts, self._has_begun = n_texts, False

    def __enter__(self) -> Self:
        return self

    def heard(self, i: int, piece: str) -> None:
        if i > 0:
            self._others[i - 1].append(piece)
            return
        if not self._has_begun:  # so that settings out of range are told alone
            if self._title:
                tell(self._title)
            self._head(0)
            self._has_begun = True
        click.echo(printable(piece), nl=False)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._has_begun:
            click.echo()
        for i, pieces in enumerate([] if kind else self._others, start=1):
            self._head(i)
            click.echo(printable("".join(pieces)))

    def _head(self, i: int) -> None:
        own = f"text {i + 1} of {self._n_texts}" if self._n_texts > 1 else ""
        told = ", ".join(filter(None, (self._place, own)))
        if told:
            click.echo(f"{'' if self._title and i == 0 else chr(10)}--- {told} ---")


@main.command()
@run_argument
@which_run
@_how_options
@click.pass_obj
def chat(home: Home, /, **how: Any) -> None:
    """Let the model of a run continue each line you type, until Ctrl-D.

    Example:  agent chat best --stop "."
    """
    speaker = _speaker(home, how)
    tell(f"{speaker.label} at step {speaker.model.step:,} continues what you write; an empty "
         "line lets it go on, Ctrl-C ends a text, Ctrl-D all")
    text = ""
    for i, line in enumerate(_lines(sys.stdin.buffer, sys.stdin.isatty())):
        # A model of texts has no turns: what it goes on with is the text so far.
        text = _continued(speaker, line or text, how | {"seed": how["seed"] + i}, is_said=not line)


def _continued(speaker: sampler.Speaker, text: str, how: Mapping[str, Any], *,
               is_said: bool) -> str:
    """A text with what the model adds, said while it is written; Ctrl-C ends it where it is.

    is_said  whether the text itself was said before
    """
    pieces: list[str] = []

    def heard(_: int, piece: str) -> None:
        if pieces or not is_said:
            click.echo(printable(piece), nl=False)
        pieces.append(piece)

    with suppress(KeyboardInterrupt):
        _speak(speaker, text, 1, how, heard)
    click.echo("\n")
    return "".join(pieces)


def _lines(stream: BinaryIO, is_terminal: bool) -> Iterator[str]:
    """Each line that is typed, after a sign on a terminal; ends with the stream, or on Ctrl-C."""
    while True:
        if is_terminal:
            click.echo(SIGN, nl=False, err=True)
        try:
            line = stream.readline()
        except KeyboardInterrupt:
            line = b""
        if not line:
            if is_terminal:
                click.echo(err=True)
            return
        yield line.decode("utf-8", "surrogateescape").rstrip("\r\n")
