"""A real browser keeps the live page open: a step that is logged meanwhile comes to stand in it.

Run with -m browser; it takes Chromium, which Debian has as a package.
"""

import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.serve.server import Server
from tests.agent.serve.conftest import site_of
from tests.agent.serve.test_site import begun, logged

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WITHIN_S = 3.0

pytestmark = [pytest.mark.browser, pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")]

# What a page of its own could not do: it is told to the server by what it asks for.
WATCH = """
new MutationObserver(function () {
  var found = /step (\\d+)/.exec(document.getElementById("now").textContent);
  if (found) fetch("now.json?now=step" + found[1]);
}).observe(document.body, {childList: true, subtree: true, characterData: true});
"""


def test_a_step_comes_to_stand_in_the_page_and_its_agent_need_not_live(
        home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    uid = begun(home)
    monkeypatch.setattr("agent.serve.site.LIVE", _live() + WATCH)
    site = site_of(home)
    logged_s: dict[str, float] = {}
    shown_s: dict[str, float] = {}
    is_done = threading.Event()

    def now_json(now: str, report: str, answer=site.now_json) -> str:  # type: ignore[no-untyped-def]
        if now.startswith("step"):
            shown_s.setdefault(now[4:], time.monotonic())
        if len(logged_s) < 2 and str(len(logged_s) + 1) in shown_s or not logged_s:
            step = len(logged_s) + 2
            logged(home, uid, step)
            logged_s[str(step)] = time.monotonic()
        if {"2", "3"} <= shown_s.keys():
            is_done.set()
        told: str = answer(now, report)
        return told

    site.now_json = now_json  # type: ignore[method-assign]
    with Server(0, site) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        browser = subprocess.Popen(
            [CHROMIUM or "", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking",
             f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
             "--remote-debugging-port=0", server.url],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            assert is_done.wait(60)
        finally:
            browser.terminate()
            said = browser.communicate(timeout=30)[1]
            server.shutdown()
    assert [line for line in said.splitlines() if ":CONSOLE:" in line] == []
    late = {step: shown_s[step] - logged_s[step] for step in ("2", "3")}
    assert max(late.values()) < WITHIN_S, json.dumps(late)


def _live() -> str:
    from agent.serve.script import LIVE
    return LIVE


def test_the_script_holds_no_markup_that_would_end_it() -> None:
    assert not re.search("</script|<!--", _live(), re.IGNORECASE)
