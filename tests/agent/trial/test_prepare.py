"""Texts and tokens made in a child process: the same files, its progress, its words."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from agent.machine import guard
from agent.trial.prepare import TEXT_SHARE, Source, Texts, require_windows, token_files
from engine.config import Config
from engine.errors import CorpusError, StorageError, TokenizerError
from engine.text.corpus import TokenSet
from engine.text.stories.write import write_stories
from engine.training import open_tokens
from engine.training.data import Batches


def text_file(path: Path, n_stories: int, seed: int = 0) -> None:
    path.write_text("<|endoftext|>".join(write_stories(n_stories, seed)))


def test_the_child_makes_what_the_parent_then_opens(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(60, 0)))
    source, stages = Source(str(tmp_path / "data"), str(path)), []
    tokens = token_files(source, 300, lambda stage, done, total: stages.append(stage))
    assert tokens == source.open(300, None)
    assert {"training tokenizer", "encoding", "yardsticks"} <= set(stages)


def test_what_the_child_met_is_told_in_its_words(tmp_path: Path) -> None:
    source = Source(str(tmp_path / "data"), str(tmp_path / "none.txt"))
    with pytest.raises(CorpusError, match="there is no file .*none.txt"):
        token_files(source, 300, lambda stage, done, total: None)


def test_a_folder_the_child_cannot_make_is_told_as_storage(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StorageError, match="cannot make the folder .*data: .*; texts and tokens"):
        token_files(Source(str(tmp_path / "data"), n_stories=40), 300,
                    lambda stage, done, total: None)


def test_the_child_is_told_how_to_read_and_how_much_memory_holds(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tales.jsonl"
    path.write_text("\n".join([*(json.dumps({"content": story}) for story in write_stories(60, 0)),
                               "broken"]))
    source = Source(str(tmp_path / "data"), str(path), key="content", skip_broken=True)
    tokens = token_files(source, 300, lambda stage, done, total: None)
    assert tokens.corpus.remarks[0].startswith("tales: 1 broken line passed over")
    monkeypatch.setattr(guard, "free_mb", lambda: TEXT_SHARE * 0.02)
    with pytest.raises(CorpusError, match="holds over 0 MB of text, the most that the free memory"):
        Source(str(tmp_path / "anew"), str(path), key="content").open(300, None)
def test_a_vocabulary_the_text_does_not_support_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    with pytest.raises(TokenizerError):
        token_files(Source(str(tmp_path / "data"), str(path)), 60_000,
                    lambda stage, done, total: None)


def test_a_child_that_breaks_is_told_by_its_last_line_and_not_by_a_traceback(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError('No module named numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CorpusError, match="ended with status 1: ModuleNotFoundError: No module "):
        token_files(Source(str(tmp_path / "data")), 300, lambda stage, done, total: None)
    assert capfd.readouterr().err == ""


def test_a_python_that_is_gone_is_one_sentence(tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(CorpusError, match="no process to prepare builtin can be had: .*python"):
        token_files(Source(str(tmp_path / "data")), 300, lambda stage, done, total: None)


def texts_of(root: Path) -> tuple[Texts, Path, list[str | None]]:
    """Texts of a file, that file, and a list of the folders it was asked to take them from."""
    path, asked = root / "stories.txt", list[str | None]()
    path.write_text("<|endoftext|>".join(write_stories(40, 0)))
    source = Source(str(root / "data"), str(path))

    def make(vocab_size: int, folder: str | None) -> TokenSet:
        asked.append(folder)
        return source.open(vocab_size, None, folder)

    return Texts(make), path, asked


def test_texts_are_made_once(tmp_path: Path) -> None:
    texts, _, asked = texts_of(tmp_path)
    assert texts(300) is texts(300)
    assert asked == [None]


def spoil(found: TokenSet, how: str) -> None:
    train = found.paths["train"]
    match how:
        case "all gone":
            shutil.rmtree(found.corpus.folder.parent)
        case "cut short":
            os.truncate(train, 100)
        case "other bytes":
            train.write_bytes(bytes(train.stat().st_size))
        case "no tokenizer":
            found.tokenizer_path.write_text("{")


@pytest.mark.parametrize("how", ["all gone", "cut short", "other bytes", "no tokenizer"])
def test_what_was_spoilt_is_made_again_to_the_same_bytes(tmp_path: Path, how: str) -> None:
    texts, _, _ = texts_of(tmp_path)
    found = texts(300)
    before = {path: path.read_bytes() for path in (found.tokenizer_path, *found.paths.values())}
    spoil(found, how)
    assert texts(300) == found
    assert {path: path.read_bytes() for path in before} == before


def test_a_source_that_is_gone_is_not_missed_while_its_text_is_whole(tmp_path: Path) -> None:
    texts, path, _ = texts_of(tmp_path)
    found = texts(300)
    path.unlink()
    assert texts(310).corpus == found.corpus


def test_a_source_that_is_another_by_now_is_refused_and_taken_when_it_is_back(
        tmp_path: Path) -> None:
    texts, path, _ = texts_of(tmp_path)
    found, old = texts(300), path.read_bytes()
    path.write_bytes(old + b"And one more day.\n")
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(CorpusError, match="another than this night began with; put the old one"):
        texts(300)
    path.write_bytes(old)
    assert texts(300) == found


class Asked(KeyboardInterrupt):
    """Somebody asked for an end."""


def test_a_look_that_raises_ends_the_child_and_what_it_finished_is_kept(tmp_path: Path) -> None:
    source, stages = Source(str(tmp_path / "data"), n_stories=3000), []

    def look() -> None:
        if "encoding" in stages:  # its text is split by then
            raise Asked

    with pytest.raises(Asked):
        token_files(source, 1024, lambda stage, done, total: stages.append(stage), look=look)
    assert source.find(1024) is None
    (manifest,) = (tmp_path / "data").glob("*/manifest.json")
    written = manifest.stat().st_mtime_ns
    token_files(source, 1024, lambda stage, done, total: None)
    assert manifest.stat().st_mtime_ns == written


def test_what_is_not_prepared_is_not_found_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(60, 0)))
    source = Source(str(tmp_path / "data"), str(path))
    assert source.find(300) is None
    assert Source(str(tmp_path / "data")).find(1024) is None
    assert Source(str(tmp_path / "data"), "tinystories").find(1024) is None
    assert not (tmp_path / "data").exists()
    made = source.open(300, None)
    assert source.find(300) == made
    assert source.find(310) is None


def test_a_vocabulary_too_large_comes_with_the_setting_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(write_stories(8, 0)))
    source = Source(str(tmp_path / "data"), str(path))
    with pytest.raises(TokenizerError, match=r"supports at most \d+: give --set vocab_s") as found:
        token_files(source, 4096, lambda *_: None)
    setting = re.search(r"--set vocab_size=(\d+), or more text$", str(found.value))
    assert setting is not None
    assert token_files(source, int(setting[1]), lambda *_: None).vocab_size == int(setting[1])


def test_a_text_shorter_than_its_windows_comes_with_the_setting_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(f"A dog {n} ran." for n in range(8)))
    tokens = Source(str(tmp_path / "data"), str(path)).open(257, None)
    config = Config(vocab_size=257)
    with pytest.raises(CorpusError, match="training tokens of stories are too few") as found:
        require_windows(tokens, config)
    setting = re.search(r"--set (seq_len=\d+), or more text$", str(found.value))
    assert setting is not None
    fits = config.assign([setting[1]])
    require_windows(tokens, fits)
    Batches(open_tokens(tokens.paths["train"], 257), fits.seq_len, 0)
    with pytest.raises(CorpusError):
        Batches(open_tokens(tokens.paths["train"], 257), 2 * fits.seq_len, 0)


def test_a_text_known_by_its_hash_is_found_when_its_file_is_gone_or_another(
        tmp_path: Path) -> None:
    file, root = tmp_path / "novel.txt", tmp_path / "data"
    text_file(file, 60)
    before = Source(str(root), str(file)).open(300, None)
    known = Source(str(root), str(file), sha256=before.corpus.sha256)
    file.unlink()
    assert known.open(300, None).paths == before.paths
    text_file(file, 60, seed=2)
    assert known.open(300, None).paths == before.paths
    shutil.rmtree(root)
    with pytest.raises(CorpusError, match="is another text now; --corpus with it opens a new"):
        known.open(300, None)
    file.unlink()
    with pytest.raises(CorpusError, match=r"the text of the study is gone: no copy .*--corpus"):
        known.open(300, None)
    text_file(file, 60)
    assert known.open(300, None).corpus.sha256 == before.corpus.sha256  # made again
