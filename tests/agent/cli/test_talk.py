"""What commands say fits the terminal, whichever command it is; a pipe gets whole sentences."""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import talk
from agent.cli.main import MODULES, main
from agent.home.paths import Home
from agent.words.lines import cells
from tests.agent.night.test_grids import speed  # noqa: F401 no device is measured
from tests.support import hostile
from tests.support.example_home import a_home

# Each command but those below, and what it says where it refuses; in the home of the fixture.
CALLS = """
baselines
best
best --any
chat E1 --tokens 2
cluster worker here
compare B2 E1
compare E1 E1
doctor
enqueue lr=2e-3 n_head=2 batch_size=4 seq_len=64 weight_decay=0.05 --dry-run
enqueue lr=2.5e-3 batch_size=4
explain
explain bits/byte
export E1 --to npz {out}/npz
export E1 --to hf {out}/hf
export-runs --csv {out}/tables
grid --sizes 16d/1L,512d/20L --tokens 20k,1.6M --stories 40 --replicas 1 --dry-run
harvest E1 --for 5m --dry-run
import {out}/nothing
import-model {out}/hf
importance
improve E2 --by dpo
lineage
log E1
note E1 "a person's words, which are long enough to take more than a line of sixty columns"
note E1
merge nowhere.db
merge . --dry-run
path E2
pause
replicate --show
report
report --write {out}/page.html
report --markdown {out}/pages
resume
runs
sample E1 --tokens 2
scaling
show E1
show E2
star E1
status
stop
studies
trace E1
trace E99
withdraw E4 --dry-run
withdraw E4
run --for 1x
run --runs 0
run --set lr=7 --no-such-option
train --set n_head=7
nonsense
"""
# What it prints is for programs or files, or it goes on until it is stopped.
DATA = ("datasette-metadata", "export-runs", "table", "service", "simulate", "serve")
TEXTS = ("chat", "sample")  # whose standard output is a model's text


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return a_home(tmp_path_factory.mktemp("talk") / "home")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(talk, "is_terminal", lambda stream: True)
    return None


def called(home: Home, call: str, out: Path, columns: int) -> Result:
    words = shlex.split(call.format(out=out))
    return CliRunner().invoke(main, ["--home", str(home.root), *words], input="Once\n",
                              env={"COLUMNS": str(columns)}, prog_name="agent")


def too_long(text: str, columns: int) -> list[str]:
    """Lines that stand out, but those that one word such as a path makes so."""
    return [line for line in text.splitlines() if cells(line) > columns
            and max(map(len, line.split()), default=0) <= columns // 2]


@pytest.mark.usefixtures("terminal", "speed")
@pytest.mark.parametrize("columns", [80, 60])
def test_no_command_says_a_line_that_is_longer_than_the_terminal(
        home: Home, tmp_path: Path, columns: int) -> None:
    found: list[str] = []
    for call in CALLS.strip().splitlines():
        result = called(home, call, tmp_path, columns)
        assert result.exception is None or isinstance(result.exception, SystemExit), call
        told = result.stderr if call.split()[0] in TEXTS else result.stdout + result.stderr
        assert told or call == "path E2", call
        found += [f"{call}: {line}" for line in too_long(told, columns)]
    assert found == []


def test_every_command_is_among_them() -> None:
    named = {call.split()[0] for call in CALLS.strip().splitlines()}
    assert set(MODULES) - named == set(DATA) - {"export-runs"}


def test_a_pipe_gets_each_sentence_on_one_line(home: Home, tmp_path: Path) -> None:
    result = called(home, "enqueue lr=3.5e-3 --dry-run --seed -1", tmp_path, 60)
    assert result.stderr.splitlines()[-1].startswith("Error: Invalid value for '--seed': -1 is not")
    result = called(home, "train --set n_head=7", tmp_path, 60)
    assert len(result.stderr.splitlines()) == 1


def test_only_one_place_says_sentences_on_stderr() -> None:
    said = {path.name for path in Path(talk.__file__).parent.glob("*.py")
            for line in path.read_text(encoding="utf-8").splitlines()
            if ", err=True" in line and "nl=False" not in line}
    assert said == {"talk.py"}


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("call", ["status", "baselines", "show E1", "best", "table", "runs",
                                  "studies", "log E1"])
def test_foreign_text_steers_no_terminal_and_fills_none(tmp_path: Path, call: str) -> None:
    home = a_home(tmp_path / "home")
    with closing(sqlite3.connect(home.ledger)) as connection, connection:
        text = hostile.all_of_it("\x1b[2J")
        connection.execute("UPDATE corpora SET name = ?", (text,))
        connection.execute("UPDATE runs SET reason = ?, notes = ?", (text, text))
        connection.execute("UPDATE events SET message = ?", (text,))
    told = called(home, call, tmp_path, 80).stdout
    assert told
    assert [sign for sign in told if not sign.isprintable() and sign != "\n"] == []
    assert call == "table" or too_long(told, 80) == []
