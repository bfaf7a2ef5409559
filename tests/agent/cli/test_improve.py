"""`agent improve` from the outside: a run like any other, measured before and after."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.machine import machine
from agent.trial import worker
from engine.training import checkpoint
from tests.support.example_home import agent, printed, run_called, value
from tests.support.parts import settings
from tests.support.patience import patience

TRAIN = ["train", "--corpus", "builtin", "--stories", "60", "--steps", "40", "--quiet",
         "--replicas", "1", *settings()]
HOW = ["--epochs", "4", "--set", "lr=3e-3", "--replicas", "1"]
PAIRS = [{"prompt": f"Once {i}", "chosen": " yes.", "rejected": " no!"} for i in range(60)]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "mine.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, pairs: Path) -> Home:
    """T1, trained a little, and I1, which went on from it."""
    found = Home(tmp_path_factory.mktemp("improve") / "home")
    assert agent(found, *TRAIN).exit_code == 0
    result = agent(found, "improve", "T1", "--by", "dpo", "--pairs", str(pairs), *HOW)
    assert result.exit_code == 0, result.output
    assert "pairs: the better one gained more          1.000  1.000 to 1.000" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    return found


def of(measures: list[dict[str, Any]]) -> dict[tuple[str, bool], dict[str, Any]]:
    return {(row["name"], row["step"] > 0): row for row in measures}


def test_it_is_a_run_with_a_parent_that_samples_and_exports(home: Home, tmp_path: Path) -> None:
    run = run_called(home, "I1")
    assert (run.state, run.strategy, run.parent_id) == ("finished", "improve",
                                                        run_called(home, "T1").id)
    assert "T1 improved by sigmoid DPO, β 0.1, with" in printed(home, "show", "I1")
    assert agent(home, "sample", "I1", "Once", "--tokens", "3").exit_code == 0
    assert agent(home, "export", "I1", "--to", "npz", str(tmp_path / "m")).exit_code == 0
    assert ", win rate 1.000, margin " in " ".join(printed(home, "log", "I1").split())
    assert value(home, "show", "best")["label"] == "T1"  # what had more training is no rival


def test_before_and_after_are_in_the_ledger_with_intervals(home: Home) -> None:
    with Ledger.open(home.ledger, read_only=True) as ledger:
        rows = ledger.rows("SELECT * FROM measures")
        run = run_called(home, "I1")
        (decision,) = ledger.decisions(run.id)
    found = of(rows)
    before, after = found["loss on the text", False], found["loss on the text", True]
    assert before["value"] == pytest.approx(run_called(home, "T1").val_loss, rel=1e-6)
    assert after["value"] == run.val_loss != before["value"]
    assert found["margin", True]["low"] > 0
    assert found["margin", True]["n"] == found["accuracy", False]["n"] >= 2
    assert decision.evidence["margin"] == found["margin", True]["value"]


def test_the_same_again_is_found_and_another_beta_is_another_run(home: Home, pairs: Path) -> None:
    again = agent(home, "improve", "T1", "--by", "dpo", "--pairs", str(pairs), *HOW, "--json")
    assert json.loads(again.stdout)["label"] == "I1"
    assert "I1 did exactly this before" in again.stderr
    other = value(home, "improve", "T1", "--by", "dpo", "--pairs", str(pairs), *HOW, "--beta",
                  "0.5", "--loss", "ipo")
    assert (other["label"], len(other["measures"])) == ("I2", 8)


@pytest.mark.parametrize("kept", ["checkpoint", "start"])
def test_a_kill_changes_no_number_and_no_weight(
        home: Home, tmp_path: Path, kept: str) -> None:
    """What is on the disk when a worker is killed, with or without a checkpoint, taken up again."""
    other = Home(tmp_path / "home")
    shutil.copytree(home.root, other.root)
    folder = other.run(run_called(home, "I1").uid)
    whole, _ = checkpoint.load(folder.checkpoint)
    done = json.loads(folder.events.read_text().splitlines()[-1])
    folder.remove_checkpoints()
    if kept == "checkpoint":
        killed = worker.Worker(folder, os.getppid())
        for _ in range(7):
            killed.trainer.advance()
        killed._save()
        killed.events._file.close()
        killed._lock.close()
    subprocess.run([sys.executable, "-m", "agent.trial.worker", str(folder.root), str(os.getpid())],
                   env=machine.worker_environment(), check=True, timeout=patience(60))
    again = json.loads(folder.events.read_text().splitlines()[-1])
    told = ("measures", "nats", "train_loss", "tokens")
    assert {name: again[name] for name in told} == {name: done[name] for name in told}
    assert (checkpoint.load(folder.checkpoint)[0]["params"] == whole["params"]).all()


@pytest.mark.parametrize(("line", "told"), [
    ('{"prompt": "a"}', 'mine.jsonl line 1 has no "chosen" that is a string; write'),
    ('{"prompt": "a", "chosen": "b", "rejected": "c"}', "the 1 pairs of mine.jsonl leave too few")])
def test_a_broken_file_is_told_in_one_sentence(
        home: Home, tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "mine.jsonl").write_text(line)
    result = agent(home, "improve", "T1", "--by", "dpo", "--pairs", str(tmp_path / "mine.jsonl"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert told in result.stderr


@pytest.mark.parametrize(("options", "told"), [
    (["--beta", "0"], "beta=0 is out of range"),
    (["--set", "n_layer=2"], "n_layer would make it another network"),
    (["--set", "mixer=rwkv"], "mixer would make it another network"),
    (["--set", "rope_base=500"], "rope_base would make it another network")])
def test_what_makes_no_sense_is_told(
        home: Home, pairs: Path, options: list[str], told: str) -> None:
    result = agent(home, "improve", "T1", "--by", "dpo", "--pairs", str(pairs), *options)
    assert result.exit_code == 1
    assert told in result.stderr
