"""`agent scaling` as people call it."""

import json
from pathlib import Path

import pytest

from agent.cli import scaling as command
from agent.home.paths import Home
from engine.errors import UserError
from tests.support.example_grids import filled, studied
from tests.support.example_home import a_home, agent


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with the made grids; the fit is that of all tests, which takes seconds."""
    def fitted(runs: object, yardsticks: object, progress: object, n_draws: int) -> object:
        assert runs == studied()[1].runs
        return studied()[0]

    monkeypatch.setattr(command, "study_of", fitted)
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.ledger.write_bytes(filled())
    return home


def test_sentences_on_the_terminal(home: Home) -> None:
    result = agent(home, "scaling", columns=70)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("On tales, models of ")
    assert "(95 %: " in result.stdout


def test_json_has_what_scripts_rely_on(home: Home) -> None:
    found = json.loads(agent(home, "scaling", "--json").stdout)
    assert found.keys() >= {"n_runs", "n_cells", "sizes", "decades_n", "decades_d", "fits",
                            "families", "thresholds", "text", "rates"}


def test_written_twice_the_files_are_the_same_and_nothing_else_is_touched(
        home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    (folder / "nights").mkdir(parents=True)
    (folder / "nights" / "mine.txt").write_text("mine")
    first = agent(home, "scaling", "--write", str(folder))
    assert "report.md, results.csv, bootstrap.csv and " in first.stderr
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    agent(home, "scaling", "--write", str(folder))
    assert before == {path: path.read_bytes() for path in sorted(folder.rglob("*"))
                      if path.is_file()}
    assert (folder / "nights" / "mine.txt").read_text() == "mine"
    (folder / "report.md").unlink()
    (folder / "report.md").mkdir()  # somebody's own
    refused = agent(home, "scaling", "--write", str(folder))
    assert refused.exit_code == 1
    assert "report.md is not what a report would replace" in refused.stderr


def test_too_few_runs_are_refused_with_what_to_run(tmp_path: Path) -> None:
    home = a_home(tmp_path / "few")
    result = agent(home, "scaling")
    assert result.exit_code == 1
    assert "agent grid --params" in result.stderr
    assert agent(Home(tmp_path / "none"), "scaling").exit_code == 1


def test_where_the_runs_are_too_few_for_a_law_the_rates_are_told_all_the_same(
        home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise UserError("an exponent needs more")

    monkeypatch.setattr(command, "study_of", refused)
    result = agent(home, "scaling")
    assert result.exit_code == 1
    assert "the width rule of the learning rate does not hold" in result.stderr
    assert "agent: an exponent needs more" in result.stderr


def test_two_ways_to_say_the_text_are_one_too_many(home: Home) -> None:
    assert agent(home, "scaling", "--corpus", "tales", "--study", "1").exit_code == 2
