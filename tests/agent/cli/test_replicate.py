"""`agent replicate` as people call it."""

import json
from pathlib import Path

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from tests.support.example_home import a_home, agent
from tests.support.published_rows import PUBLISHED


def test_what_there_is_is_shown_and_nothing_runs(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    home.ledger.unlink()
    with Ledger.open(home.ledger) as ledger:
        ledger.settle()
    assert "has no published rows" in agent(home, "replicate", "--show").stderr
    with Ledger.open(home.ledger) as ledger:
        ledger.import_published(PUBLISHED, "2026-11-20T10:00:00Z")
        ledger.settle()
    before = home.ledger.read_bytes()
    result = agent(home, "replicate", "--show", columns=70)
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()[1:7]] == [
        "B1", "μ1", "μ2", "E2", "E3", "μ3"]
    found = json.loads(agent(home, "replicate", "--show", "--json").stdout)
    assert [one["stands"] for one in found["findings"]] == [None] * 6
    assert home.ledger.read_bytes() == before


def test_a_home_without_published_rows_is_told_how_to_add_them(tmp_path: Path) -> None:
    result = agent(Home(tmp_path / "home"), "replicate")
    assert result.exit_code == 1
    assert "`agent import published.csv` adds them" in result.stderr
