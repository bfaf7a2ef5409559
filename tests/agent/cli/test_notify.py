"""--notify and --notify-url at the border, and the summary they send."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.main import main
from agent.cli.notify import hooks_of, summary
from agent.home.paths import Home
from agent.ledger.reader import Reader
from tests.support import example_ledger as example
from tests.support.parts import NOW


@pytest.mark.parametrize(("option", "told"), [
    (("--notify-url", "http://me:pw@example.com/t?k=1"), "http://example.com/… is not https"),
    (("--notify-url", "nowhere"), "it is no address; write https://host/path"),
    (("--notify-url", "https://a/" + "x" * 5000), "it is too long"),
    (("--notify", " "), "it is empty"), (("--notify", "x" * 5000), "over 4,096 letters long")])
def test_what_leads_nowhere_is_misuse_and_no_secret_is_repeated(
        tmp_path: Path, option: tuple[str, str], told: str) -> None:
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "run", *option])
    assert (result.exit_code, told in " ".join(result.stderr.split())) == (2, True)
    assert "pw" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_told_where_nobody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.night.herald.shutil.which", lambda name: None)
    home = Home(Path("/nowhere"))
    assert hooks_of(home, {"notify": None, "notify_url": None}) is None
    hooks = hooks_of(home, {"notify": "true", "notify_url": "https://a/"})
    assert hooks
    assert [way for way, _ in hooks.ways()] == ["command", "url"]


def test_the_summary_is_the_morning_of_agent_status(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ledger.write_bytes(example.filled())
    with Reader.open(home.ledger) as ledger:
        found = json.loads(json.dumps(summary(ledger, home, NOW), allow_nan=False))
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "status", "--json"])
    status = json.loads(result.stdout)
    assert found["morning"] == status["morning"]
    assert (found["best"]["label"], found["study"]) == (status["best"]["label"], status["study"])
