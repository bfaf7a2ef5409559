"""agent doctor --bench: a table of runs at once, kept for the nights that follow."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.ledger.ledger import Ledger
from agent.search import throughput
from agent.search.throughput import Throughput
from engine.config import Config

ROWS = [Throughput(1, 2, 30_000.0, 1e-6), Throughput(2, 1, 36_000.0, 1e-6)]


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(config: Config, n_cores: int, spawn: Any, look: Any) -> list[Throughput]:
        look(2, 2)
        return ROWS

    monkeypatch.setattr(throughput, "measured", measured)


def bench(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), "doctor", *words])


def test_the_best_way_is_marked_and_kept_in_the_ledger(tmp_path: Path) -> None:
    found = bench(tmp_path, "--bench", "--set", "n_embd=64", "--set", "n_layer=2")
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert lines[0].startswith("64d/2L")
    assert lines[2].split() == ["1", "2", "30,000", "1.00", "×"]
    assert lines[3].split() == ["2", "1", "36,000", "1.20", "×", "←"]
    assert max(map(len, lines)) <= 80
    with Ledger.open(tmp_path / "ledger.db", read_only=True) as ledger:
        assert throughput.noted(ledger, Config().assign(["n_embd=64", "n_layer=2"])) == ROWS


def test_as_json_each_way_is_a_row(tmp_path: Path) -> None:
    found = json.loads(bench(tmp_path, "--bench", "--json").stdout)
    assert [(row["n_trials"], row["is_best"]) for row in found] == [(1, False), (2, True)]


def test_a_model_without_a_measurement_to_make_is_misuse(tmp_path: Path) -> None:
    found = bench(tmp_path, "--set", "n_embd=64")
    assert found.exit_code == 2
    assert "give --bench, too" in found.stderr
