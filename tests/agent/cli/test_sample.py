"""What a model writes: shown while it is written, ended by a stop, several texts parted."""

import dataclasses
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from agent.cli import sample as cli_sample
from agent.cli.main import main
from agent.home.paths import Home
from agent.trial.job import Job
from agent.words.said import printable
from engine.door.model import Model
from tests.support.example_home import a_home, agent, printed, run_called, value


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return a_home(tmp_path_factory.mktemp("sample") / "home")


def talk(home: Home, typed: str | bytes, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *arguments], input=typed)


# --- sample ----------------------------------------------------------------------------------


def test_what_is_shown_is_what_json_holds(home: Home) -> None:
    asked = ("sample", "E1", "The dog", "--tokens", "9", "--temperature", "0.1")
    assert printed(home, *asked) == printable(value(home, *asked)["texts"][0]) + "\n"


def test_several_texts_are_told_apart_and_are_those_of_json(home: Home) -> None:
    asked = ("sample", "E1", "A", "--tokens", "6", "--n", "3", "--top-k", "1")
    texts = [printable(text) for text in value(home, *asked)["texts"]]
    assert printed(home, *asked) == (f"--- text 1 of 3 ---\n{texts[0]}\n\n--- text 2 of 3 ---\n"
                                     f"{texts[1]}\n\n--- text 3 of 3 ---\n{texts[2]}\n")


