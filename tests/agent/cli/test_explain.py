"""`agent explain`: all words in a column, or one of them."""

import json

import pytest
from click.testing import CliRunner

from agent.cli.explain import complete_words, lines
from agent.cli.main import main
from agent.words.glossary import GLOSSARY, everything


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_all_words_fit_the_terminal(width: int) -> None:
    assert max(map(len, lines(everything(), width))) <= width


def test_one_word_or_all_of_them_as_json() -> None:
    one = CliRunner().invoke(main, ["explain", "silent", "test", "--json"])
    assert json.loads(one.stdout) == {"silent test": GLOSSARY["silent test"]}
    assert json.loads(CliRunner().invoke(main, ["explain", "--json"]).stdout) == everything()
    none = CliRunner().invoke(main, ["explain", "reufted"])
    assert (none.exit_code, "did you mean refuted?" in none.stderr) == (1, True)


def test_the_shell_completes_words() -> None:
    assert [item.value for item in complete_words(None, None, "pr")] == ["prior", "pruned"]  # type: ignore[arg-type]
