"""The lazy group: a command's module is imported when the command is, and nobody notices."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from agent.cli import main as cli
from agent.cli.main import Commands, main
from tests.support.example_home import a_home

CLI = Path(cli.__file__).parent
HEAVY = ("numpy", "apscheduler", "sqlite_utils", "psutil", "strategies", "engine.text.corpus",
         "engine.model.gpt", "agent.night.night", "agent.ledger.ledger", "agent.cli.run",
         "agent.cli.read")
# A process of its own: here the other tests have long imported everything.
CHILD = """
import json, sys
from agent.cli.main import main
main(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(*words: str) -> set[str]:
    """What is imported by a process in which the agent was called so."""
    done = subprocess.run([sys.executable, "-c", CHILD, *words], capture_output=True, text=True,
                          env=os.environ | {"COLUMNS": "60"}, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def agent(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="agent")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_home(tmp_path_factory.mktemp("commands") / "home").root


def test_status_imports_nothing_that_it_does_not_show_with(home: Path) -> None:
    found = modules_after("--home", str(home), "status")
    assert found >= {"agent.cli.status", "agent.show.dashboard", "rich"}
    assert found & set(HEAVY) == set()


def test_status_as_json_does_without_rich(home: Path) -> None:
    found = modules_after("--home", str(home), "status", "--json")
    assert "agent.cli.status" in found
    assert found & {*HEAVY, "rich", "agent.show.dashboard"} == set()


def test_a_command_that_needs_numpy_gets_it(home: Path) -> None:
    found = modules_after("--home", str(home), "sample", "E1", "--tokens", "1")
    assert {"numpy", "engine.model.gpt"} <= found


def test_every_command_is_found_where_it_is_said_to_live() -> None:
    for path in CLI.glob("*.py"):
        importlib.import_module(f"agent.cli.{path.stem}")
    assert isinstance(main.commands, Commands)
    assert {name: command.callback and command.callback.__module__
            for name, command in main.commands._loaded.items()} == cli.MODULES


def test_help_lists_every_command_with_its_first_line() -> None:
    lines = " ".join(agent("--help").stdout.partition("A night:\n")[2].split())
    assert len(cli.MODULES) == len(main.commands) >= 14
    for name, command in main.commands.items():
        assert f"{name} {(command.help or '').splitlines()[0]}"[:40] in lines


def test_an_unknown_command_is_told_and_what_is_near_it() -> None:
    result = agent("statsu")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such command 'statsu'" in result.stderr
    if hasattr(click.exceptions, "NoSuchCommand"):  # older ones suggest nothing
        assert "status" in result.stderr.partition("No such command 'statsu'")[2]


@pytest.mark.parametrize(("words", "n_modules"), [(("nonsense",), 0), (("stop", "-h"), 1)])
def test_an_unknown_command_imports_none_and_a_known_one_its_own(
        words: tuple[str, ...], n_modules: int, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\natexit.register(lambda: sys.stderr.write(' '.join(sys.modules)))\n")
    path = os.pathsep.join([str(tmp_path), str(CLI.parent.parent)])
    done = subprocess.run([sys.executable, "-m", "agent", *words], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == (0 if n_modules else 2)
    assert ("No such command 'nonsense'" in done.stderr) == (n_modules == 0)
    assert len(set(done.stderr.split()) & set(cli.MODULES.values())) == n_modules


def test_the_shell_completes_the_names_of_commands() -> None:
    found = ShellComplete(main, {}, "agent", "_CLI.parent_COMPLETE").get_completions([], "s")
    assert [item.value for item in found] == [
        "sample", "scaling", "serve", "service", "show", "simulate", "star", "status", "stop",
        "studies"]


def test_the_mapping_is_one() -> None:
    commands, extra = Commands(), click.Command("extra")
    assert "status" in commands
    assert commands._loaded == {}  # to ask is not to import
    commands["extra"] = extra
    assert commands["extra"] is extra
    del commands["extra"]
    with pytest.raises(KeyError):
        commands["extra"]
    assert commands.get("nonsense") is None
