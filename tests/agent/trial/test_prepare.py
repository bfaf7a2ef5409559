"""Texts and tokens made in a child process: the same files, its progress, its words."""

import shutil
from pathlib import Path

import pytest

from agent.trial.prepare import Source, token_files
from engine.errors import CorpusError, StorageError
from engine.text.stories.write import write_stories


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
