"""`agent studies` and `agent best`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import NewCalibration
from engine.config import Config
from tests.support import example_ledger as example
from tests.support.example_home import a_home

LATER = "2026-12-24T10:00:00Z"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The example night, a confirmed run in it, and a grid cell of six times the tokens."""
    home = a_home(tmp_path_factory.mktemp("studies") / "home")
    with Ledger.open(home.ledger) as ledger:
        kept = ledger.run("E1")
        ledger.decide(kept.id, None, "confirmed", "rule/1", {"gain_bpb": 0.03, "seeds": [1, 2]},
                      "fresh seeds say so", LATER)
        cell = example.queue(ledger, Config(lr=4e-3), strategy="grid", calibration_id=None,
                             budget_tokens=6 * example.BUDGET)
        ledger.claim(LATER, 4242, run_id=cell.id)
        example.finish(ledger, cell, 1.0, LATER)
        ledger.add_calibration(NewCalibration(
            created_at=LATER, corpus_id=1, text_sha256="aa", budget_tokens=1000,
            config=Config(n_embd=64, lr=1e-3, weight_decay=0.05, beta2=0.99).to_dict()))
        ledger.event("night", "a test began", LATER, data={"study": 1, "newest_study": 2})
    return home


def agent(home: Home, *words: str, columns: int = 80) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *words], prog_name="agent",
                              env={"COLUMNS": str(columns)})


def test_studies_say_text_start_budget_runs_gain_and_head(home: Home) -> None:
    lines = agent(home, "studies").stdout.splitlines()
    assert lines[0].split() == ["study", "text", "tokens", "runs", "confirmed", "head", "last",
                                "used"]
    assert lines[1].split() == ["→", "1", "stories", "2,048,000", "3", "+0.0300", "E1",
                                "2026-12-24", "10:00"]
    assert lines[2].strip() == "from 128d/4L AdamW lr=3e-3"
    assert lines[3].split()[:5] == ["2", "stories", "1,000", "0", "-"]


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_line_is_longer_than_the_terminal(home: Home, columns: int) -> None:
    lines = agent(home, "studies", columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:2] == ["study", "text"]


def test_studies_as_json(home: Home) -> None:
    first, second = json.loads(agent(home, "studies", "--json").stdout)
    assert (first["study"], first["is_last"], first["text"], first["n_runs"], first["n_queued"],
            first["n_confirmed"], first["confirmed_bpb"], first["head"]) == (
        1, True, "stories", 3, 1, 1, 0.03, "E1")
    assert (second["budget_tokens"], second["confirmed_bpb"], second["head_bpb"]) == (
        1000, None, 1.1822 if second["head"] else None)


def test_the_best_is_of_a_study_and_of_all_where_that_is_asked(home: Home) -> None:
    assert json.loads(agent(home, "best", "--json").stdout)["label"] == "E1"
    assert json.loads(agent(home, "best", "--study", "1", "--json").stdout)["label"] == "E1"
    result = agent(home, "best", "--any", "--json")
    assert json.loads(result.stdout)["label"] == "G1"
    assert result.stderr == ("G1 is the best over 2 token budgets, whose scores do not compare; "
                             "`agent best` is the best of one study\n")
    assert json.loads(agent(home, "show", "best", "--any", "--json").stdout)["label"] == "G1"
    assert json.loads(agent(home, "status", "--json").stdout)["best"]["label"] == "E1"


def test_best_shows_the_run_whole(home: Home) -> None:
    assert agent(home, "best").stdout == agent(home, "show", "best").stdout


def test_a_ledger_without_studies_says_how_to_begin_one(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db"):
        pass
    assert agent(Home(tmp_path), "studies").stdout == (
        "no studies yet; `agent run --for 4m` begins one\n")


@pytest.mark.parametrize("words", [
    ("studies",), ("best",), ("best", "--any"), ("best", "--study", "1"), ("show", "head"),
    ("lineage", "--study", "1"), ("compare", "baseline", "best"), ("status",)])
def test_the_published_record_works_in_all(words: tuple[str, ...]) -> None:
    result = agent(Home(ROOT), *words)
    assert (result.exit_code, result.stdout != "") == (0, True)
