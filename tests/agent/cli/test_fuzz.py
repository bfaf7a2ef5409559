"""Whatever a person types or sets in the environment ends in a sentence, never in a traceback.

Options and arguments are taken from the commands themselves: a new one is tried as soon as it is
there. FUZZ=1000 tries so many others of each.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.main import MODULES, main
from agent.home.paths import Home
from agent.ledger.published import parse as parse_table
from agent.machine import parse_window
from agent.night.enqueue import parse as parse_idea
from agent.words import typed
from engine.config import Config
from engine.errors import UserError
from engine.text import corpus
from engine.text.stories.write import write_stories
from strategies.grid import parse_size, parse_tokens
from tests.support.fuzz import agent, cases, is_told, settable, without_work, words

SOUND = {"TIME": ["4m", "90s", "1h30m"], "SIZE": ["3G", "800M"], "N": ["200k", "3"],
         "KEY=VALUE": ["n_embd=64", "lr=1e-3", "n_hidden=none", "tied=true", "seq_len=2048"],
         "KEY=VALUE...|FILE|-": ["n_embd=64", "lr=1e-3", "-"], "LIST": ["64d/2L", "100k,2M"],
         "RUN": ["E1", "best", "1"], "[RUN]": ["E1"], "A": ["B1"], "B": ["E1"],
         "NAME|FILE": ["builtin", "../../../text.txt"], "HH:MM-HH:MM": ["22:00-07:00"]}
SLOW = {"simulate": 30, "importance": 30, "doctor": 20, "run": 150, "train": 120, "grid": 120,
        "sample": 100, "enqueue": 120, "serve": 15, "datasette-metadata": 15, "star": 25,
        "note": 30}
READING = [["status"], ["runs"], ["table"], ["show", "E1"], ["log", "E1"], ["baselines"],
           ["compare", "E1", "E2"], ["lineage"], ["doctor"], ["sample", "E1"],
           ["simulate", "--nights", "1", "--runs", "6"], ["--help"], ["run", "--help"],
           ["grid", "--sizes", "64d/2L", "--tokens", "100k", "--dry-run"], ["run", "--runs", "1"]]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Home]]:
    root = tmp_path_factory.mktemp("fuzz")
    (root / "stories.txt").write_text("<|endoftext|>".join(write_stories(40, 0)))
    tokens = corpus.prepare_tokens(corpus.from_file(root / "data", root / "stories.txt"), 300)
    with without_work(root, tokens) as give:
        yield give


# --- every option and argument of every command ----------------------------------------------


@st.composite
def command_lines(draw: st.DrawFn, command: click.Command) -> list[str]:
    """A command's name, some of its options and its arguments, with whatever values."""
    found = [str(command.name)]
    for one in command.params:
        if isinstance(one, click.Argument):
            n = draw(st.integers(int(one.required), 3 if one.nargs < 0 else 1))
            found += [draw(fitting(one)) for _ in range(n)]
        elif one.required or draw(st.integers(0, 3)) == 0:
            name = draw(st.sampled_from(one.opts))
            if getattr(one, "is_flag", False):
                found.append(name)
            else:
                value, is_joined = draw(fitting(one)), name.startswith("--") and draw(st.booleans())
                found += [f"{name}={value}"] if is_joined else [name, value]
    return found


def fitting(one: click.Parameter) -> st.SearchStrategy[str]:
    """Values of a parameter: of its own kind as often as not."""
    if sound := SOUND.get(str(one.metavar)):
        return st.one_of(st.sampled_from(sound), st.sampled_from(sound), words)
    if isinstance(one.type, click.Choice):
        return st.one_of(st.sampled_from([str(choice) for choice in one.type.choices]), words)
    if isinstance(one.type, click.types.IntParamType):
        return st.one_of(st.integers(1, 100).map(str), st.integers(0, 2**70).map(str), words)
    if isinstance(one.type, click.types.FloatParamType):
        return st.one_of(st.floats(0, 100).map(str), st.floats().map(str), words)
    return words


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_command_line_ends_in_a_traceback(name: str, fresh: Callable[[], Home]) -> None:
    @cases(SLOW.get(name, 60))
    @given(command_lines(main.commands[name]))
    def case(line: list[str]) -> None:
        is_told(agent("--home", str(fresh().root), *line))

    case()


