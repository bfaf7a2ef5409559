"""Texts and tokens made in a child process: the same files, its progress, its words."""

import re
from pathlib import Path

import pytest

from agent.trial.prepare import Source, require_windows, token_files
from engine.config import Config
from engine.errors import CorpusError, StorageError
from engine.text.stories.write import write_stories
from engine.training import open_tokens
from engine.training.data import Batches


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


class Asked(KeyboardInterrupt):
    """Somebody asked for an end."""


def test_a_look_that_raises_ends_the_child_and_what_it_finished_is_kept(tmp_path: Path) -> None:
    source, stages = Source(str(tmp_path / "data"), n_stories=3000), []

    def look() -> None:
        if "encoding" in stages:  # its text is split by then
            raise Asked

    with pytest.raises(Asked):
        token_files(source, 1024, lambda stage, done, total: stages.append(stage), look)
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
    with pytest.raises(CorpusError, match=r"supports at most \d+: give --set vocab_s") as found:
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
