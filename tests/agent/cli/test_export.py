"""A run's model to a folder and back, by the commands."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import engine
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from engine.config import Config
from tests.support import example_home as example
from tests.support.example_home import agent, printed, run_called, value

IDS = [0, 80, 81, 1, 256, 7]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The example night; the other run with a model is of a network that no Llama is."""
    found = example.a_home(tmp_path_factory.mktemp("export") / "home")
    other = Config(**example.TINY.to_dict() | {"mixer": "rwkv"})
    example.save(found.run(run_called(found, "E2").uid), example.trained(other, 1))
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    return Home(tmp_path / "empty")


@pytest.mark.parametrize(("to", "files"), [
    ("hf", {"README.md", "config.json", "generation_config.json", "model.safetensors",
            "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"}),
    ("gguf", {"README.md", "model.gguf"}),
    ("npz", {"README.md", "config.json", "model.npz", "tokenizer.json"})])
def test_a_model_is_written_with_its_card(
        home: Home, tmp_path: Path, to: str, files: set[str]) -> None:
    folder = tmp_path / "a" / "model"
    result = agent(home, "export", "E1", "--to", to, str(folder))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"E1 at step 3 is in {folder} as {to}: {len(files)} files, ")
    assert set(os.listdir(folder)) == files
    assert "# E1: " in (folder / "README.md").read_text()
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_json_tells_the_files(home: Home, tmp_path: Path) -> None:
    found = value(home, "export", "best", "--to", "gguf", str(tmp_path / "m"))
    assert found == {"label": "E1", "step": 3, "to": "gguf", "path": str(tmp_path / "m"), "files": {
        path.name: path.stat().st_size for path in (tmp_path / "m").iterdir()}}


def test_a_folder_that_is_taken_is_replaced_only_with_force(home: Home, tmp_path: Path) -> None:
    asked = ("export", "E1", "--to", "hf", str(tmp_path / "m"))
    assert agent(home, *asked).exit_code == 0
    card = tmp_path / "m" / "README.md"
    card.write_text("mine")
    result = agent(home, *asked)
    assert result.exit_code == 1
    assert result.stderr == (f"agent: {tmp_path}/m holds an exported model already; --force "
                             "replaces it, or name another folder\n")
    assert card.read_text() == "mine"
    assert agent(home, *asked, "--force").exit_code == 0
    assert card.read_text() != "mine"
    (tmp_path / "m" / "thesis.tex").write_text("mine")
    result = agent(home, *asked, "--force")
    assert result.exit_code == 1
    assert "holds thesis.tex and is no exported model" in result.stderr


@pytest.mark.parametrize("to", ["hf", "gguf"])
def test_another_network_is_refused_by_its_field(home: Home, tmp_path: Path, to: str) -> None:
    result = agent(home, "export", "E2", "--to", to, str(tmp_path / "m"))
    assert result.exit_code == 1
    assert "has no word for mixer=rwkv, and its programs would compute another" in result.stderr
    assert list(tmp_path.iterdir()) == []
    gap = (run_called(home, "E2").val_bpb or 0.0) - (run_called(home, "E1").val_bpb or 0.0)
    assert result.stderr.endswith(
        f"; E1, {gap:.4f} bits/byte ahead, is the best of its study that can: "
        f"agent export E1 --to {to} {tmp_path / 'm'}\n")
    assert agent(home, "export", "E2", "--to", "npz", str(tmp_path / "m")).exit_code == 0


def test_what_was_exported_is_taken_into_another_home_as_a_run(
        home: Home, empty: Home, tmp_path: Path) -> None:
    folder = str(tmp_path / "m")
    agent(home, "export", "E1", "--to", "hf", folder)
    result = agent(empty, "import-model", folder)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith(f"M1 is the model of {folder}, 12,368 parameters; `agent sample "
                                  "M1` lets it write\n")
    there, here = (engine.load(printed(one, "path", label).strip())
                   for one, label in ((home, "E1"), (empty, "M1")))
    np.testing.assert_array_equal(there.logits(IDS), here.logits(IDS))
    how = ("The dog", "--tokens", "5", "--top-k", "1", "--temperature", "0")
    assert value(empty, "sample", "m1", *how)["texts"] == value(home, "sample", "E1", *how)["texts"]
    assert agent(empty, "import-model", folder).stderr.split()[0] == "M1"  # known by its weights
    assert [run["label"] for run in value(empty, "runs")] == ["M1"]


def test_no_search_takes_an_imported_model_for_a_run(
        home: Home, empty: Home, tmp_path: Path) -> None:
    agent(home, "export", "E1", "--to", "hf", str(tmp_path / "m"))
    agent(empty, "import-model", str(tmp_path / "m"))
    with Ledger.open(empty.ledger) as ledger:
        assert (ledger.best(of_all=True), ledger.current(), ledger.undecided()) == (None, None, [])
        assert ledger.n_ended() == 0
    for command in (["status"], ["table"], ["show", "M1"], ["lineage", "M1"], ["runs"]):
        assert agent(empty, *command).exit_code == 0
    assert "| M1 " in printed(empty, "table")
    result = agent(empty, "best")
    assert result.exit_code == 1
    agent(empty, "export", "M1", "--to", "hf", str(tmp_path / "again"))
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        tmp_path / "m" / "model.safetensors").read_bytes()
    assert "It was not trained here" in (tmp_path / "again" / "README.md").read_text()


def test_a_checkpoint_that_was_deleted_comes_back_with_its_folder(
        home: Home, empty: Home, tmp_path: Path) -> None:
    agent(home, "export", "E1", "--to", "hf", str(tmp_path / "m"))
    agent(empty, "import-model", str(tmp_path / "m"))
    empty.run(run_called(empty, "M1").uid).remove_checkpoints()
    assert agent(empty, "sample", "M1", "--tokens", "1").exit_code == 1
    agent(empty, "import-model", str(tmp_path / "m"))
    assert agent(empty, "sample", "M1", "--tokens", "1").exit_code == 0


def test_a_folder_that_does_not_fit_is_one_sentence_and_makes_no_home(
        home: Home, empty: Home, tmp_path: Path) -> None:
    agent(home, "export", "E1", "--to", "hf", str(tmp_path / "m"))
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "gelu"}))
    result = agent(empty, "import-model", str(tmp_path / "m"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f'{path} says hidden_act="gelu", which this engine does not compute' in result.stderr
    assert not empty.root.exists()