def test_prompts_of_a_file_are_continued_as_each_would_be_alone(
        home: Home, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("The dog\n\n你好  \n")
    how = ("--tokens", "5", "--top-k", "1", "--n", "2")
    found = value(home, "sample", "E1", "--prompts", str(file), *how)
    assert found == [value(home, "sample", "E1", one, *how) for one in ("The dog", "你好  ")]
    shown = printed(home, "sample", "E1", "--prompts", str(file), *how)
    assert re.findall(r"^(?:--- .*|The dog|你好)", shown, re.M) == [
        "--- prompt 1 of 2, text 1 of 2 ---", "The dog", "--- prompt 1 of 2, text 2 of 2 ---",
        "The dog", "--- prompt 2 of 2, text 1 of 2 ---", "你好",
        "--- prompt 2 of 2, text 2 of 2 ---", "你好"]
    piped = talk(home, "The dog\n\n你好  \n", "sample", "E1", "--prompts", "-", *how)
    assert piped.stdout == shown


def test_a_text_ends_before_a_stop(home: Home) -> None:
    asked = ("sample", "E1", "A stop", "--tokens", "40", "--seed", "4")
    whole = value(home, *asked)["texts"][0]
    stop = whole[20:22]
    found = value(home, *asked, "--stop", "never in it", "--stop", stop)["texts"][0]
    assert found == "A stop" + whole[6:].partition(stop)[0]
    assert printed(home, *asked, "--stop", stop) == printable(found) + "\n"


@pytest.mark.parametrize(("arguments", "status", "said"), [
    (["A", "--prompts", "{file}"], 2, "PROMPT, --prompts and --measure each say what to continue"),
    (["A", "--measure"], 2, "PROMPT, --prompts and --measure each say what to continue; give one"),
    (["--measure"], 1, "the same --corpus writes it again\n"),  # of this run no text is left
    (["--prompts", "none"], 2, "does not exist"),
    (["--prompts", "{file}"], 1, "agent: {file} holds no prompt; write one on each line\n"),
    (["A", "--stop", ""], 1, "agent: a text to stop at is empty; give at least one character\n"),
    (["A", "--top-k", "0"], 1, "agent: top_k=0 leaves no token to choose; use 1 or more\n"),
])
def test_what_makes_no_sense_is_one_sentence_and_no_text(
        home: Home, tmp_path: Path, arguments: list[str], status: int, said: str) -> None:
    file = tmp_path / "p.txt"
    file.write_text(" \n")
    result = agent(home, "sample", "E1", *(one.format(file=file) for one in arguments))
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.endswith(said.format(file=file)) or said in result.stderr


def test_what_it_writes_stands_beside_real_text(home: Home, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    places = {}
    for name in ("train", "valid"):
        places[f"{name}_tokens"] = str(tmp_path / f"{name}.npy")
        np.save(places[f"{name}_tokens"], rng.integers(65, 90, 3000).astype(np.uint16))
    folder = home.run(run_called(home, "E1").uid)
    dataclasses.replace(Job.read(folder.job), **places).write(folder.job)  # type: ignore[arg-type]
    found = value(home, "sample", "E1", "--measure")
    page, narrow = (printed(home, "sample", "E1", "--measure", columns=columns)
                    for columns in (80, 60))
    assert {one["name"] for one in found} >= {"nats under a trigram", "distinct-2", "longest copy"}
    assert all(one["real"] is not None and one["n"] != 0 for one in found)
    head, *rows = page.splitlines()
    assert head.split() == ["E1", "real", "text"]
    assert len(rows) == len(found)
    assert max(map(len, page.splitlines())) <= 80
    assert max(map(len, narrow.splitlines())) <= 60
    assert " to " in page
    assert " to " not in narrow


def test_pieces_are_shown_as_they_come_and_not_at_the_end(
        home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(cli_sample.click, "echo", lambda *words, **how: told.append(words))

    def write(_: Model, prompts: Sequence[str], *__: Any, heard: Any, **___: Any) -> list[str]:
        heard(0, " one")
        assert told[-2:] == [("Go",), (" one",)]
        heard(1, " other")
        assert told[-1] == (" one",)
        heard(0, " two")
        assert told[-1] == (" two",)
        return [" one two", " other"]

    monkeypatch.setattr(Model, "write", write)
    agent(home, "sample", "E1", "Go", "--n", "2")
    assert told[-1] == ("Go other",)


# --- chat ------------------------------------------------------------------------------------


def test_each_line_is_continued_and_an_empty_one_lets_the_text_go_on(home: Home) -> None:
    how = ("--tokens", "6", "--top-k", "1")
    result = talk(home, "The dog\n\nA cat", "chat", "E1", *how)
    first = value(home, "sample", "E1", "The dog", *how)["texts"][0]
    second = value(home, "sample", "E1", first, *how)["texts"][0].removeprefix(first)
    third = value(home, "sample", "E1", "A cat", *how)["texts"][0]
    assert result.exit_code == 0
    assert result.stdout == printable(f"{first}\n\n{second}\n\n{third}\n\n")
    assert result.stderr.startswith("E1 at step 3 continues what you write; an empty line lets it")


def test_turns_draw_anew_and_the_same_seed_says_the_same_again(home: Home) -> None:
    first, again = (talk(home, "A\nA\n", "chat", "E1", "--tokens", "9", "--seed", "5").stdout
                    for _ in range(2))
    one = printed(home, "sample", "E1", "A", "--tokens", "9", "--seed", "5")
    assert first == again
    assert first.startswith(one)
    assert first != f"{one}\n{one}\n"


@pytest.mark.parametrize("typed", [b"", b"\xff\xfe\n", b"\x1b[2J\n", b"x" * 3000])
def test_whatever_is_typed_the_chat_ends_with_its_input(home: Home, typed: bytes) -> None:
    result = talk(home, typed, "chat", "E1", "--tokens", "2")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout


def test_ctrl_c_ends_a_text_and_the_next_goes_on_from_there(
        home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write, prompts = Model.write, []

    def interrupted(self: Model, asked: Sequence[str], *words: Any, **how: Any) -> list[str]:
        prompts.append(asked[0])
        if len(prompts) == 1:
            how["heard"](0, " ran")
            raise KeyboardInterrupt
        return write(self, asked, *words, **how)

    monkeypatch.setattr(Model, "write", interrupted)
    result = talk(home, "The dog\n\n", "chat", "E1", "--tokens", "2")
    assert result.exit_code == 0
    assert result.stdout.startswith("The dog ran\n\n")
    assert prompts == ["The dog", "The dog ran"]


def test_a_terminal_is_asked_line_by_line_until_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    class Typed(io.BytesIO):
        def readline(self, *_: Any) -> bytes:
            line = super().readline()
            if not line:
                raise KeyboardInterrupt
            return line

    assert list(cli_sample._lines(Typed(b"one\r\n\ntwo\n"), True)) == ["one", "", "two"]
    assert capsys.readouterr().err == "> > > > \n"


def test_json_stays_one_value_whatever_the_prompts(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps("two\nlines") + "\n" + json.dumps({"prompt": ""}) + "\n")
    found = value(home, "sample", "E1", "--prompts", str(file), "--tokens", "1")
    assert [one["prompt"] for one in found] == ["two\nlines", ""]
