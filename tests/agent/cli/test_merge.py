"""`agent merge` as people call it: what comes in, what would, and what cannot."""

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.cli.merge import in_words
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.merge import Taken
from tests.support.parts import NOW, a_run, a_study


def a_home(root: Path, *seeds: int) -> Home:
    root.mkdir()
    home = Home(root)
    with Ledger.open(home.ledger) as ledger:
        a_study(ledger)
        for seed in seeds:
            ledger.finish(a_run(ledger, seed=seed, study=1).id, "finished", NOW, val_bpb=2.0)
        ledger._db.execute("UPDATE runs SET device = ?", [f"phone {root.name}"])
    return home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return a_home(tmp_path / "ours", 0, 1)


@pytest.fixture
def other(tmp_path: Path) -> Home:
    return a_home(tmp_path / "theirs", 0)


def agent(home: Home, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *words])


def labels(home: Home) -> list[str]:
    return [row["label"] for row in json.loads(agent(home, "runs", "--json").stdout)]


def test_it_says_what_came_in_and_what_it_is_called(home: Home, other: Home) -> None:
    result = agent(home, "merge", str(other.root))
    assert result.exit_code == 0
    assert sorted(labels(home)) in (["T1", "T1b", "T2"], ["T1", "T1b", "T2b"])
    assert result.stderr.splitlines()[0] == (
        f"{other.ledger} (phone theirs): 1 run, 1 study added")
    assert "that got a home's letter, since an older home has them: T1 → T1b" in result.stderr
    assert agent(home, "merge", str(other.ledger)).stderr == (
        f"{other.ledger} (phone theirs): nothing new\n")


def test_a_dry_run_shows_it_all_and_changes_nothing(home: Home, other: Home) -> None:
    before = home.ledger.read_bytes()
    told = json.loads(agent(home, "merge", str(other.ledger), "--dry-run", "--json").stdout)
    assert home.ledger.read_bytes() == before
    assert "nothing was" in agent(home, "merge", str(other.ledger), "--dry-run").stderr
    real = json.loads(agent(home, "merge", str(other.ledger), "--json").stdout)
    assert (told.pop("dry_run"), real.pop("dry_run")) == (True, False)
    assert told == real
    assert real["ledgers"][0]["new"]["runs"] == 1


@pytest.mark.parametrize(("name", "told"), [
    ("none.db", "there is no ledger at"), ("text.db", "is no ledger"),
    ("ours/ledger.db", "is the ledger of this --home itself")])
def test_what_cannot_be_taken_in_is_one_sentence(
        home: Home, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "text.db").write_text("hello")
    result = agent(home, "merge", str(tmp_path / name))
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert told in result.stderr


def test_a_missing_one_makes_no_home(tmp_path: Path) -> None:
    assert agent(Home(tmp_path / "fresh"), "merge", str(tmp_path / "none.db")).exit_code == 1
    assert not (tmp_path / "fresh").exists()


def test_one_that_is_locked_is_told(home: Home, other: Home,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.ledger.queries.BUSY_S", 0.01)
    by_hand = sqlite3.connect(other.ledger, isolation_level=None)
    by_hand.execute("PRAGMA journal_mode = DELETE").fetchone()
    by_hand.execute("BEGIN EXCLUSIVE")
    result = agent(home, "merge", str(other.ledger))
    by_hand.close()
    assert result.stderr == f"agent: another program keeps {other.ledger} locked; end it or wait\n"
    assert len(labels(home)) == 2


def test_import_of_a_ledger_is_a_merge(home: Home, other: Home) -> None:
    before = labels(home)
    result = agent(home, "import", str(other.ledger), "--dry-run")
    assert (result.exit_code, "would be added" in result.stderr) == (0, True)
    assert labels(home) == before
    assert agent(home, "import", str(other.ledger)).exit_code == 0
    assert "T1b" in labels(home)


def test_studies_tell_whose_they_are_and_compare_tells_of_devices(
        home: Home, other: Home) -> None:
    agent(home, "merge", str(other.ledger))
    found = json.loads(agent(home, "studies", "--json").stdout)
    assert sorted((one["is_of_home"], one["is_last"]) for one in found) == [
        (False, False), (True, True)]
    assert "of another home" in agent(home, "studies").stdout
    ours = {row["label"]: row["device"] for row in json.loads(agent(home, "runs", "--json").stdout)
            if "device" in row}
    assert "T1b" in labels(home)
    assert ours.keys() <= set(labels(home))


def test_own_runs_that_are_named_anew_are_said_to_be_ones_own() -> None:
    """Else the labels that a person knows are gone, and nobody says why."""
    def said(**changes: dict[str, str]) -> str:
        labels: dict[str, dict[str, str]] = {"renamed": {}, "relabelled": {}} | changes
        return " ".join(in_words(Taken("x.db", (), {"runs": 1}, 0, **labels, conflicts=(), own=()),
                                 is_dry=False))

    assert "labels here that got a home's letter" in said(relabelled={"B1": "B1b"})
    assert "these are your own runs: the home that began first keeps its labels" in said(
        relabelled={"B1": "B1b"})
    assert "your own" not in said(renamed={"B1": "B1b"})
