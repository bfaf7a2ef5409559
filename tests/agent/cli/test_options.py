"""--home on either side of a command, --study and --any wherever a run of a study is named."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import MODULES, main
from agent.home.paths import Home
from agent.machine import affinity
from tests.support.example_home import a_home
from tests.support.parts import settings

STUDY = ("best", "show", "log", "sample", "path", "compare", "importance", "lineage", "enqueue",
         "run", "runs", "trace")


def agent(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="agent")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return a_home(tmp_path_factory.mktemp("options") / "home")


@pytest.mark.parametrize("command", sorted(MODULES))
def test_every_command_takes_the_home_behind_its_name(command: str, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    result = agent("--home", str(first), command, "--home", str(second))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (f"agent: --home is given as {first} and as {second}; give one of "
                             "them\n")


def test_the_home_is_the_same_on_either_side(home: Home) -> None:
    root = str(home.root)
    before, behind, both, dotted = (
        agent("--home", root, "runs"), agent("runs", "--home", root),
        agent("--home", root, "runs", "--home", root),
        agent("--home", root, "runs", "--home", f"{root}/../{home.root.name}"))
    assert "E1" in before.stdout
    assert before.stdout == behind.stdout == both.stdout == dotted.stdout


def test_two_homes_behind_the_name_are_one_too_many(home: Home, tmp_path: Path) -> None:
    result = agent("runs", "--home", str(home.root), "--home", str(tmp_path))
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


def test_the_home_behind_the_name_goes_before_that_of_the_environment(
        home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path))
    assert "E1" in agent("runs", "--home", str(home.root)).stdout


@pytest.mark.parametrize("command", STUDY)
def test_an_unknown_study_is_answered_with_what_there_is(home: Home, command: str) -> None:
    words = {"compare": ["baseline", "best"], "enqueue": ["lr=1e-3"]}.get(
        command, ["best"] if command in ("show", "log", "sample", "path", "trace") else [])
    result = agent(command, *words, "--study", "7", "--home", str(home.root))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == (
        "agent: there is no study 7; this ledger has study 1, which `agent studies` shows")


def test_the_best_of_all_needs_no_study(home: Home) -> None:
    result = agent("show", "best", "--any", "--study", "1", "--home", str(home.root))
    assert result.exit_code == 1
    assert "give one of the two" in result.stderr


def test_a_run_of_a_study_is_found_with_it(home: Home) -> None:
    for words in (("show", "best"), ("show", "E1")):
        result = agent(*words, "--study", "1", "--json", "--home", str(home.root))
        assert json.loads(result.stdout)["label"] == "E1"


def test_the_list_of_runs_is_of_one_study(home: Home) -> None:
    def labels(*words: str) -> list[str]:
        result = agent("runs", *words, "--json", "--home", str(home.root))
        return [run["label"] for run in json.loads(result.stdout)]

    assert labels("--study", "1") == ["B2", "E1", "E2", "E3", "E4"]  # no published rows
    assert labels("--study", "1", "--limit", "2") == ["E3", "E4"]
    assert labels("--study", "1", "--state", "finished") == ["B2", "E1", "E2"]


# --- --cores ---------------------------------------------------------------------------------


COMPUTING = [["run"], ["train"], ["grid", "--params", "30k", "--tokens", "100k"],
             ["harvest", "--for", "1h"], ["improve", "best", "--by", "spin"], ["replicate"]]


@pytest.mark.parametrize("words", COMPUTING, ids=lambda words: str(words[0]))
@pytest.mark.parametrize("cores", ["4000", "fast", "3-1"])
def test_cores_that_are_not_to_be_had_are_met_before_anything_is_opened(
        tmp_path: Path, words: list[str], cores: str) -> None:
    result = agent("--home", str(tmp_path / "new"), *words, "--cores", cores)
    assert (result.exit_code, result.stdout) == (2, "")
    assert cores in result.stderr
    assert "give" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_run_keeps_to_the_cores_it_is_given(tmp_path: Path) -> None:
    core = max(affinity.usable())
    with affinity.only(affinity.usable()):  # what the command ties this process to, too
        result = agent("--home", str(tmp_path), "train", "--cores", str(core), "--steps", "2",
                       "--stories", "200", "--json", *settings())
    run = json.loads(result.stdout)
    assert (run["cores"], run["replicas"], run["state"]) == (str(core), 1, "finished")
