"""How the program starts: fast where all is there, with one sentence where a package is gone."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent.cli.main import main as commands
from tests.support.example_home import a_home

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULE, FUNCTION = PROJECT["scripts"]["agent"].split(":")
# What pip writes for the entry point.
SCRIPT = f"import sys\nfrom {MODULE} import {FUNCTION}\nsys.exit({FUNCTION}())\n"
both_ways = pytest.mark.parametrize("way", [["-m", "agent"], ["-c", SCRIPT]],
                                    ids=["python -m agent", "agent"])


def start(way: list[str], *words: str, before: Path) -> "subprocess.CompletedProcess[str]":
    """A process of its own; modules in the folder `before` hide those of the same name."""
    return subprocess.run(
        [sys.executable, *way, *words], capture_output=True, text=True, cwd=before,
        env=os.environ | {"PYTHONPATH": f"{before}{os.pathsep}{ROOT}"})


def customized(folder: Path, *lines: str) -> Path:
    """A folder whose lines Python runs at every start."""
    (folder / "sitecustomize.py").write_text("\n".join(("import atexit, sys", *lines)))
    return folder


@both_ways
def test_a_command_does_not_import_the_doctor(way: list[str], tmp_path: Path) -> None:
    home = a_home(tmp_path / "home").root
    tells = customized(tmp_path, "atexit.register(lambda: sys.stderr.write(' '.join(sys.modules)))")
    found = start(way, "--home", str(home), "status", before=tells).stderr.split()
    assert "agent.cli.status" in found
    assert [name for name in found if name.startswith("agent.doctor")] == []


@both_ways
@pytest.mark.parametrize(("given", "used"), [(None, "1"), ("2", "2")])
def test_the_agent_itself_computes_on_one_core_unless_told_otherwise(
        way: list[str], given: str | None, used: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    if given:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    tells = customized(tmp_path, "import os", "atexit.register(lambda: sys.stderr.write("
                       "os.environ['OPENBLAS_NUM_THREADS']))")
    assert start(way, "--version", before=tells).stderr == used


@both_ways
@pytest.mark.parametrize("package", ["click", "apscheduler"])
def test_a_missing_package_is_one_sentence_and_what_mends_it(
        way: list[str], package: str, tmp_path: Path) -> None:
    (tmp_path / f"{package}.py").write_text(f'raise ModuleNotFoundError("No module {package}")')
    done = start(way, "--home", str(tmp_path / "home"), "run", "--once", before=tmp_path)
    first, second = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert first.startswith("agent: cannot be imported: ")
    assert f"{package} (No module {package})" in first
    assert second.startswith(f"mend it with: {sys.executable} -m pip install ")
    assert package in second


@both_ways
def test_an_import_that_fails_for_another_reason_keeps_its_traceback(
        way: list[str], tmp_path: Path) -> None:
    broken = customized(tmp_path, "sys.modules['agent.cli.status'] = None")
    done = start(way, "status", before=broken)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "import of agent.cli.status halted" in done.stderr
    assert "mend it with" not in done.stderr


@both_ways
@pytest.mark.parametrize("path", [".", "", ":/nowhere", "/nowhere:"])
@pytest.mark.parametrize("name", ["random.py", "json/__init__.py", "numpy.py", "engine.py"])
def test_files_of_the_current_folder_are_not_taken_for_modules(
        way: list[str], path: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise SystemExit('imported ' + __file__)\n")
    done = subprocess.run(
        [sys.executable, *way, "--home", str(a_home(tmp_path / "home").root), "lineage"],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path})
    assert (done.returncode, "imported" in done.stderr) == (0, False), done.stderr


def test_the_entry_point_runs_the_command_line(monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["agent", "--version"])
    with pytest.raises(SystemExit) as end:
        getattr(importlib.import_module(MODULE), FUNCTION)()
    assert end.value.code in (0, None)
    assert capsys.readouterr().out.startswith("agent, version ")
    assert "status" in commands.commands
