"""Which code it was: a checkout's commit, or a version alone; and where a child finds its own."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from agent.machine import machine

VERSION = metadata.version("phi-auto")
PACKAGES = ("agent", "engine", "strategies")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the packages in it, from which the module seems to be loaded."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "agent/machine").mkdir()
    (tmp_path / "agent/machine/machine.py").touch()
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "agent/machine/machine.py"))
    machine.code_version.cache_clear()
    yield tmp_path
    machine.code_version.cache_clear()


def git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=T", "-c", "user.email=t@example.org", *words],
        check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, *paths: str) -> str:
    git(root, "init", "-q")
    git(root, "add", *paths)
    git(root, "commit", "-qm", "one")
    return git(root, "rev-parse", "--short", "HEAD")


def test_a_checkout_has_its_commit(tree: Path) -> None:
    first = commit(tree, *PACKAGES)
    assert machine.code_version() == f"{VERSION}+{first}"


def test_changed_code_is_told_and_other_changed_files_are_not(tree: Path) -> None:
    first = commit(tree, *PACKAGES)
    (tree / "ledger.db").touch()
    before = machine.code_version()
    machine.code_version.cache_clear()
    (tree / "engine/__init__.py").write_text("changed = True\n", encoding="ascii")
    assert (before, machine.code_version()) == (f"{VERSION}+{first}", f"{VERSION}+{first}.changed")


def test_without_git_the_version_is_all_there_is(tree: Path) -> None:
    assert machine.code_version() == VERSION


def test_an_environment_in_somebody_elses_checkout_does_not_have_its_commit(tree: Path) -> None:
    (tree.parent / "theirs.txt").touch()
    commit(tree.parent, "theirs.txt")
    assert machine.code_version() == VERSION


def test_nor_does_a_wheel_unpacked_at_the_root_of_one(tree: Path) -> None:
    (tree / "theirs.txt").touch()
    commit(tree, "theirs.txt")
    assert machine.code_version() == VERSION


@pytest.mark.parametrize(("is_on_path", "status"), [(False, 0), (True, 1)])
def test_a_child_looks_for_modules_in_the_current_folder_only_where_we_do(
        is_on_path: bool, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent/__init__.py").write_text("raise SystemExit(1)\n", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)] * is_on_path + ["/somewhere"])
    child = subprocess.run([sys.executable, "-m", "agent", "--version"], capture_output=True,
                           env=machine.worker_environment())
    assert child.returncode == status
