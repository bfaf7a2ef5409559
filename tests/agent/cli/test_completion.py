"""What a shell is offered for a word with = in it, in the pieces in which it hands that over."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from agent.cli.completion import joined, register
from agent.cli.main import main
from tests.support.example_home import a_home

VARIABLE = "_AGENT_COMPLETE"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example night, and a current folder with two texts."""
    home = a_home(tmp_path / "home").root
    folder = tmp_path / "here"
    (folder / "books").mkdir(parents=True)
    (folder / "book.txt").write_text("once")
    monkeypatch.chdir(folder)
    register()
    return home


def offered(shell: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What a shell's script is answered for these words, the last of them incomplete."""
    monkeypatch.setenv("COMP_WORDS", " ".join(f"'{word}'" for word in ("agent", *words)))
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
    kind = get_completion_class(shell)
    assert kind is not None
    lines = kind(main, {}, "agent", VARIABLE).complete().splitlines()
    if shell == "zsh":
        return [f"{lines[i]},{lines[i + 1]}" for i in range(0, len(lines), 3)]
    return [line.partition("\t")[0] for line in lines]


@pytest.mark.parametrize(("words", "expected"), [
    (["run", "--set", "opt"], ["optimizer="]),
    (["run", "--set", "optimizer", "="], ["adamw", "lion", "muon", "schedule_free"]),
    (["run", "--set", "optimizer", "=", "ad"], ["adamw"]),
    (["run", "--set", "tied", "=", "t"], ["true"]),
    (["run", "--set", "qk_norm", "=", "f"], ["false"]),
    (["enqueue", "bigram_buckets", "="], ["0"]),
    (["run", "--set", "lr", "="], ["0.003"]),
    (["run", "--set", "=", "schedule", "=", "w"], ["wsd"]),
    (["run", "--corpus", "=", "bui"], ["builtin"]),
    (["train", "--set", "schedule", "=", "c"], ["constant", "cosine"]),
    (["enqueue", "optimizer", "=", "l"], ["lion"])])
def test_bash_gets_the_piece_behind_the_sign(home: Path, monkeypatch: pytest.MonkeyPatch,
                                             words: list[str], expected: list[str]) -> None:
    assert sorted(offered("bash", monkeypatch, *words)) == [f"plain,{one}" for one in expected]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize(("words", "expected"), [
    (["run", "--set", "opt"], ["optimizer="]),
    (["run", "--set", "optimizer=ad"], ["optimizer=adamw"]),
    (["run", "--set=schedule=w"], ["--set=schedule=wsd"]),
    (["run", "--corpus=bui"], ["--corpus=builtin"])])
def test_zsh_and_fish_get_whole_words(home: Path, monkeypatch: pytest.MonkeyPatch, shell: str,
                                      words: list[str], expected: list[str]) -> None:
    assert offered(shell, monkeypatch, *words) == [f"plain,{one}" for one in expected]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(("words", "expected"), [
    (["run", "--corpus", "x"], "file,x"), (["import", "x"], "file,x"),
    (["run", "--valid", "x"], "file,x"), (["--home", "x"], "dir,x"),
    (["best", "--home", "x"], "dir,x")])
def test_paths_are_left_to_the_shell(home: Path, monkeypatch: pytest.MonkeyPatch, shell: str,
                                     words: list[str], expected: str) -> None:
    assert offered(shell, monkeypatch, *words) == [expected]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_labels_and_studies_of_the_home_that_was_typed(
        home: Path, monkeypatch: pytest.MonkeyPatch, shell: str, place: str) -> None:
    for words, expected in ((["show", "b"], ["B1", "B2", "best", "baseline"]),
                            (["best", "--study", "1"], ["1"])):
        at = ["--home", str(home)]
        typed = [*at, *words] if place == "before" else [words[0], *at, *words[1:]]
        assert offered(shell, monkeypatch, *typed) == [f"plain,{one}" for one in expected]


def test_files_that_begin_like_a_text_of_ours_are_offered_with_it(
        home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered("bash", monkeypatch, "run", "--corpus", "b") == [
        "plain,builtin", "plain,book.txt", "plain,books/"]


def test_fish_gets_paths_behind_the_sign(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered("fish", monkeypatch, "run", "--corpus=./bo") == [
        "plain,--corpus=./book.txt", "plain,--corpus=./books/"]
    assert offered("fish", monkeypatch, "--home=./bo") == ["plain,--home=./books/"]


def test_words_are_put_together_as_they_were_typed() -> None:
    assert joined(["run", "--set", "=", "lr", "=", "1", "-f"]) == ["run", "--set=lr=1", "-f"]
    assert joined(["run", "=", "x"]) == ["run=x"]
    assert joined([]) == [""]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(("words", "expected"), [
    ("agent run --set optimizer = l", "lion"), ("agent sh", "show"),
    ("agent run --set opt", "optimizer=")])
def test_the_script_for_bash_completes(tmp_path: Path, words: str, expected: str) -> None:
    """The script that the program prints, run by bash itself, as `complete` runs it."""
    program = tmp_path / "agent"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -m agent \"$@\"\n")
    program.chmod(0o755)
    script = (f"source <({VARIABLE}=bash_source agent); COMP_WORDS=({words})\n"
              "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); compopt() { :; }\n"
              "_agent_completion agent; echo \"${COMPREPLY[@]}\"\n")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=root, check=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.stdout == f"{expected}\n"
