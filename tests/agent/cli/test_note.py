"""`agent note`, `agent star`, and where their words are seen."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.home.lock import only_one
from agent.home.paths import Home
from tests.support import example_ledger as example

FOREIGN = '<script>alert(1)</script> "שלום" ' + "x" * 5000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.ledger.write_bytes(example.filled())
    return home


def agent(home: Home, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *words])


def labels(home: Home, *words: str) -> list[str]:
    return [row["label"] for row in json.loads(agent(home, "runs", "--json", *words).stdout)]


def test_a_note_is_written_and_read_back(home: Home) -> None:
    assert agent(home, "note", "e1", "try it", "with more data").stderr == "E1: noted\n"
    assert agent(home, "note", "E1", "again").exit_code == 0
    assert agent(home, "note", "E1").stdout == "try it with more data\nagain\n"
    assert json.loads(agent(home, "note", "E1", "--json").stdout) == {
        "label": "E1", "note": "try it with more data\nagain", "is_starred": False}
    assert agent(home, "note", "E1", "--replace", "new").stderr == "E1: note replaced\n"
    assert agent(home, "note", "E1", "--clear").stderr == "E1: note removed\n"
    assert agent(home, "note", "E1").stderr == "nothing is noted on E1\n"


def test_runs_are_found_by_their_words_and_by_a_star(home: Home) -> None:
    agent(home, "note", "E2", "Blue whale")
    agent(home, "star", "E1", "E2")
    assert labels(home, "--search", "WHALE blue") == ["E2"]
    assert labels(home, "--starred") == ["E1", "E2"]
    assert labels(home, "--starred", "--limit", "1") == ["E2"]
    assert agent(home, "star", "E1", "--remove").stderr == "E1: no longer starred\n"
    assert labels(home, "--starred", "--search", "e") == ["E2"]
    assert labels(home, "--search", "nowhere at all") == []


def test_they_stand_in_every_list(home: Home) -> None:
    agent(home, "note", "E1", "blue whale")
    agent(home, "star", "E1")
    assert "“blue whale”" in agent(home, "runs").stdout
    assert "blue whale" in agent(home, "show", "E1").stdout
    assert "★ blue whale" in agent(home, "table").stdout
    page = agent(home, "report").stdout
    assert "★ E1" in page
    assert "“blue whale”" in page
    row = next(one for one in json.loads(agent(home, "report", "--json").stdout)["table"]
               if one["label"] == "E1")
    assert (row["note"], row["is_starred"]) == ("blue whale", True)
    assert agent(home, "export-runs", "--csv").stdout.splitlines()[0].startswith("note,is_starred,")
    agent(home, "note", "best", "red fox")
    assert json.loads(agent(home, "status", "--json").stdout)["best_note"].endswith("red fox")
    assert "red fox" in agent(home, "status").stdout


def test_a_foreign_note_changes_nothing(home: Home) -> None:
    assert agent(home, "note", "E1", FOREIGN).exit_code == 0
    assert "<script>alert" not in agent(home, "report").stdout
    assert max(map(len, agent(home, "runs").stdout.splitlines())) <= 80


def test_while_an_agent_works_it_waits_in_the_inbox(home: Home) -> None:
    with only_one(home.lock):
        result = agent(home, "star", "E1")
    assert "left in the inbox" in result.stderr
    assert len(list(home.inbox.iterdir())) == 1
    assert agent(home, "star", "E2").stderr == "E1: starred\nE2: starred\n"


@pytest.mark.parametrize(("words", "status", "told"), [
    (("note", "E1", "x" * 10_001), 1, "10,000 are the most"),
    (("note", "E1", " "), 1, "the note is empty"),
    (("note", "E1", "x", "--clear"), 2, "--clear removes the note"),
    (("note", "nowhere", "x"), 1, "there is no run 'nowhere'"),
    (("star",), 2, "Missing argument"),
    (("star", "E1", "nowhere"), 1, "there is no run 'nowhere'"),
])
def test_what_cannot_be_written_is_one_sentence(home: Home, words: tuple[str, ...], status: int,
                                                told: str) -> None:
    result = agent(home, *words)
    assert (result.exit_code, told in result.stderr) == (status, True)
    assert labels(home, "--starred") == []
