"""Bad input is met at the border: one sentence, exit 1, and nothing is lost."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.ledger.ledger import Ledger
from engine.text.stories.write import write_stories
from tests.support.parts import settings


def agent(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), *words])


def sentence(result: Result) -> str:
    """The one line on stderr that says what is wrong."""
    assert result.exit_code == 1
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit | None)  # no traceback
    last = result.stderr.splitlines()[-1]
    assert last.startswith("agent: ")
    return last.removeprefix("agent: ")


def a_text(folder: Path, n_stories: int = 120) -> Path:
    path = folder / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(n_stories, 0)))
    return path


def test_an_unknown_field_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    result = agent(tmp_path, "train", "--steps", "1", "--set", "n_layers=2")
    assert sentence(result) == "unknown field 'n_layers'; did you mean n_layer?"


def test_heads_that_do_not_divide_are_named_with_ones_that_do(tmp_path: Path) -> None:
    result = agent(tmp_path, "train", "--steps", "1", "--set", "n_head=6")
    assert sentence(result) == "n_head=6 does not divide n_embd=128; use 4 or 8"


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("\n<|endoftext|>\n")
    result = agent(tmp_path, "train", "--steps", "1", "--corpus", str(path))
    assert str(path) in sentence(result)
    assert "holds no stor" in sentence(result)


def test_a_corpus_of_one_story_cannot_be_split(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text("Once upon a time there was one story only.")
    result = agent(tmp_path, "train", "--steps", "1", "--corpus", str(path))
    assert str(path) in sentence(result)
    assert "<|endoftext|>" in sentence(result)


def test_a_missing_corpus_is_named(tmp_path: Path) -> None:
    result = agent(tmp_path, "train", "--steps", "1", "--corpus", str(tmp_path / "none.txt"))
    assert "none.txt" in sentence(result)


def test_a_vocabulary_too_large_for_the_corpus_names_the_largest_possible(tmp_path: Path) -> None:
    result = agent(tmp_path, "train", "--steps", "1", "--corpus", str(a_text(tmp_path, 8)),
                   "--set", "vocab_size=30000")
    assert "30000" in sentence(result).replace(",", "")


@pytest.mark.parametrize("content", [b"this is not a database at all, but it is long enough",
                                     b"SQLite format 3\0" + bytes(200)])
def test_an_unreadable_ledger_is_refused_and_left_as_it_is(
        tmp_path: Path, content: bytes) -> None:
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(content)
    for words in (["status"], ["train", "--steps", "1"], ["run", "--for", "1m"]):
        assert str(ledger) in sentence(agent(tmp_path, *words))
        assert ledger.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()
    before = (tmp_path / "ledger.db").read_bytes()
    assert "database of something else" in sentence(agent(tmp_path, "run", "--for", "1m"))
    assert (tmp_path / "ledger.db").read_bytes() == before


@pytest.mark.parametrize(("encoding", "told"), [
    ("cp1252", "is no UTF-8 text in line 2; save it as CSV in UTF-8, such as by iconv -f CP1252 -t "
               "UTF-8"),
    ("utf-16", "is UTF-16 text; save it as CSV in UTF-8: iconv -f UTF-16 -t UTF-8")])
def test_a_table_in_another_encoding_is_refused_with_what_helps(
        tmp_path: Path, encoding: str, told: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text("ID,Date,Notes\nE1,03-24,für mich – gut\n", encoding=encoding)
    said = sentence(agent(tmp_path / "home", "import", str(table)))
    assert said == f"{table} {told}"


def test_a_database_that_is_no_ledger_is_not_taken_in(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "recipes.db")) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()
    said = sentence(agent(tmp_path / "home", "merge", str(tmp_path / "recipes.db")))
    assert said.startswith(f"{tmp_path}/recipes.db is a database of something else")


def test_a_ledger_is_not_taken_into_itself(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db"):
        pass
    (tmp_path / "link.db").symlink_to(tmp_path / "ledger.db")
    said = sentence(agent(tmp_path, "merge", str(tmp_path / "link.db")))
    assert said == f"{tmp_path}/link.db is the ledger of this --home itself; name another one"


def test_a_full_disk_stops_the_run_in_one_sentence_and_the_same_command_goes_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In the worker, and there alone, forcing a checkpoint to disk fails as on a full one.
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os, sys\n"
        "if 'agent.trial.worker' in sys.orig_argv:\n"
        "    def full(handle):\n"
        "        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "    real, os.fsync = os.fsync, lambda handle: full(handle) if 'part.npz' in "
        "os.readlink(f'/proc/self/fd/{handle}') else real(handle)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path.cwd())]))
    result = agent(tmp_path, "train", "--steps", "5", "--corpus", str(a_text(tmp_path)),
                   *settings())
    assert sentence(result) == "T1 was stopped at a checkpoint; the same command goes on"
    said = " ".join(result.stderr.split())
    assert said.count("T1 - waiting ") == 1
    assert "No space left on device" in said
    assert "free some space" in said
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        assert db.execute("SELECT state, error FROM runs").fetchall() == [("queued", None)]
        assert db.execute("SELECT verdict FROM decisions").fetchall() == []
    db.close()
    monkeypatch.delenv("PYTHONPATH")
    again = agent(tmp_path, "train", "--steps", "5", "--corpus", str(tmp_path / "stories.txt"),
                  *settings())
    assert again.exit_code == 0, again.stderr


def test_a_run_that_cannot_fit_in_memory_is_refused_before_anything_starts(
        tmp_path: Path) -> None:
    result = agent(tmp_path, "train", "--steps", "1", "--max-ram", "50M")
    assert "is over --max-ram 50 MB" in sentence(result)


@pytest.mark.parametrize(("words", "part"), [
    (["run", "--for", "soon"], "'soon' is not a duration"),
    (["run", "--max-ram", "lots"], "'lots' is not an amount of memory"),
    (["train", "--run-tokens", "many"], "many"),
    (["pause"], "no agent runs in"),
    (["resume"], "no agent runs in"),
    (["stop"], "no agent runs in"),
    (["status"], "there is no ledger at"),
    (["show", "E1"], "there is no ledger at"),
])
def test_every_border_says_what_is_wrong(tmp_path: Path, words: list[str], part: str) -> None:
    assert part in sentence(agent(tmp_path, *words))


@pytest.mark.parametrize("words", [
    ["fly"], ["run", "--quickly"], ["train", "--steps", "0"], ["grid"],
    ["run", "--run-for", "1m", "--run-tokens", "1k"], ["train", "--steps", "1", "--run-for", "1m"]])
def test_misuse_exits_2(tmp_path: Path, words: list[str]) -> None:
    assert agent(tmp_path, *words).exit_code == 2
