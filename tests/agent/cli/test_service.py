"""A unit that systemd takes, with the paths and options that were meant."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.home.paths import Home
from tests.support.example_home import agent, printed
from tests.support.patience import patience


@pytest.fixture(autouse=True)
def _no_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFIX", raising=False)


def started(text: str) -> list[str]:
    """The words systemd would start."""
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart="))
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def test_the_unit_starts_this_python_in_this_home_with_these_options(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = printed(Home(tmp_path / "home"), "service", "--for", "8h", "--corpus", "x.txt",
                   "--set", "lr=1e-3", "--set", "n_embd=32", "--only-charging")
    assert started(text) == [
        sys.executable, "-P", "-m", "agent", "--home", str(tmp_path / "home"), "run", "--for=8h",
        "--only-charging", f"--corpus={tmp_path / 'x.txt'}", "--set=lr=1e-3", "--set=n_embd=32"]
    assert "Restart=on-failure" in text.splitlines()
    assert "loginctl enable-linger" in text


@pytest.mark.parametrize("name", ["a b", "50%", 'a"b', "$HOME", "back\\slash", "it's"])
def test_signs_that_mean_something_to_systemd_are_kept(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / name)
    assert str(home.root) in started(printed(home, "service"))


def test_the_phone_is_told_what_applies_there(tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFIX", "/data/data/com.termux/files/usr")
    text = printed(Home(tmp_path / "home"), "service", "--for", "8h", "--max-heat", "38")
    assert "termux/install.sh" in text
    assert f"printf '%s\\n' --for=8h --max-heat=38 > {tmp_path / 'home' / 'agent.options'}" in text


@pytest.mark.parametrize(("words", "status", "told"), [
    (("--fro", "8h"), 2, "No such option"),
    (("--for", "8"), 1, "'8' is not a duration"),
    (("--window", "25:00"), 1, "25:00"),
    (("--run-for", "1m", "--run-tokens", "2k"), 2, "give one")])
def test_options_that_a_night_would_refuse_are_refused_here(
        tmp_path: Path, words: tuple[str, ...], status: int, told: str) -> None:
    found = agent(Home(tmp_path), "service", *words)
    assert found.exit_code == status
    assert told in found.stderr


def test_a_home_that_no_unit_can_name_is_refused(tmp_path: Path) -> None:
    found = agent(Home(tmp_path / "two\nlines"), "service")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "rename it" in found.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("name", ["home", 'a b%$c"d'])
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "phi-auto.service"
    path.write_text(printed(Home(tmp_path / name), "service", "--for", "8h"))
    found = subprocess.run(["systemd-analyze", "--user", "verify", str(path)],
                           capture_output=True, text=True, timeout=patience(60),
                           env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert "phi-auto.service" not in found.stderr
    assert found.returncode == 0 or "bus" in found.stderr
