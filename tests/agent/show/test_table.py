"""The Markdown table: aligned, safe for GitHub, and put in its place without harm to the rest."""

import os
import stat
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from agent.ledger.experiments import EXPERIMENT_COLUMNS
from agent.show.table import BEGIN, END, markdown, replace_between_markers, write_table
from engine.errors import StorageError, UserError

ROWS = [
    dict(zip(EXPERIMENT_COLUMNS, cells, strict=True)) for cells in (
        ("B1", "03-24", "1.3M", "128d/4L Lion lr=3e-5", "2000", "6.17", "-1.3%", "Baseline",
         "Plateau at unigram level"),
        ("μ3", "03-24", "1.3M", "128d/4L 5-story overfit", "~500", "5.38", "-13.9%", "Micro",
         "Below unigram."),
    )
]
TABLE = """\
| ID  | Date  | Params | Config                  | Steps | val_loss | vs Unigram | Status   | Notes                    |
| --- | ----- | ------ | ----------------------- | ----- | -------- | ---------- | -------- | ------------------------ |
| B1  | 03-24 | 1.3M   | 128d/4L Lion lr=3e-5    | 2000  | 6.17     | -1.3%      | Baseline | Plateau at unigram level |
| μ3  | 03-24 | 1.3M   | 128d/4L 5-story overfit | ~500  | 5.38     | -13.9%     | Micro    | Below unigram.           |"""  # noqa: E501 — the table as it must look


@pytest.fixture
def devlog(tmp_path: Path) -> Path:
    path = tmp_path / "DEVLOG.md"
    path.write_text(f"# Log\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    return path


def test_columns_are_aligned() -> None:
    assert markdown(ROWS) == TABLE


def test_long_cells_neither_push_the_others_out_nor_lose_a_configuration() -> None:
    config, note = "128d/4L " + 30 * "beta1=0.9 ", 30 * "a word "
    lines = markdown([ROWS[0] | {"Config": config, "Notes": note}, ROWS[1]]).splitlines()
    assert config.strip() in lines[2]
    assert note[:99] + "…" in lines[2]
    assert max(map(len, lines[3:])) < 200


def test_table_without_rows_is_its_head() -> None:
    head, rule = markdown([]).split("\n")
    assert head.split() == "| ID | Date | Params | Config | Steps | val_loss | vs Unigram " \
                           "| Status | Notes |".split()
    assert set(rule) == set("| -")


@pytest.mark.parametrize(("note", "shown"), [
    ("a|b", "a|b"), ("|", "|"), ("two\nlines", "two lines"), ("a\tb  c ", "a b c"),
    ("", ""),
])
def test_every_cell_is_read_back_by_a_markdown_parser(note: str, shown: str) -> None:
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown([ROWS[0] | {"Notes": note}, ROWS[1]]))
    cells = [token.content for token in tokens if token.type == "inline"]
    assert cells == [*EXPERIMENT_COLUMNS, *[*ROWS[0].values()][:-1], shown, *ROWS[1].values()]


def test_table_replaces_what_stood_between_the_markers() -> None:
    text = f"before\n{BEGIN}\nold\nlines\n{END}\nafter\n"
    assert replace_between_markers(text, "| new |") == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"


def test_markers_may_be_empty_or_stand_alone() -> None:
    assert replace_between_markers(f"{BEGIN}{END}", "| new |") == f"{BEGIN}\n| new |\n{END}"


def test_replacing_again_changes_nothing() -> None:
    once = replace_between_markers(f"a\r\n{BEGIN}\r\n{END}\r\n", TABLE)
    assert replace_between_markers(once, TABLE) == once
    assert once.count("\n") == once.count("\r\n")


@pytest.mark.parametrize(("text", "message"), [
    ("nothing here", f"^there is no line {BEGIN}; the table goes between one {BEGIN} and one"),
    (f"{BEGIN}\n", f"^there is no line {END}; the table goes between"),
    (f"{BEGIN}\n{BEGIN}\n{END}", f"^there is more than one line {BEGIN}; the table goes"),
    (f"{BEGIN}\n{END}\n{END}", f"^there is more than one line {END}; the table goes"),
    (f"{END}\n{BEGIN}\n", f"^{END} stands before {BEGIN}; swap them$"),
])
def test_markers_must_stand_once_and_in_order(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace_between_markers(text, TABLE)


def test_table_is_written_into_the_file(devlog: Path) -> None:
    assert write_table(devlog, ROWS)
    assert devlog.read_text(encoding="utf-8") == f"# Log\n\n{BEGIN}\n{TABLE}\n{END}\n\nafter\n"
    assert [path.name for path in devlog.parent.iterdir()] == ["DEVLOG.md"]


def test_file_is_not_touched_when_nothing_changes(devlog: Path) -> None:
    write_table(devlog, ROWS)
    before = devlog.stat()
    assert not write_table(devlog, ROWS)
    assert (devlog.stat().st_ino, devlog.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_mode_and_link_of_the_file_stay(devlog: Path, tmp_path: Path) -> None:
    devlog.chmod(0o640)
    link = tmp_path / "LINK.md"
    link.symlink_to(devlog)
    assert write_table(link, ROWS)
    assert link.is_symlink()
    assert stat.S_IMODE(devlog.stat().st_mode) == 0o640
    assert TABLE in devlog.read_text(encoding="utf-8")


def test_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "NONE.md"
    with pytest.raises(UserError, match=f"^{path} cannot be read: No such file or directory; it"):
        write_table(path, ROWS)


def test_file_that_is_not_text_is_named(devlog: Path) -> None:
    devlog.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=f"^{devlog} is not UTF-8 text; convert it first$"):
        write_table(devlog, ROWS)


def test_failed_write_leaves_the_old_file_and_nothing_else(
        devlog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = devlog.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=f"^cannot write {devlog} .*: No space left on device; "
                                           "what was there is kept"):
        write_table(devlog, ROWS)
    assert devlog.read_bytes() == before
    assert [path.name for path in devlog.parent.iterdir()] == ["DEVLOG.md"]
