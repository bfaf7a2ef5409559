"""A file or a folder is taken with all that is text in it, and what was left out is said."""

import gzip
import os

import pytest

from engine.errors import CorpusError
from engine.text.given import HEAD_BYTES, How, look, read
from engine.text.unpack import TooLarge


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "src"
    for name, data in {
            "b.py": b"two", "a.txt": b"one", "sub/c.md": "drei ü".encode(), "sub/deep/d": b"four",
            "z.jsonl": b'{"text": "five"}', "y.txt.gz": gzip.compress(b"six"),
            ".git/config": b"hidden", ".hidden": b"x", "p.pyc": b"\0\0\0", "q.txt": b"\xff\xff",
            "empty.txt": b" \n", "page.html": b"<p>", "__pycache__/e.py": b"x",
            "other.json": b'{"name": "x"}'}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "sub" / "again").symlink_to(root)
    (root / "nowhere.txt").symlink_to(root / "gone.txt")
    os.mkfifo(root / "pipe.txt")
    return root


def test_a_folder_is_taken_in_the_order_of_names_and_what_is_left_out_is_counted(folder):
    found = read(look(folder), How())

    assert found.stories == ["one", "two", "six", "five", "drei ü", "four"]
    assert found.remarks == (
        "src/: 6 files of text; left out 11: 1 .html, 1 compiled, 1 empty, 2 hidden, 1 linked, "
        "2 no file, 1 no text, 1 not UTF-8 (iconv mends q.txt), 1 without that key",)


def test_a_folder_is_another_text_once_a_file_of_it_is(folder):
    before = look(folder).sha256
    assert look(folder).sha256 == before
    (folder / "p.pyc").write_bytes(b"\0other")
    assert look(folder).sha256 == before  # it is no part of it
    (folder / "a.txt").rename(folder / "aa.txt")
    renamed = look(folder).sha256
    (folder / "b.py").write_bytes(b"zwei")

    assert len({before, renamed, look(folder).sha256}) == 3


def test_a_folder_without_text_says_what_it_holds_instead(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(10))
    with pytest.raises(CorpusError, match="holds no file of text; left out 1: 1 no text; give one"):
        look(tmp_path)


def test_the_agent_s_home_is_no_text_and_one_within_a_folder_is_left_out(folder):
    home = folder / "nights"
    (home / "data").mkdir(parents=True)
    (home / "data" / "train.txt").write_text("a text made here")

    assert ("of the agent's home", 1) in look(folder, home).skipped
    with pytest.raises(CorpusError, match="is the agent's home, whose files change while it works"):
        look(home, home)


@pytest.mark.parametrize("n", [HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1])
def test_a_letter_cut_by_the_end_of_a_look_makes_no_text_another_thing(tmp_path, n):
    (tmp_path / "a.txt").write_text("a" * n + "ü🐢" * 9, encoding="utf-8")

    assert len(look(tmp_path).files) == 1


def test_what_a_folder_holds_is_bounded_as_a_whole(folder):
    with pytest.raises(TooLarge):
        read(look(folder), How(most_bytes=10))


@pytest.mark.parametrize(("name", "suffix", "title"), [
    ("a.b.txt", ".txt", "a.b"), ("Tales.TXT.gz", ".TXT.gz", "Tales"), ("x.jsonl", ".jsonl", "x")])
def test_a_file_is_known_by_its_suffixes(tmp_path, name, suffix, title):
    (tmp_path / name).write_bytes(b"x")
    found = look(tmp_path / name)

    assert (found.suffix, found.name) == (suffix, title)


def test_what_is_neither_file_nor_folder_is_refused(folder):
    with pytest.raises(CorpusError, match=r"pipe\.txt is neither a file nor a folder; save what"):
        look(folder / "pipe.txt")


def test_broken_lines_are_told_with_their_number(tmp_path):
    path = tmp_path / "tales.jsonl"
    path.write_text('{"text": "One."}\n{"te\n')

    assert read(look(path), How(skip_broken=True)).remarks == (
        "tales: 1 broken line passed over, the first: tales.jsonl line 2 is not JSON: "
        "Unterminated string starting at",)


def test_how_a_text_is_read_makes_it_another_only_where_something_was_asked_for():
    assert How().identity() == How(most_bytes=7).identity() == {}
    assert How("content", True).identity() == {"key": "content", "skip_broken": True}
