"""Another program's word for a command or an option is met by its meaning."""

import pytest
from click.testing import CliRunner

from agent.cli.main import MODULES, main
from agent.cli.meant import COMMANDS, OPTIONS, command, option


def answer(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, words, prog_name="agent")
    return result.exit_code, result.stderr.splitlines()[-1]


@pytest.mark.parametrize(("word", "meant"), [
    ("ls", "runs"), ("list", "runs"), ("start", "run"), ("ps", "status"), ("logs", "log"),
    ("kill", "stop"), ("generate", "sample"), ("diff", "compare"), ("cat", "show"),
    ("queue", "enqueue"), ("study", "studies"), ("check", "doctor"), ("fit", "train"),
    ("statsu", "status"), ("rnu", "run"), ("Compare", "compare"), ("lst", "runs"),
    ("import_", "import"), ("imp", None), ("foo", None), ("sto", "stop")])
def test_a_command_is_met_by_meaning_then_by_letters(word: str, meant: str | None) -> None:
    assert command(word, MODULES) == meant


def test_the_screen_says_it_in_one_sentence() -> None:
    assert answer("ls") == (2, "Error: No such command 'ls'. Did you mean 'runs'?")
    assert answer("foo") == (2, "Error: No such command 'foo'. `agent -h` lists them.")


@pytest.mark.parametrize(("words", "told"), [
    (("run", "--hours", "3"), "Did you mean --for?"),
    (("run", "--data", "x"), "Did you mean --corpus?"),
    (("run", "--steps", "3"), "Did you mean --run-tokens?"),  # no neighbour of --stories
    (("run", "--trails", "3"), "Did you mean --trials?"),
    (("train", "--epochs", "3"), "Did you mean --steps?"),
    (("sample", "best", "--max-new-tokens", "3"), "Did you mean --tokens?"),
    (("run", "--learning-rate", "1"), "lr is a field: --set lr=…"),
    (("run", "--layers", "1"), "n_layer is a field: --set n_layer=…"),
    (("run", "--foo"), "`agent run -h` lists them."),
    (("--dir", "x", "run"), "Did you mean --home?"),
    (("show", "best", "--layers", "1"), "`agent show -h` lists them.")])
def test_an_option_is_met_by_meaning_or_as_a_field(words: tuple[str, ...], told: str) -> None:
    status, line = answer(*words)
    assert status == 2
    assert line.startswith("Error: No such option '--")
    assert line.endswith(told)


def test_every_meaning_is_a_command_or_an_option_and_hides_none() -> None:
    names = {name for one in main.commands.values() for param in one.params
             for name in param.opts}
    assert set(COMMANDS.values()) <= set(MODULES)
    assert not set(COMMANDS) & set(MODULES)
    assert {name for meant in OPTIONS.values() for name in meant} <= names


def test_what_is_meant_and_not_there_has_no_neighbour() -> None:
    assert option("--steps", ["--stories", "--home"]) is None
    assert option("--stor", ["--stories", "--home"]) == "--stories"
