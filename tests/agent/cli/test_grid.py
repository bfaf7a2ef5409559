"""`agent grid` as people call it, and every --dry-run, which leaves the home as it is."""

import json
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.home.paths import Home
from tests.agent.night.test_grids import speed, tree  # noqa: F401 the fixture is for all tests
from tests.engine.text.test_corpus import text_file
from tests.support.example_home import a_home, agent
from tests.support.example_ledger import PUBLISHED
from tests.support.parts import settings

GRID = ["grid", "--sizes", "16d/1L,512d/20L", "--tokens", "20k,1.6M", "--replicas", "1"]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    return [*GRID, "--corpus", str(text_file(tmp_path / "text.txt", 40)), *settings()]


def test_a_dry_grid_in_a_fresh_home_shows_the_table_and_makes_no_home(
        tmp_path: Path, words: list[str]) -> None:
    home = Home(tmp_path / "home")
    result = agent(home, *words, "--dry-run", columns=60)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["size", "16d/1L", "512d/20L"]
    assert lines[0].split() == ["size", "20k", "1.6M"]
    assert lines[2].count("left out") == 2
    assert "2 cells, about 7 h" in result.stderr
    assert f"\ntext {words[words.index('--corpus') + 1]}\n" in result.stderr
    assert "a dry run, so nothing was queued" in result.stderr
    assert not home.root.exists()


@pytest.mark.parametrize(("tokens", "said"), [
    ("20k,40k", "(26 %): longer runs of a row go on from shorter ones"),
    ("20k", "the trunk spares nothing: no row")])
def test_a_dry_grid_on_a_trunk_says_what_it_spares(
        tmp_path: Path, words: list[str], tokens: str, said: str) -> None:
    words = ["grid", "--sizes", "16d/1L", "--tokens", tokens, *words[5:]]
    result = agent(Home(tmp_path / "home"), *words, "--trunk", "--dry-run", columns=60)
    assert said in " ".join(result.stderr.split())
    assert "spares" not in agent(Home(tmp_path / "home"), *words, "--dry-run").stderr


def test_a_dry_grid_of_families_says_what_each_is_and_costs(
        tmp_path: Path, words: list[str]) -> None:
    families = ["--families", "deep,gqa4,rwkv", "--params", "30k"]
    words = ["grid", *families, *words[3:], "--dry-run"]
    lines = agent(Home(tmp_path / "home"), *words, columns=60).stdout.splitlines()
    times, shapes = lines[:4], lines[5:]
    assert [line.split()[1] for line in times[1:]] == ["30k"] * 3
    assert [line.split("  ")[0] for line in shapes] == ["deep 30k", "gqa4 30k", "rwkv 30k"]
    assert ["3 heads, 1 of keys" in shapes[0], "of rwkv" in shapes[2]] == [True, True]
    assert all(line.endswith(" MB") for line in shapes)
    cells = json.loads(agent(Home(tmp_path / "home"), *words, "--json").stdout)["cells"]
    assert {round(cell["n_params"] / 3e4, 1) for cell in cells} <= {0.9, 1.0, 1.1}
    assert all(cell["predicted_mb"] > 45 for cell in cells)


def test_a_grid_that_is_queued_says_so_and_again_that_it_waits(
        tmp_path: Path, words: list[str]) -> None:
    home = Home(tmp_path / "home")
    first = agent(home, *words, columns=60)
    assert "2 cells queued, about 7 h" in first.stderr
    again = agent(home, *words, columns=60)
    assert again.stdout.splitlines()[1].split() == ["16d/1L", "queued", "queued"]
    assert "nothing to queue: every cell has its run, or is left out" in again.stderr
    assert "done" not in again.output


def test_json_has_the_time_of_cells_and_the_state_of_others(
        tmp_path: Path, words: list[str]) -> None:
    home = Home(tmp_path / "home")
    agent(home, *words)
    found = json.loads(agent(home, *words, "--dry-run", "--json").stdout)
    assert found["cells"] == []
    assert [one["state"] for one in found["skipped"]] == ["queued", "queued", None, None]


@pytest.mark.parametrize("arguments", [
    ["grid", "--sizes", "64d/2L", "--tokens", "200k", "--stories", "100"],
    ["enqueue", "lr=1.5e-3"], ["import", "published.csv"]], ids=lambda words: words[0])
def test_a_dry_run_leaves_every_file_as_it_was(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    home = a_home(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "published.csv").write_text(PUBLISHED)
    before = tree(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = agent(home, *arguments, "--dry-run")
    assert result.exit_code == 0, result.output
    assert tree(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times
    assert "dry run" in result.stderr


def test_a_dry_import_says_how_many_rows_are_new_and_needs_no_home(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "published.csv").write_text(PUBLISHED)
    fresh = agent(Home(tmp_path / "home"), "import", "published.csv", "--dry-run")
    assert fresh.stderr == "2 rows would be added; a dry run, so none was\n"
    assert not (tmp_path / "home").exists()
    filled = agent(a_home(tmp_path / "filled"), "import", "published.csv", "--dry-run")
    assert filled.stderr == "0 rows would be added; a dry run, so none was\n"


def test_whoever_plans_or_adds_has_a_dry_run() -> None:
    for name in ("grid", "enqueue", "import"):
        options = [word for one in main.commands[name].params for word in one.opts]
        assert "--dry-run" in options, name
