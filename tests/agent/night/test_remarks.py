"""Notes and stars on their way to the ledger: what is there, what a stranger left, what is full."""

import json
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.notes import Remark, remark_on
from agent.night.remarks import MOST, SUFFIX, Asked, cleaned, leave, take_up
from engine.errors import UserError
from tests.support import example_ledger as example
from tests.support.parts import NOW


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.ledger.write_bytes(example.filled())
    return home


def test_a_note_grows_by_lines_and_a_star_leaves_it(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        run = ledger.run("E1")
        for asked in (Asked(run.uid, "E1", "add", "first"), Asked(run.uid, "E1", "add", "second"),
                      Asked(run.uid, "E1", is_starred=True)):
            leave(home, asked)
            list(take_up(ledger, home, NOW))
        assert remark_on(ledger, run.id) == Remark("first\nsecond", True)
        leave(home, Asked(run.uid, "E1", "clear"))
        assert list(take_up(ledger, home, NOW)) == ["E1: note removed"]
        assert remark_on(ledger, run.id) == Remark(None, True)
        assert list(home.inbox.iterdir()) == []


@pytest.mark.parametrize("text", [
    "{", "[]", "null", '{"uid": 1, "label": "E1"}', '{"uid": "a", "label": "E1", "how": "burn"}',
    '{"uid": "a", "label": "E1", "is_starred": 3}', "[" * 50_000, '{"uid": "a b", "label": "E1"}'])
def test_what_another_program_left_is_refused_and_gone(home: Home, text: str) -> None:
    home.inbox.mkdir()
    (home.inbox / f"x\x1b{SUFFIX}").write_text(text)
    with Ledger.open(home.ledger) as ledger:
        (message,) = take_up(ledger, home, NOW)
    assert "was refused" in message
    assert "\x1b" not in message
    assert list(home.inbox.iterdir()) == []


def test_a_run_that_is_gone_is_told(home: Home) -> None:
    leave(home, Asked("nowhere", "E99", "add", "x"))
    with Ledger.open(home.ledger) as ledger:
        assert list(take_up(ledger, home, NOW)) == [
            "nothing was noted on E99: it is no run of this ledger"]


def test_a_note_has_an_end() -> None:
    asked = Asked("a", "E1", "add", "x" * MOST)
    assert asked.on(Remark()).note == "x" * MOST
    with pytest.raises(UserError, match="10,002 letters; 10,000 are the most"):
        asked.on(Remark("y"))


def test_what_steers_a_terminal_is_not_kept() -> None:
    assert cleaned(" a\x1b[31m \nb\r\n ") == "a\N{REPLACEMENT CHARACTER}[31m\nb"


def test_what_is_left_is_one_json_value(home: Home) -> None:
    leave(home, Asked("u", "E1", "add", "<script>"))
    (path,) = home.inbox.iterdir()
    assert json.loads(path.read_text())["text"] == "<script>"
