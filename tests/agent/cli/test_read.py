"""The reading commands: what they print, what they leave alone, how they fail."""

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

import engine
from agent.cli.main import main
from agent.home.paths import Home
from agent.ledger.experiments import EXPERIMENT_COLUMNS
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.show.table import BEGIN, END
from tests.support import example_ledger as example
from tests.support.example_home import a_home, agent, printed, value
from tests.support.example_ledger import NOW

COMMANDS = ("status", "table", "runs", "show", "log", "path", "sample", "baselines")
ALL = [["status"], ["table"], ["runs"], ["show", "E1"], ["log", "E1"], ["path", "E1"],
       ["sample", "E1"], ["baselines"]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return a_home(tmp_path / "home")


# --- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ALL, ids=" ".join)
def test_json_is_one_value_and_nothing_else(home: Home, arguments: list[str]) -> None:
    result = agent(home, *arguments, "--json")
    assert result.exit_code == 0
    assert isinstance(json.loads(result.stdout), dict | list)
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", ALL, ids=" ".join)
def test_reading_leaves_ledger_and_folder_as_they_are(home: Home, arguments: list[str]) -> None:
    def snapshot() -> dict[str, tuple[int, bytes]]:
        files = [path for path in home.root.rglob("*") if path.is_file()]
        # SQLite makes these two beside a write-ahead ledger for any reader.
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files
                if not path.name.endswith(("-wal", "-shm"))}

    before = snapshot()
    printed(home, *arguments)
    printed(home, *arguments, "--json")
    assert snapshot() == before


@pytest.mark.parametrize("arguments", [one for one in ALL if one != ["sample", "E1"]], ids=" ".join)
def test_output_has_no_colour_through_a_pipe(home: Home, arguments: list[str]) -> None:
    text = printed(home, *arguments)
    assert text.strip()
    assert "\x1b" not in text


