"""The program as a person runs it: real processes, a tiny text, a tiny model."""

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.text.stories.write import write_stories
from tests.support.parts import settings
from tests.support.patience import patience

PATIENCE_S = patience(60.0)  # a real process is waited for so long before a test fails


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "stories.txt"
    path.write_text("\n<|endoftext|>\n".join(write_stories(120, 0)))
    return path


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    """The agent, its standard error in a pipe."""
    return subprocess.Popen([sys.executable, "-m", "agent", "--home", str(home), *words],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def agent(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    with start(home, *words) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def train(home: Path, text: Path, *words: str) -> dict[str, Any]:
    done = agent(home, "train", "--corpus", str(text), "--json", *settings(), *words)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "ledger.db", timeout=10)) as db, db:
        rows = db.execute(sql).fetchall()
    db.close()
    return rows


def until(claim: Callable[[], bool]) -> None:
    """Look again and again until the claim holds; the test fails when patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end, "the program did not get there"


def events(home: Path) -> str:
    return "".join(path.read_text() for path in home.glob("runs/*/events.jsonl"))


def test_a_night_ends_by_itself_with_a_decision_for_every_run(tmp_path: Path, text: Path) -> None:
    night = agent(tmp_path, "run", "--runs", "5", "--run-tokens", "3k", "--corpus", str(text),
                  *settings())
    assert night.returncode == 0, night.stderr
    assert ask(tmp_path, "SELECT count(*) FROM runs WHERE state = 'finished'") == [(5,)]
    assert ask(tmp_path, "SELECT verdict FROM decisions ORDER BY id LIMIT 3") == [
        ("baseline",)] * 3
    assert ask(tmp_path, "SELECT count(DISTINCT run_id), count(*) FROM decisions") == [(5, 5)]
    assert ask(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(tmp_path, "PRAGMA foreign_key_check") == []
    assert ask(tmp_path, "SELECT count(*) FROM runs WHERE abs(predicted_mb / peak_mb - 1) > 0.2"
               ) == [(0,)]


def test_training_by_hand_reports_the_run_its_yardsticks_and_its_curve(
        tmp_path: Path, text: Path) -> None:
    report = train(tmp_path, text, "--steps", "40", "--eval-every", "10")
    assert [step for step, _ in report["curve"]] == [10, 20, 30, 40]
    assert report["curve"][-1][1] == report["val_loss"]
    assert report["vs_unigram"] == pytest.approx(
        report["val_loss"] / report["yardsticks"]["unigram"] - 1)
    assert (report["state"], report["steps"], report["label"]) == ("finished", 40, "T1")
    sample = agent(tmp_path, "sample", "T1", "Once upon", "--tokens", "5")
    assert sample.stdout.startswith("Once upon")


def test_nothing_runs_twice(tmp_path: Path, text: Path) -> None:
    train(tmp_path, text, "--steps", "5")
    again = agent(tmp_path, "train", "--corpus", str(text), "--steps", "5", *settings())
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("agent: T1 (finished) has this configuration")


@pytest.mark.parametrize("victim", ["daemon", "worker"])
def test_sigkill_in_the_middle_of_a_run_changes_nothing_in_its_result(
        tmp_path: Path, text: Path, victim: str) -> None:
    undisturbed = train(tmp_path / "a", text, "--steps", "1200")
    words = ["train", "--corpus", str(text), "--json", "--steps", "1200", *settings()]
    home = tmp_path / "b"
    with start(home, *words) as process:
        until(lambda: '"kind": "checkpoint", "step": 500' in events(home))
        if victim == "daemon":
            process.kill()
        else:
            os.kill(int(json.loads(events(home).splitlines()[0])["pid"]), signal.SIGKILL)
        out, _ = process.communicate(timeout=PATIENCE_S)
    resumed = json.loads(out) if victim == "worker" else train(home, text, "--steps", "1200")
    assert (resumed["state"], resumed["attempts"]) == ("finished", 2)
    for name in ("val_loss", "val_bpb", "train_loss", "steps", "tokens"):
        assert resumed[name] == undisturbed[name]  # the same bits
    assert ask(home, "SELECT count(*) FROM runs") == [(1,)]
    assert ask(home, "SELECT count(*) FROM decisions") == [(1,)]


def test_a_new_daemon_adopts_the_worker_of_a_dead_one(tmp_path: Path, text: Path) -> None:
    words = ["run", "--runs", "1", "--run-tokens", "500k", "--corpus", str(text), *settings()]
    with start(tmp_path, *words) as first:
        until(lambda: '"kind": "step"' in events(tmp_path))
        first.kill()
        first.communicate()
    night = agent(tmp_path, *words)
    assert night.returncode == 0, night.stderr
    ((uid,),) = ask(tmp_path, "SELECT uid FROM runs WHERE state = 'finished'")
    told = (tmp_path / "runs" / uid / "events.jsonl").read_text()
    assert told.count('"kind": "start"') == 1  # one worker computed all of it
    assert ask(tmp_path, "SELECT count(*) FROM events WHERE kind = 'adopt'") == [(1,)]
    assert ask(tmp_path, "SELECT state, attempts FROM runs WHERE state != 'queued'") == [
        ("finished", 1)]
    assert ask(tmp_path, "SELECT count(*) FROM decisions") == [(1,)]


def test_ctrl_c_saves_the_run_and_the_same_command_goes_on(tmp_path: Path, text: Path) -> None:
    words = ["train", "--corpus", str(text), "--steps", "3000", *settings()]
    with start(tmp_path, *words) as process:
        until(lambda: '"kind": "step"' in events(tmp_path))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert err.splitlines()[-1] == (
        "agent: T1 was stopped at a checkpoint; the same command goes on")
    assert ask(tmp_path, "SELECT state FROM runs") == [("queued",)]
    assert agent(tmp_path, *words).returncode == 0
    assert ask(tmp_path, "SELECT state, attempts FROM runs") == [("finished", 2)]


def test_a_second_agent_in_the_same_home_is_told_who_works_there(
        tmp_path: Path, text: Path) -> None:
    words = ["train", "--corpus", str(text), "--steps", "20000", *settings()]
    with start(tmp_path, *words) as first:
        until(lambda: '"kind": "step"' in events(tmp_path))
        second = agent(tmp_path, *words)
        assert second.returncode == 1
        assert f"another agent (pid {first.pid}) works in" in second.stderr
        assert agent(tmp_path, "stop").returncode == 0  # and stop reaches the first
        first.communicate(timeout=PATIENCE_S)
    assert ask(tmp_path, "SELECT state FROM runs") == [("queued",)]


def test_a_grid_is_queued_once_and_executed_before_anything_is_proposed(
        tmp_path: Path, text: Path) -> None:
    words = ["grid", "--sizes", "16d/1L,32d/1L", "--tokens", "3k", "--corpus", str(text),
             *settings()]
    dry = agent(tmp_path, *words, "--dry-run")
    assert (dry.returncode, list(tmp_path.iterdir())) == (0, [])
    assert agent(tmp_path, *words).returncode == 0
    again = agent(tmp_path, *words, "--json")
    assert json.loads(again.stdout)["cells"] == []
    night = agent(tmp_path, "run", "--runs", "2", "--run-tokens", "3k", "--corpus", str(text),
                  *settings())
    assert night.returncode == 0, night.stderr
    assert ask(tmp_path, "SELECT label, state FROM runs WHERE strategy = 'grid'") == [
        ("G1", "finished"), ("G2", "finished")]


def test_a_novel_is_cut_and_a_lost_run_that_was_kept_is_named(tmp_path: Path) -> None:
    novel = tmp_path / "novel.txt"
    novel.write_text("\n\n".join(write_stories(60, 0)))
    words = ["run", "--runs", "1", "--run-tokens", "3k", "--corpus", str(novel), *settings()]
    night = agent(tmp_path / "home", *words)
    assert night.returncode == 0, night.stderr
    assert night.stderr.count("novel.txt: one text, cut at paragraphs into ") == 1
    with closing(sqlite3.connect(tmp_path / "home" / "ledger.db")) as db, db:
        db.execute("ALTER TABLE runs ADD COLUMN tag TEXT")
        db.execute("INSERT INTO decisions SELECT 9, decided_at, 99, run_id, 'kept', rule, '{}', '' "
                   "FROM decisions")
    db.close()
    again = agent(tmp_path / "home", *words)
    assert again.returncode == 1
    assert ("ledger.db has lost what study 1 builds on: row 99 of runs, which decision 9 (kept, "
            in again.stderr.splitlines()[-1])


def test_other_keys_and_broken_lines_are_taken_where_they_are_named(tmp_path: Path) -> None:
    path = tmp_path / "tales.jsonl.gz"
    lines = [json.dumps({"id": 7, "content": story}) for story in write_stories(60, 0)]
    path.write_bytes(gzip.compress("\n".join([*lines, '{"content": "bro']).encode()))
    words = ["train", "--steps", "2", "--corpus", str(path), *settings()]
    wrong = agent(tmp_path / "home", *words)
    assert wrong.returncode == 1
    assert ('tales.jsonl line 1 has no "text" that is a string; it has "content": name one with '
            '--key, or write {"text": …} on each line') in wrong.stderr.splitlines()[-1]
    refused = agent(tmp_path / "home", *words, "--key", "content")
    assert "tales.jsonl line 61 is not JSON" in refused.stderr.splitlines()[-1]
    taken = agent(tmp_path / "home", *words, "--key", "content", "--skip-broken")
    assert taken.returncode == 0, taken.stderr
    assert taken.stderr.count("tales: 1 broken line passed over, the first: tales.jsonl line 61"
                              ) == 1


def test_a_night_without_a_word_goes_on_with_the_last_text_and_start(
        tmp_path: Path, text: Path) -> None:
    mine = tmp_path / "mine.txt"
    shutil.copy(text, mine)
    first = agent(tmp_path, "run", "--once", "--run-tokens", "3k", "--corpus", str(mine),
                  "--seed", "3", *settings())
    assert "text mine; new study 1; 3,000 tokens a run" in " ".join(first.stderr.split())
    mine.unlink()
    # Neither a shorter nor a longer night opens a study, nor does a text that went.
    for words in (["--for", "1h"], ["--for", "2m", "--study", "1"], []):
        night = agent(tmp_path, "run", "--once", *words)
        assert night.returncode == 0, night.stderr
        said = night.stderr.splitlines()
        assert "text mine; going on with study 1: " in " ".join(night.stderr.split())
        assert max(map(len, said[:2])) <= 80
        assert f"{mine} is no longer there; study 1 goes on with the copy" in " ".join(
            night.stderr.split())
    assert ask(tmp_path, "SELECT count(*), count(DISTINCT calibration_id), min(seed), max(seed) "
                         "FROM runs WHERE state = 'finished'") == [(4, 1, 3, 6)]
    other = agent(tmp_path, "run", "--once", "--run-tokens", "2k")
    assert "new study 2, with another tokens a run than study 1" in " ".join(other.stderr.split())
    assert ("study 2, and not the last one, 1: 2,000 tokens a run, not 3,000"
            in " ".join(other.stderr.split()))
