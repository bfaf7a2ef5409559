"""What a file in a home names is found after the home was moved or copied."""

import os
from pathlib import Path

import pytest

from engine.files import find_within, name_within


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("runs/u", "data/text"):
        (tmp_path / "home" / name).mkdir(parents=True)
    (tmp_path / "home/data/text/tokens.npy").touch()
    return tmp_path / "home"


def test_a_name_within_a_home_says_nothing_of_where_the_home_is(home: Path) -> None:
    name = name_within(home, home / "runs/u", home / "data/text/tokens.npy")
    assert name == "../../data/text/tokens.npy"
    home.rename(home.parent / "moved")
    moved = home.parent / "moved"
    assert find_within(moved, moved / "runs/u", name) == moved / "data/text/tokens.npy"


def test_what_lies_elsewhere_is_named_whole(home: Path) -> None:
    assert name_within(home, home / "runs/u", Path("/t/tokens.npy")) == "/t/tokens.npy"
    assert find_within(home, home / "runs/u", "/t/tokens.npy") == Path("/t/tokens.npy")


def test_a_folder_of_a_home_may_be_a_link(home: Path, tmp_path: Path) -> None:
    (home / "runs").rename(tmp_path / "card")
    (home / "runs").symlink_to(tmp_path / "card")
    found = find_within(home, home / "runs/u", "../../data/text/tokens.npy")
    assert found == home / "data/text/tokens.npy"


@pytest.mark.parametrize("before", ["/data/data/com.termux/files/home/nights", "/gone", "/data"])
def test_a_whole_path_of_before_the_move_is_found_by_its_tail(home: Path, before: str) -> None:
    found = find_within(home, home / "runs/u", f"{before}/data/text/tokens.npy")
    assert found == home / "data/text/tokens.npy"


def test_a_copy_reads_its_own_files_though_the_first_home_is_still_there(
        home: Path, tmp_path: Path) -> None:
    first = tmp_path / "first/data/text/tokens.npy"
    first.parent.mkdir(parents=True)
    first.touch()
    assert find_within(home, home / "runs/u", str(first)) == home / "data/text/tokens.npy"
    os.remove(home / "data/text/tokens.npy")
    assert find_within(home, home / "runs/u", str(first)) == first  # the only one there is


def test_a_name_alone_is_no_tail(home: Path) -> None:
    (home / "tokens.npy").touch()
    found = find_within(home, home / "runs/u", "/gone/data/another/tokens.npy")
    assert found == Path("/gone/data/another/tokens.npy")
