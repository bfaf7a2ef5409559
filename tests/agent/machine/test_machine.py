"""Which code it was: a checkout's commit, or a version alone; and where a child finds its own."""

import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from agent.machine import machine

CHECKOUT = Path(__file__).parents[3]
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


THEIRS = ("random.py", "json/__init__.py", "numpy.py", "engine.py", "agent/__init__.py",
          "sitecustomize.py", "usercustomize.py")


@pytest.fixture
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files in it that have names of modules."""
    for name in THEIRS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('imported ' + __file__)\n", encoding="ascii")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_a_child(folder: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a child says that is started where PYTHONPATH is that."""
    monkeypatch.setenv("PYTHONPATH", path.format(folder))
    found = subprocess.run(machine.child("agent", "--version"), capture_output=True, text=True,
                           env=machine.worker_environment())
    return found.stdout + found.stderr


@pytest.mark.parametrize("path", ["", ".", "{}", "{}/", "{}/link", ":/nowhere", "/nowhere:", "a::b",
                                  "elsewhere/..", "elsewhere"])
def test_a_child_imports_nothing_from_the_current_folder(
        current: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_a_child(current, path, monkeypatch) == f"agent, version {VERSION}\n"


def test_other_folders_of_pythonpath_are_the_childs_too(
        current: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (current / "elsewhere/sitecustomize.py").write_text("print('found')\n")
    said = of_a_child(current, ".:elsewhere", monkeypatch)
    assert said == f"found\nagent, version {VERSION}\n"


@pytest.mark.parametrize("path", ["", ".", "{}"])
def test_in_a_checkout_a_child_finds_our_packages_behind_all_others(
        tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an installation: the packages are in the current folder and nowhere else."""
    for package in PACKAGES:
        (tmp_path / package).symlink_to(CHECKOUT / package)
    (tmp_path / "random.py").write_text("raise SystemExit('imported ' + __file__)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert of_a_child(tmp_path, path, monkeypatch) == f"agent, version {VERSION}\n"
