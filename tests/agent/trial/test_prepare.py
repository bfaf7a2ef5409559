"""Texts and tokens made in a child process: the same files, its progress, its words."""

import json
from pathlib import Path

import pytest

from agent.machine import guard
from agent.trial.prepare import TEXT_SHARE, Source, token_files
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