@pytest.mark.parametrize("arguments", ALL, ids=" ".join)
def test_missing_ledger_is_one_sentence(tmp_path: Path, arguments: list[str]) -> None:
    result = agent(Home(tmp_path), *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (f"agent: there is no ledger at {tmp_path}/ledger.db; `agent run` "
                             "starts one, --home names another\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["show", "log", "sample"])
def test_unknown_run_is_one_sentence(home: Home, command: str) -> None:
    result = agent(home, command, "E99")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"agent: there is no run 'E99'; .*\n", result.stderr)


@pytest.mark.parametrize("arguments", [
    ["status", "--nonsense"], ["status", "--watch", "--json"], ["runs", "--state", "asleep"],
    ["runs", "--limit", "0"], ["runs", "--limit", "many"], ["show"], ["log"], ["sample"],
    ["log", "E1", "-f", "--json"], ["table", "--write", "F.md", "--json"],
    ["sample", "E1", "--tokens", "0"], ["sample", "E1", "--n", "0"], ["baselines", "extra"],
], ids=" ".join)
def test_misuse_exits_2(home: Home, arguments: list[str]) -> None:
    result = agent(home, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_one_sentence_and_one_example(home: Home, command: str) -> None:
    paragraphs = inspect.cleandoc(main.commands[command].help or "").split("\n\n")
    assert len(paragraphs) == 2
    assert paragraphs[0].count(".") == 1
    assert paragraphs[0].endswith(".")
    assert paragraphs[1].startswith(f"Example:  agent {command}")
    assert printed(home, command, "-h") == printed(home, command, "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_bodies_are_short(command: str) -> None:
    callback = main.commands[command].callback
    assert callback is not None
    source = inspect.getsource(inspect.unwrap(callback))
    assert len(source.split('"""')[2].strip().splitlines()) <= 15


# --- status ----------------------------------------------------------------------------------


def test_status_fits_sixty_columns(home: Home) -> None:
    text = printed(home, "status", columns=60)
    assert max(map(len, text.splitlines())) <= 60
    assert "E3 was interrupted" in text
    assert "trigram" in text


def test_status_knows_that_no_daemon_holds_the_lock(home: Home) -> None:
    assert "off: no agent is running" in printed(home, "status", columns=60)


def test_status_json_has_the_columns_of_the_ledger(home: Home) -> None:
    found = value(home, "status")
    assert found["run"]["val_bpb"] is None
    assert found["best"]["label"] == "E1"
    assert found["night"]["budget_tokens"] == example.BUDGET
    assert found["decisions"][0]["verdict"] == "discarded"
    assert found["curve"][0]["val_loss"] == 5.1


def test_status_of_a_ledger_without_runs_says_how_to_begin(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db").close()
    text = printed(Home(tmp_path), "status", columns=60)
    assert "nothing has run yet; `agent run --for 4m`" in text
    assert value(Home(tmp_path), "status")["run"] is None


def test_watching_needs_a_terminal(home: Home) -> None:
    result = agent(home, "status", "--watch")
    assert result.exit_code == 2
    assert "--watch draws on a terminal; leave it out for --json or a pipe" in result.stderr


def test_status_through_a_real_pipe(home: Home) -> None:
    done = subprocess.run([sys.executable, "-m", "agent", "status"], capture_output=True, text=True,
                          env=os.environ | {"AGENT_HOME": str(home.root), "COLUMNS": "60"},
                          check=True)
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert "E3 was interrupted" in done.stdout


# --- table -----------------------------------------------------------------------------------


def test_table_prints_published_and_measured_rows(home: Home) -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in printed(home, "table").splitlines()]
    assert tuple(lines[0]) == EXPERIMENT_COLUMNS
    assert lines[2] == ["B1", "03-24", "1.3M", "128d/4L Lion lr=3e-5", "2000", "6.17", "-1.3%",
                        "Baseline", "Plateau at unigram level"]
    assert [line[0] for line in lines[2:]] == ["B1", "μ1", "B2", "E1", "E2", "E3", "E4"]


def test_table_json_is_a_list_of_its_rows(home: Home) -> None:
    rows = value(home, "table")
    assert tuple(rows[0]) == EXPERIMENT_COLUMNS
    assert rows[1]["ID"] == "μ1"


def test_table_is_written_between_the_markers(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "LOG.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    first = agent(home, "table", "--write", str(path))
    again = agent(home, "table", "--write", str(path))
    assert (first.exit_code, first.stdout) == (0, "")
    assert first.stderr == f"{path}: 7 rows, updated\n"
    assert again.stderr == f"{path}: 7 rows, as before\n"
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n| ID")
    assert text.endswith(f"|\n{END}\nafter\n")


def test_table_without_markers_is_one_sentence(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "LOG.md"
    path.write_text("no markers\n", encoding="utf-8")
    result = agent(home, "table", "--write", str(path))
    assert result.exit_code == 1
    assert result.stderr.startswith("agent: there is no line <!-- experiments:begin -->")
    assert path.read_text(encoding="utf-8") == "no markers\n"


def test_table_and_json_to_a_file_is_refused_in_words(home: Home) -> None:
    result = agent(home, "table", "--write", "F.md", "--json")
    assert "--write writes Markdown; leave out --json" in result.stderr


# --- runs ------------------------------------------------------------------------------------


def test_runs_are_listed_newest_last_with_their_verdicts(home: Home) -> None:
    rows = [line.split() for line in printed(home, "runs").splitlines()[1:]]
    assert [row[:2] for row in rows] == [
        ["B1", "finished"], ["μ1", "finished"], ["B2", "baseline"], ["E1", "kept"],
        ["E2", "discarded"], ["E3", "running"], ["E4", "queued"]]


def test_the_newest_verdict_counts(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        ledger.decide(ledger.run("E1").id, None, "discarded", "rule/2", {}, "not confirmed", NOW)
    assert [line.split()[1] for line in printed(home, "runs").splitlines()
            if line.startswith("E1")] == ["discarded"]


def test_runs_fit_a_narrow_terminal_and_are_eighty_columns_through_a_pipe(home: Home) -> None:
    for columns in (60, 80):
        assert max(map(len, printed(home, "runs", columns=columns).splitlines())) <= columns
    assert printed(home, "runs") == printed(home, "runs", columns=80)
    assert "20,000  2 min  128d/4L AdamW lr=2e-3" in printed(home, "runs", columns=200)


def test_runs_can_be_chosen_by_state_and_number(home: Home) -> None:
    assert [row["label"] for row in value(home, "runs", "--state", "finished")] == [
        "B1", "μ1", "B2", "E1", "E2"]
    assert [row["label"] for row in value(home, "runs", "--limit", "2")] == ["E3", "E4"]
    assert printed(home, "runs", "--state", "lost") == "no runs\n"


def test_runs_json_rows_have_the_columns_and_whole_numbers(home: Home) -> None:
    row = value(home, "runs")[3]
    assert list(row) == [*(field.name for field in dataclasses.fields(Run)), "note", "is_starred"]
    assert row["val_bpb"] == 2.5 * example.BITS_PER_NAT
    assert row["config"]["lr"] == 0.002


# --- show ------------------------------------------------------------------------------------


def test_show_tells_one_run_whole(home: Home) -> None:
    text = " ".join(printed(home, "show", "e1", columns=60).split())
    assert "changed lr 0.003 → 0.002" in text
    assert "kept against B2" in text
    assert "its last sample Once upon a time there was a fox." in text


def test_show_fits_sixty_columns(home: Home) -> None:
    assert max(map(len, printed(home, "show", "best", columns=60).splitlines())) <= 60


def test_show_json_is_the_row_and_what_belongs_to_it(home: Home) -> None:
    found = value(home, "show", "best")
    assert found["label"] == "E1"
    assert found["diff"] == {"lr": {"old": 0.003, "new": 0.002}}
    assert found["parent"]["label"] == "B2"
    assert found["decisions"][0]["evidence"]["s_d"] == 0.0028
    assert found["metrics"][0] == {
        "step": 500, "tokens": 512000, "train_loss": 4.9 - 0.05, "val_loss": 4.9,
        "val_bpb": 4.9 * example.BITS_PER_NAT, "lr": 0.003, "grad_norm": 0.8,
        "tok_per_s": 20000.0}
    assert found["corpus"]["trigram_nats"] == 2.86


def test_show_of_a_published_row_has_no_log(home: Home) -> None:
    assert "Plateau at unigram level" in printed(home, "show", "B1")
    assert value(home, "show", "B1")["parent"] is None


# --- baselines -------------------------------------------------------------------------------


def test_baselines_print_the_yardsticks(home: Home) -> None:
    rows = [line.split() for line in printed(home, "baselines").splitlines()]
    assert ["bigram", "3.4400", "1.5948"] in rows


def test_baselines_json_has_the_columns_of_the_corpus(home: Home) -> None:
    corpus = value(home, "baselines")[0]
    assert (corpus["name"], corpus["vocab_size"], corpus["n_tokens_search"]) == (
        "stories", 1024, 104_000)
    assert (corpus["uniform_nats"], corpus["trigram_nats"]) == (6.931, 2.86)
    assert corpus["uniform_bpb"] == pytest.approx(6.931 * example.BITS_PER_NAT)


# --- completion ------------------------------------------------------------------------------


def completions(home: Path, command: str, incomplete: str) -> list[str]:
    complete = ShellComplete(main, {}, "agent", "_AGENT_COMPLETE")
    found = complete.get_completions(["--home", str(home), command], incomplete)
    return [item.value for item in found]


@pytest.mark.parametrize("command", ["show", "log", "sample"])
def test_labels_complete(home: Home, command: str) -> None:
    assert completions(home.root, command, "e") == ["E1", "E2", "E3", "E4"]
    assert completions(home.root, command, "b") == ["B1", "B2", "best", "baseline"]


def test_completion_fails_silently(tmp_path: Path) -> None:
    assert completions(tmp_path, "show", "E") == []
    (tmp_path / "ledger.db").write_bytes(b"no database at all, but long enough to be read " * 30)
    assert completions(tmp_path, "show", "E") == []


def test_every_reading_command_is_in_the_group() -> None:
    assert set(COMMANDS) <= set(main.list_commands(click.Context(main)))


# --- path ------------------------------------------------------------------------------------


def test_the_path_of_a_run_is_one_that_python_loads(home: Home) -> None:
    place = printed(home, "path", "E1").strip()
    model = engine.load(place)
    assert model.step == 3
    assert value(home, "path", "E1") == {"label": "E1", "path": place}
    assert model.generate("Once", 5, seed=2) == value(
        home, "sample", "E1", "Once", "--tokens", "5", "--seed", "2")["texts"][0]


def test_a_run_without_a_model_has_no_path(home: Home) -> None:
    result = agent(home, "path", "E2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("agent: E2 has no checkpoint at ")
