"""What is built and installed is what is in the tree; `.ci/run` tries the wheel itself."""

import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from agent.doctor.machine import PYTHONS

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]
PACKAGES = ("agent", "engine", "strategies")
FOLDERS = sorted({file.parent.relative_to(ROOT) for package in PACKAGES
                  for file in (ROOT / package).rglob("*.py")})
CHANGELOG = ROOT / "CHANGELOG.md"


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_folder_with_code_is_a_package_that_is_found(folder: Path) -> None:
    """By the rule of packages.find: an __init__.py all the way up, and a name that is included."""
    assert all((ROOT / part / "__init__.py").exists()
               for part in (folder, *folder.parents) if part != Path("."))
    name = ".".join(folder.parts)
    assert any(fnmatchcase(name, pattern) for pattern in SETUPTOOLS["packages"]["find"]["include"])


def test_no_other_package_is_found() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")
             if any(fnmatchcase(path.parent.name, pattern)
                    for pattern in SETUPTOOLS["packages"]["find"]["include"])}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_tells_that_it_has_types(package: str) -> None:
    assert (ROOT / package / "py.typed").read_bytes() == b""
    assert SETUPTOOLS["package-data"]["*"] == ["py.typed", "*.json", "*.npz", "*.c"]
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_the_classifiers_name_the_pythons_that_are_allowed_and_tested() -> None:
    named = [tuple(map(int, version.split("."))) for version in re.findall(
        r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)]
    (major, oldest), (_, newest) = PYTHONS
    assert named == [(major, minor) for minor in range(oldest, newest + 1)]
    assert PROJECT["requires-python"] == f">={major}.{oldest}"


def test_the_version_is_that_of_the_newest_entry_of_the_changelog() -> None:
    heads = re.findall(r"^## \[?([^\s\]]+)", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == PROJECT["version"]
