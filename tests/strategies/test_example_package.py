"""A package of one's own, installed as by a person: its tests, a night, what the README shows."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from engine.text.stories.write import write_stories
from tests.support.example_plugins import a_package
from tests.support.parts import settings
from tests.support.patience import patience

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "example_package"
README = (ROOT / "strategies" / "README.md").read_text(encoding="utf-8")
PATIENCE_S = patience(120.0)
# With it, the first proposal of a night is asked of cooldown; nothing was earned before it.
SEED = "7"


def python(*words: str, cwd: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """A program of this interpreter, with folders before its own path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, str(ROOT)]))}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, text=True,
                          capture_output=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the package into, without a network."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"  # building leaves files behind
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))
    done = python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
                  "--no-build-isolation", "--target", str(folder / "site"), str(source),
                  cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_its_own_tests_pass(installed: Path) -> None:
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_phi_auto_cooldown.py",
                  cwd=installed / "source", path=str(installed / "site"))
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d\d passed", done.stdout)


def test_a_night_runs_what_it_proposes_and_says_what_it_cannot_use(
        installed: Path, tmp_path: Path) -> None:
    a_package(tmp_path / "torn", "phi-torn", {"torn": "phi_torn:propose", "tpe": "json:loads"},
              {"phi_torn": "raise SystemExit(3)"})
    text = tmp_path / "stories.txt"
    text.write_text("\n<|endoftext|>\n".join(write_stories(120, 0)))
    path = f"{installed / 'site'}{os.pathsep}{tmp_path / 'torn'}"
    night = python("-m", "agent", "--home", str(tmp_path), "run", "--runs", "6", "--run-tokens",
                   "3k", "--seed", SEED, "--corpus", str(text), *settings(), cwd=tmp_path,
                   path=path)
    assert night.returncode == 0, night.stderr
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        runs = db.execute("SELECT strategy, state FROM runs WHERE strategy <> 'baseline'"
                          ).fetchall()
        told = [message for message, in db.execute(
            "SELECT message FROM events WHERE kind = 'strategies' ORDER BY id")]
    db.close()
    assert runs == [("cooldown", "finished")]
    assert told == [
        "strategy torn of phi-torn is left out: phi_torn:propose cannot be imported "
        "(SystemExit: 3); mend or uninstall it",
        "strategy tpe of phi-torn is left out: the project's own strategy has that name; rename it",
        "from other packages: cooldown of phi-auto-cooldown 0.1.0"]
    said = " ".join(night.stderr.split())
    assert all(said.count(message) == 1 for message in told)


def test_the_doctor_names_it(installed: Path, tmp_path: Path) -> None:
    done = python("-m", "agent", "--home", str(tmp_path), "doctor", "--json", cwd=tmp_path,
                  path=str(installed / "site"))
    checks: list[Mapping[str, str]] = json.loads(done.stdout)
    assert [check["finding"] for check in checks if check["name"] == "strategies"] == [
        "also of other packages: cooldown of phi-auto-cooldown 0.1.0"]


@pytest.mark.parametrize(("language", "name"), [
    ("python", "phi_auto_cooldown.py"), ("toml", "pyproject.toml")])
def test_what_the_readme_shows_is_the_package(language: str, name: str) -> None:
    shown = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert shown[0] in PACKAGE.joinpath(name).read_text(encoding="utf-8")


def test_what_the_readme_says_of_testing_is_in_the_package_s_tests() -> None:
    shown = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1]
    tests = PACKAGE.joinpath("test_phi_auto_cooldown.py").read_text(encoding="utf-8")
    assert all(block in tests for block in shown.strip().split("\n\n\n"))


def test_the_readme_is_short() -> None:
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    assert len(prose.split()) <= 750
