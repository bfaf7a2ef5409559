"""`agent harvest`: a run is grown in a fresh home, and the word `harvest` names what came of it."""

import json

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import NewCalibration
from engine.text.stories.write import write_stories
from tests.support.parts import NOW, settings

SETTINGS = settings()


def agent(home: Home, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *words])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A study on a text, with one run by hand."""
    home = Home(tmp_path_factory.mktemp("home"))
    text = home.root / "stories.txt"
    text.write_text("<|endoftext|>".join(write_stories(60, 0)))
    result = agent(home, "train", "--corpus", str(text), "--steps", "40", "--replicas", "1",
                   *SETTINGS, "--set", "lr=1e-2")
    assert result.exit_code == 0, result.stderr
    with Ledger.open(home.ledger) as ledger:
        run = ledger.run("T1")
        ledger.add_calibration(NewCalibration(
            created_at=NOW, corpus_id=run.corpus_id or 0,
            text_sha256=ledger.corpus(run.corpus_id or 0).text_sha256,
            budget_tokens=run.budget_tokens or 0, config=run.config, seeds=[5]))
    return home


def test_a_dry_run_tells_the_plan_and_writes_nothing(home: Home) -> None:
    before = home.ledger.read_bytes()
    result = agent(home, "harvest", "T1", "--for", "4s", "--replicas", "1", "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["of"], found["basis"]) == ("T1", "guess")
    assert found["tokens"] > 40 * 64
    assert found["foretold"]["low_bpb"] < found["foretold"]["mean_bpb"] < found["now_bpb"]
    assert home.ledger.read_bytes() == before
    told = agent(home, "harvest", "T1", "--for", "4s", "--replicas", "1", "--dry-run")
    assert "an exponent needs more" in told.stderr


def test_without_a_finished_run_of_a_study_it_says_what_makes_one(home: Home) -> None:
    result = agent(home, "harvest", "--for", "4s", "--dry-run")
    assert result.exit_code == 1
    assert "study 1 has no finished run yet that could be grown" in result.stderr
    assert agent(home, "show", "harvest").exit_code == 1


def test_it_is_trained_judged_and_named_by_its_word(home: Home) -> None:
    result = agent(home, "harvest", "T1", "--for", "3s", "--replicas", "1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("harvest H1: ")
    first, second, *text = result.stdout.splitlines()
    assert second.endswith("as predicted")
    assert text[0].startswith("its text (real text): known words ")
    shown = json.loads(agent(home, "show", "harvest", "--json").stdout)
    assert shown["label"] == "H1"
    assert agent(home, "sample", "harvest", "Once", "--tokens", "5").stdout.startswith("Once")
    export = agent(home, "export", "harvest", "--to", "npz", str(home.root / "model"))
    assert export.exit_code == 0, export.stderr
    with Ledger.open(home.ledger, read_only=True) as ledger:
        assert ledger.run("H1").strategy == "harvest"
        assert ledger.decisions(ledger.run("H1").id)[0].rule == "harvest 1"

