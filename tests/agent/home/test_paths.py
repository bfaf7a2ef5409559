"""Which folder a home is: ~/nights unless somebody says otherwise, and never by accident ours."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.home import Home
from agent.home import paths as where
from engine.errors import UserError
from tests.support.example_home import a_home

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "ledger.db"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's folder with a home in it, who has said nothing of homes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AGENT_HOME", raising=False)
    a_home(tmp_path / "nights")
    return tmp_path


def agent(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("current", [".", "elsewhere", "checkout"])
def test_the_home_is_nights_whatever_the_current_folder_is(
        user: Path, current: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (user / "elsewhere").mkdir()
    monkeypatch.chdir(ROOT if current == "checkout" else user / current)
    said = agent("path", "best")
    assert said.stdout.startswith(f"{user}/nights/runs/"), said.output


@pytest.mark.parametrize("way", ["--home", "behind", "AGENT_HOME"])
@pytest.mark.parametrize("spelt", [
    "~/other", "{user}/other/", "{user}/elsewhere/../other", "other", "./other", "{user}/link"])
def test_a_home_is_the_same_however_it_is_spelt_and_wherever_it_is_said(
        user: Path, way: str, spelt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (user / "nights").rename(user / "other")
    (user / "link").symlink_to(user / "other")
    (user / "elsewhere").mkdir()
    monkeypatch.chdir(user)
    spelt = spelt.format(user=user)
    if way == "AGENT_HOME":
        monkeypatch.setenv("AGENT_HOME", spelt)
    given = ["--home", spelt] if way != "AGENT_HOME" else []
    said = agent("path", "best", *given) if way == "behind" else agent(*given, "path", "best")
    assert said.stdout.startswith(f"{user}/other/runs/"), said.output


def test_a_home_of_nobody_is_one_sentence(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_HOME", "~nobody-of-that-name/x")
    said = agent("status")
    assert said.exit_code == 2
    assert said.stderr.splitlines()[-1] == (
        "Error: Invalid value for '--home': '~nobody-of-that-name/x' names nobody's home folder "
        "here; write the path whole, or ./~nobody-of-that-name/x if it is really called so")


def test_an_empty_agent_home_says_nothing(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_HOME", "")
    assert agent("path", "best").exit_code == 0


# --- the project's published runs ------------------------------------------------------------


@pytest.mark.parametrize("words", [["--record", "table"], ["table", "--record"],
                                   ["--home", str(ROOT), "table"]])
def test_the_record_is_read_where_it_is_asked_for(user: Path, words: list[str]) -> None:
    said = agent(*words)
    assert said.exit_code == 0
    assert "| Recorded " in said.stdout
    assert said.stdout != agent("table").stdout


def test_the_record_wins_over_agent_home(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_HOME", str(user / "nights"))
    assert agent("--record", "table").stdout == agent("--home", str(ROOT), "table").stdout


@pytest.mark.parametrize("words", [["--record", "--home", "x", "runs"],
                                   ["--record", "runs", "--home", "x"],
                                   ["--home", "x", "runs", "--record"]])
def test_record_and_home_together_are_misuse(user: Path, words: list[str]) -> None:
    said = agent(*words)
    assert said.exit_code == 2
    assert "--record and --home both say where the ledger is; give one" in said.stderr


@pytest.fixture
def checkout(user: Path) -> Path:
    """What looks like a checkout of the project, with a ledger that is its record."""
    folder = user / "checkout"
    folder.mkdir()
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    shutil.copyfile(RECORD, folder / "ledger.db")
    return folder


@pytest.mark.parametrize("words", [
    ["run", "--once"], ["train", "--steps", "1"], ["grid", "--sizes", "32d/1L", "--tokens", "20k"],
    ["import", "{checkout}/pyproject.toml"], ["enqueue", "lr=1e-3"]])
def test_nothing_writes_the_record_but_with_record(
        checkout: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    before = (checkout / "ledger.db").read_bytes()
    said = agent("--home", ".", *(word.format(checkout=checkout) for word in words))
    assert said.exit_code == 1
    assert said.stderr == (f"agent: {checkout} holds the project's published runs, which only "
                           "--record writes; leave out --home for your own in ~/nights, or name "
                           "another folder\n")
    assert (checkout / "ledger.db").read_bytes() == before
    assert {path.name for path in checkout.iterdir()} == {"pyproject.toml", "ledger.db"}


def test_with_record_it_may_be_written(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "CHECKOUT", checkout)
    home = Home.record()
    home.require_writable()
    assert home.ledger == checkout / "ledger.db"


def test_a_program_that_runs_from_no_checkout_has_no_record(
        user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "CHECKOUT", user)
    with pytest.raises(UserError, match="--record means the ledger of the project's checkout, and"):
        Home.record()
