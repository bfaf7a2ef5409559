"""What is told of a night, when, how often, and that a hook is never the night's trouble."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.machine.guard import Word
from agent.night.herald import AGAIN_S, Herald, Hooks, has_desktop, heralded, named
from engine.errors import UserError
from tests.support import example_ledger as example
from tests.support.parts import NOW
from tests.support.patience import patience


class Clock:
    def __init__(self) -> None:
        self.boot_s = 0.0

    def stamp(self) -> str:
        return NOW

    def boot(self) -> float:
        return self.boot_s

    def seconds(self) -> float:
        return time.monotonic()


class Stub:
    """As much of a night as a herald looks at."""

    def __init__(self, ledger: Ledger, home: Home) -> None:
        self.ledger, self.home, self.clock = ledger, home, Clock()
        self.noted: list[tuple[str, str]] = []
        self.is_held = False
        self.watch = SimpleNamespace(last=SimpleNamespace(word=Word(False, "battery 12 %")))

    def note(self, kind: str, message: str, data: Any = None) -> None:
        self.noted.append((kind, message))


@pytest.fixture
def night(tmp_path: Path) -> Any:
    home = Home(tmp_path)
    home.ledger.write_bytes(example.filled())
    with Ledger.open(home.ledger) as ledger:
        yield Stub(ledger, home)


def nothing(_ledger: Any, _now: str) -> dict[str, Any]:
    return {"morning": None}


class Kept(Herald):
    """A herald whose letters stay with it."""

    def __init__(self, night: Any) -> None:
        super().__init__(night, Hooks(nothing, command="true"))
        self.sent: list[dict[str, Any]] = []

    def _sent(self, way: str, to: str, body: dict[str, Any]) -> Any:
        self.sent.append(body)
        raise OSError(11, "no process")

    @property
    def events(self) -> list[str]:
        return [one["event"] for one in self.sent]


def confirm(night: Any, label: str, **evidence: Any) -> None:
    run = night.ledger.run(label)
    night.ledger.decide(run.id, None, "confirmed", "r/1", evidence, "better", NOW)


def test_a_claim_is_told_once_and_its_steps_and_the_past_are_not(night: Any) -> None:
    confirm(night, "E1", z=3.0)
    herald = Kept(night)
    herald.begin()
    herald.look()
    confirm(night, "E2", z=3.0)
    confirm(night, "E1", **{"with": "E2"})
    herald.look()
    herald.look()
    assert [(one["event"], one["text"]) for one in herald.sent] == [("confirmed", "E2: better")]


def test_the_machine_is_told_when_it_stops_a_night_and_not_at_each_breath(night: Any) -> None:
    herald = Kept(night)
    for is_held in (False, True, True, False, True):
        night.is_held = is_held
        herald.look()
    assert [(one["event"], one["text"]) for one in herald.sent] == [
        ("stopped_by_guard", "battery 12 %")]
    night.clock.boot_s = AGAIN_S
    for night.is_held in (False, True):
        herald.look()
    assert herald.events == ["stopped_by_guard"] * 2


def test_what_fails_is_told_in_the_ledger_once(night: Any) -> None:
    herald = Kept(night)
    for _ in range(3):
        herald.tell("confirmed", "x")
    assert night.noted == [("notify", "--notify true: no process could be started (no process); "
                                      "the night is none the worse")]


def test_an_end_is_told_whichever_it_is(night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(Herald, "tell", lambda self, *words: told.append(words))
    hooks = Hooks(nothing, command="true")
    night.ledger.event("night_over", "over: as asked", NOW)
    with heralded(night, hooks):
        pass
    with pytest.raises(UserError), heralded(night, hooks):
        raise UserError("gave up after 5 faults")
    with heralded(night, None) as herald:
        assert herald is None
    assert told == [("night_over", "over: as asked"), ("given_up", "gave up after 5 faults")]


def test_a_letter_is_read_by_the_command_that_was_asked_for(night: Any, tmp_path: Path) -> None:
    got = tmp_path / "got.json"
    herald = Herald(night, Hooks(nothing, command=f'cat > "{got}"; exit 7'), patience_s=60.0)
    herald.end("night_over", "over:\n as asked")
    letter = json.loads(got.read_text())
    assert (letter["event"], letter["text"], letter["morning"]) == (
        "night_over", "over: as asked", None)
    assert [message for _, message in night.noted] == [
        "--notify cat: its exit status was 7; the night is none the worse"]


def test_an_end_waits_for_no_hook_for_long(night: Any) -> None:
    herald = Herald(night, Hooks(nothing, command="sleep 60"), patience_s=0.3)
    began_s = time.monotonic()
    herald.end("night_over", "over")
    assert time.monotonic() - began_s < patience(8)
    assert [message for _, message in night.noted] == [
        "--notify sleep: it did not end within 0.3 s, and was ended; the night is none the worse"]


def test_a_summary_that_breaks_spoils_neither_night_nor_letter(night: Any) -> None:
    def broken(_ledger: Any, _now: str) -> dict[str, Any]:
        raise KeyError("what")

    herald = Kept(night)
    object.__setattr__(herald.hooks, "summary", broken)
    herald.tell("night_over", "over")
    assert herald.events == ["night_over"]
    assert ("notify", "a word at the end: a word could not be made (KeyError); the night is none "
                      "the worse") in night.noted


@pytest.mark.parametrize(("way", "to", "told"), [
    ("url", "https://me:x@a.com/T0K?k=1", "--notify-url https://a.com/…"),
    ("command", "curl -H 'Authorization: x' https://a.com/T0K", "--notify curl"),
    ("command", "TOKEN=x /usr/bin/mail me", "--notify"), ("command", "'", "--notify"),
    ("command", "/home/me/hook.sh", "--notify hook.sh")])
def test_no_secret_of_a_hook_is_told(way: str, to: str, told: str) -> None:
    assert named(way, to) == told


def test_a_desktop_is_a_session_with_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert has_desktop({"DISPLAY": ":0"})
    assert not has_desktop({})
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not has_desktop({"DISPLAY": ":0"})
    ways = [way for way, _ in Hooks(nothing, "a", "b", True).ways()]
    assert ways == ["command", "url", "desktop"]
