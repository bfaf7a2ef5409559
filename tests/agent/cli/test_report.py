"""`agent report` and `agent export-runs`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from tests.bench import big_ledger
from tests.support import example_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return example_home.a_home(tmp_path_factory.mktemp("report") / "home")


def refused(home: Home, *words: str) -> tuple[int, str]:
    found = example_home.agent(home, *words)
    return found.exit_code, found.stderr


def test_it_writes_one_page_with_the_winners_text(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "night.html"
    found = example_home.agent(home, "report", "--write", str(path))
    assert found.exit_code == 0
    assert found.stdout == ""
    assert "E1 is 0.023 bits/byte better than the baseline" in found.stderr
    told = path.read_text(encoding="utf-8")
    assert "Once upon a time there was a fox." in told
    assert "after step 500" in told
    again = example_home.agent(home, "report", "--write", str(path))  # its own page is replaced
    assert again.exit_code == 0


def test_through_a_pipe_it_is_html_and_with_json_one_value(home: Home) -> None:
    assert example_home.printed(home, "report").startswith("<!doctype html>")
    found = example_home.value(home, "report")
    assert (found["study"], found["winner"]["label"]) == (1, "E1")
    assert found["course"]["leads"][-1]["label"] == "E1"


def test_markdown_has_its_pictures_beside_it(home: Home, tmp_path: Path) -> None:
    example_home.printed(home, "report", "--markdown", str(tmp_path / "deep" / "notes"))
    names = {path.name for path in (tmp_path / "deep" / "notes").iterdir()}
    assert {"report.md", "course-0.svg", "curves-0.svg"} <= names


def test_it_replaces_no_file_that_is_no_page(home: Home) -> None:
    before = home.ledger.read_bytes()
    code, told = refused(home, "report", "--write", str(home.ledger))
    assert code == 1
    assert "is no HTML page, and would be replaced by one; name another file" in told
    assert home.ledger.read_bytes() == before


@pytest.mark.parametrize(("words", "code", "sentence"), [
    (("report", "--write", "/nowhere/at/all.html"), 1, "there is no folder /nowhere/at for all"),
    (("report", "--study", "9"), 1, "there is no study 9; this ledger has study 1"),
    (("report", "--json", "--write", "a.html"), 2, "leave out --json"),
    (("export-runs",), 2, "give a format: --csv, --jsonl or --parquet"),
    (("export-runs", "--parquet"), 2, "Parquet goes into files; name a folder")])
def test_misuse_is_one_sentence(home: Home, words: tuple[str, ...], code: int,
                                sentence: str) -> None:
    found = refused(home, *words)
    assert found[0] == code
    assert sentence in " ".join(found[1].split())


def test_an_empty_ledger_and_none_at_all(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    assert refused(home, "report")[1].startswith("agent: there is no ledger at")
    Ledger.open(home.ledger).close()
    assert "Nothing has run here yet" in example_home.printed(home, "report")


def test_tables_go_into_files_or_to_stdout(home: Home, tmp_path: Path) -> None:
    example_home.printed(home, "export-runs", "--csv", str(tmp_path / "tables"))
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {
        "runs.csv", "decisions.csv", "metrics.csv"}
    lines = [json.loads(line) for line in example_home.printed(
        home, "export-runs", "--jsonl").splitlines()]
    assert [line["table"] for line in lines].count("metrics") == 13
    assert {"runs", "decisions", "metrics"} == {line["table"] for line in lines}
    told = example_home.printed(home, "export-runs", "--csv", "--table", "decisions")
    assert told.startswith("label,against,id,decided_at,")


@pytest.mark.slow
def test_ten_thousand_runs_take_under_5_s_of_a_core_and_200_mb(tmp_path: Path) -> None:
    big_ledger.fill(tmp_path / "ledger.db", n_studies=1)
    path = tmp_path / "page.html"
    found = subprocess.run(
        [sys.executable, "-c", "import resource, sys; from agent.__main__ import main\n"
         "try: main()\n"
         "finally:\n"
         "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
         "    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)",
         "--home", str(tmp_path), "report", "--write", str(path)],
        capture_output=True, text=True, check=True)
    seconds, mb = map(float, found.stdout.split())
    assert seconds < 5
    assert mb < 200
    assert path.stat().st_size < 1_000_000