@cases(100)
@given(st.lists(words, max_size=4))
def test_no_words_at_all_end_in_a_traceback(fresh: Callable[[], Home], line: list[str]) -> None:
    fresh()
    is_told(agent(*line))


@pytest.mark.parametrize("line", READING, ids=" ".join)
def test_what_is_sound_is_done(fresh: Callable[[], Home], line: list[str]) -> None:
    assert is_told(agent("--home", str(fresh().root), *line))


# --- the environment -------------------------------------------------------------------------

SIZES = st.one_of(st.sampled_from(["0", "-1", "1", "2", "9", "19", "abc", "²", "", "80", "1e3"]),
                  settable)


@cases(250)
@given(st.sampled_from(READING), st.dictionaries(st.sampled_from(["COLUMNS", "LINES"]), SIZES),
       st.dictionaries(st.sampled_from(
           ["TERM", "NO_COLOR", "FORCE_COLOR", "HOME", "TZ", "PREFIX", "LANG", "LC_ALL"]),
           settable, max_size=2), st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252"]))
def test_no_environment_breaks_a_command(fresh: Callable[[], Home], line: list[str],
                                         sizes: dict[str, str], others: dict[str, str],
                                         charset: str) -> None:
    assert is_told(agent("--home", str(fresh().root), *line, charset=charset, **sizes, **others))


@cases(60)
@given(settable, st.sampled_from([["status"], ["run", "--runs", "1"], ["doctor"]]))
def test_no_home_that_the_environment_names_ends_in_a_traceback(
        fresh: Callable[[], Home], name: str, line: list[str]) -> None:
    fresh()
    is_told(agent(*line, AGENT_HOME=name))


def test_a_tilde_is_the_home_folder_wherever_it_is_written(
        fresh: Callable[[], Home], tmp_path: Path) -> None:
    home, root = fresh(), str(fresh().root.parent)
    assert agent("--home=~/home", "path", "E1").stdout.startswith(str(home.root))
    assert agent("path", "E1", AGENT_HOME="~/home").stdout.startswith(str(home.root))
    assert is_told(agent("--home=~/home", "run", "--runs", "1", "--corpus=~/text.txt"))
    assert is_told(agent("--home=~/home", "run", "--runs", "1", "--valid=~/text.txt"))
    Path(root, "table.md").write_text(
        "<!-- experiments:begin -->\n<!-- experiments:end -->\n", encoding="utf-8")
    assert "no file" not in agent("--home=~/home", "table", "--write=~/table.md").stderr
    Path(root, "idea.json").write_text('\ufeff{"lr": 0.0021}\r\n', encoding="utf-8")
    assert is_told(agent("--home=~/home", "enqueue", "--dry-run", "~/idea.json"))
    nobody = agent("status", AGENT_HOME="~nosuchuser/x")
    assert (nobody.exit_code, "names nobody's home folder here" in nobody.stderr) == (2, True)


# --- what is typed, by itself ----------------------------------------------------------------

PARSERS: dict[str, Callable[[str], Any]] = {
    "duration": typed.seconds, "memory": typed.megabytes, "tokens": parse_tokens,
    "size": parse_size, "window": parse_window, "settings": lambda text: Config().assign([text]),
    "idea": parse_idea, "table": parse_table}


@pytest.mark.parametrize("name", PARSERS)
def test_nothing_typed_is_more_than_a_user_error(name: str) -> None:
    told: list[str] = []

    @cases(80)
    @given(words)
    def case(text: str) -> None:
        try:
            PARSERS[name](text)
        except UserError as error:
            told.append(str(error))

    case()
    assert all(10 < len(one) < 700 for one in told)


def test_there_are_two_thousand_cases_and_more() -> None:
    lines = sum(SLOW.get(name, 60) for name in MODULES)
    assert lines + 100 + 250 + 60 + 80 * len(PARSERS) >= 2_000
    assert "FUZZ" in os.environ or lines > 1_000
