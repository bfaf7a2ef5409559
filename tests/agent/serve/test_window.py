"""Which browser is asked, and that nobody waits for it."""

from typing import Any

import pytest

from agent.serve.window import show_in_browser

URL = "http://127.0.0.1:8642/"


class Started:
    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **how: Any) -> None:
        assert how["start_new_session"]
        self.commands.append(command)


def test_a_phone_opens_its_own() -> None:
    start = Started()
    environ = {"PREFIX": "/data/data/com.termux/files/usr"}
    assert show_in_browser(URL, environ, lambda name: f"/bin/{name}", start)
    assert start.commands == [["termux-open-url", URL]]
    assert not show_in_browser(URL, environ, lambda name: None, start)


def test_without_a_desktop_none_is_asked() -> None:
    start = Started()
    assert not show_in_browser(URL, {}, lambda name: None, start)
    assert start.commands == []


def test_a_desktop_shows_it_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Browser:
        name = "firefox"

    monkeypatch.setattr("webbrowser.get", Browser)
    start = Started()
    assert show_in_browser(URL, {"DISPLAY": ":0"}, lambda name: None, start)
    assert start.commands[0][1:] == ["-m", "webbrowser", URL]
    monkeypatch.setattr(Browser, "name", "/usr/bin/w3m")
    assert not show_in_browser(URL, {"DISPLAY": ":0"}, lambda name: None, start)
