"""Texts and tokens made in a child process: the same files, its progress, its words."""

from pathlib import Path

import pytest

from agent.trial.prepare import Source, token_files
from engine.errors import CorpusError, StorageError
from engine.text.stories.write import write_stories


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
