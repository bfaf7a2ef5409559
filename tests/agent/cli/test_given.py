"""What a person gives, at the border."""

from pathlib import Path

import click
import pytest

from agent.cli import main as cli_main
from agent.cli.given import (
    COUNT,
    SEED,
    Finite,
    GivenPath,
    GivenText,
    each_once,
    expanded,
    settle_terminal,
)
from agent.cli.main import main
from engine.config import Config
from engine.errors import ConfigError
from tests.support.fuzz import agent


def test_a_tilde_is_expanded_and_one_that_names_nobody_is_refused(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert expanded("~/nights") == "/home/ann/nights"
    assert expanded("./~x") == "./~x"
    with pytest.raises(click.BadParameter, match="'~nosuchuser/x' names nobody's home folder"):
        expanded("~nosuchuser/x")
    with pytest.raises(click.BadParameter, match="has a NUL in it"):
        expanded("a\0b")
    assert GivenPath().convert("~/x", None, None) == Path("/home/ann/x")
    assert GivenText().convert("builtin", None, None) == "builtin"
    assert GivenText().convert("~/x.txt", None, None) == "/home/ann/x.txt"
    with pytest.raises(click.BadParameter, match="it is empty"):
        GivenText().convert(" ", None, None)


@pytest.mark.parametrize("command", [
    ["train", "--steps", "1", "--set", "lr=2e-3", "--set", "lr=1e-3"],
    ["run", "--set", "lr=2e-3", "--set", "n_layer=2", "--set", " lr = 1e-3"],
    ["enqueue", "lr=2e-3", "lr=1e-3"],
    ["doctor", "--bench", "--set", "lr=2e-3", "--set", "lr=1e-3"]])
def test_a_field_with_two_values_is_refused(command: list[str], tmp_path: Path) -> None:
    result = agent("--home", str(tmp_path / "home"), *command)
    assert result.exit_code == 2
    assert "lr is given twice, as 2e-3 and as 1e-3; give it once" in result.stderr
    assert not (tmp_path / "home").exists()


def test_a_field_said_twice_alike_and_a_comma_for_a_space(tmp_path: Path) -> None:
    assert each_once(None, None, ("lr=1", "lr=1", "file.json")) == (  # type: ignore[arg-type]
        "lr=1", "lr=1", "file.json")
    with pytest.raises(ConfigError, match="is not a number; write a space between two fields"):
        Config().assign(["lr=2e-3,n_layer=2"])


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "NaN"])
def test_a_number_is_finite(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a finite number"):
        Finite().convert(text, None, None)


@pytest.mark.parametrize("kind", [SEED, COUNT])
def test_a_whole_number_fits_the_ledger(kind: click.IntRange) -> None:
    with pytest.raises(click.BadParameter, match="is not in the range"):
        kind.convert(2**63, None, None)
    assert kind.max is not None
    assert kind.convert(str(kind.max), None, None) < 2**62


@pytest.mark.parametrize(("before", "after"), [
    ("80", "80"), ("5", "20"), ("1", "20"), ("0", None), ("-3", None), ("abc", None), ("", None),
    ("²", None), ("99999999", "10000"), ("9" * 5000, None), (None, None)])
def test_columns_are_a_width_that_pages_fit_in_or_the_terminals_own(
        before: str | None, after: str | None) -> None:
    environ = {} if before is None else {"COLUMNS": before}
    settle_terminal(environ)
    assert environ.get("COLUMNS") == after


def test_lines_that_are_none_are_left_to_the_terminal() -> None:
    environ = {"LINES": "0", "COLUMNS": "60"}
    settle_terminal(environ)
    assert environ == {"COLUMNS": "60"}


@pytest.mark.parametrize(("error", "told"), [
    (MemoryError(), "agent: there is not enough memory for that; ask for less"),
    (PermissionError(13, "Permission denied", "/x/runs"), "agent: /x/runs: Permission denied; "),
    (OSError(11, "Resource temporarily unavailable"), "agent: Resource temporarily unavailable; ")])
def test_what_the_system_refuses_is_a_sentence(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(main.commands["stop"], "callback", refuse)
    result = agent("--home", str(tmp_path), "stop")
    assert (result.exit_code, result.stderr.startswith(told)) == (1, True)
    assert len(result.stderr.splitlines()) == 1


def test_a_bug_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(main.commands["stop"], "callback", broken)
    assert isinstance(agent("--home", str(tmp_path), "stop").exception, KeyError)
    monkeypatch.setattr(cli_main, "_damage", lambda _home: "the ledger is damaged: a page is torn")
    assert agent("--home", str(tmp_path), "stop").stderr == (
        "agent: the ledger is damaged: a page is torn\n")
