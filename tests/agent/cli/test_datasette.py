"""`agent datasette-metadata` to stdout, to a file, and over nothing of somebody else's."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main


def agent(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), "datasette-metadata", *words])


def test_it_needs_no_ledger_and_prints_one_json_value(tmp_path: Path) -> None:
    found = json.loads(agent(tmp_path).stdout)
    assert "runs" in found["databases"]["ledger"]["tables"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_again_and_how_to_go_on_is_said(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    for _ in range(2):
        result = agent(tmp_path, "--write", str(path))
        assert result.exit_code == 0
        assert f"datasette {tmp_path / 'ledger.db'} --metadata {path}" in result.stderr
    assert path.read_text(encoding="utf-8") == agent(tmp_path).stdout


@pytest.mark.parametrize("content", ["a diary", "{}", "[" * 50_000, "3"])
def test_what_is_no_metadata_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "diary.json"
    path.write_text(content)
    result = agent(tmp_path, "--write", str(path))
    assert (result.exit_code, path.read_text()) == (1, content)
    assert "is no metadata of Datasette" in result.stderr


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = agent(tmp_path, "--write", str(tmp_path / "no" / "m.json"))
    assert (result.exit_code, "there is no folder" in result.stderr) == (1, True)
