"""`agent serve` says where it is, and ends in one line."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.main import main


def interrupted(_server: object) -> None:
    raise KeyboardInterrupt


def test_it_says_its_address_and_ends_in_one_line(tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.serve.server.Server.show", interrupted)
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "serve", "--port", "0"])
    lines = result.stderr.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith("http://127.0.0.1:")
    assert lines[-1] == "ended; nothing was written"
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_is_not_there_is_told(tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.serve.server.Server.show", interrupted)
    monkeypatch.setattr("agent.serve.window._command", lambda *given: None)
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "serve", "--port", "0", "--open"])
    assert "no browser was found here; open http://127.0.0.1:" in result.stderr
