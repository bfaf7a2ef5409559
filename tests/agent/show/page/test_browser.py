"""A real browser opens the page: nothing goes wrong in it, and no request leaves it.

Run with -m browser; it takes Chromium, which Debian has as a package.
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.analysis.findings import Findings
from agent.show.page.html import page
from agent.show.page.whole import report_of
from tests.agent.show.page.conftest import look
from tests.support import example_ledger as example
from tests.support import hostile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ASKED = "127.0.0.1:9"  # an address that no page of ours names
PIXELS = (360, 1600)

pytestmark = [pytest.mark.browser, pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")]


@dataclass
class Seen:
    """What became of a page in the browser."""

    dom: str
    console: list[str]
    asked: list[str]  # addresses but the browser's own


def opened(path: Path, *options: str) -> Seen:
    """The page in a fresh Chromium that finds no network."""
    log = path.with_suffix(".net")
    found = subprocess.run(
        [CHROMIUM or "", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-dev-shm-usage", "--disable-background-networking",
         f"--user-data-dir={path.parent / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND",
         "--enable-logging=stderr", f"--log-net-log={log}", "--virtual-time-budget=500",
         *options, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    urls = re.findall(r'"url":"([^"]+)"', log.read_text(encoding="utf-8", errors="replace"))
    own = ("google.com", "googleapis.com", "gvt1.com")
    return Seen(found.stdout, [line for line in found.stderr.splitlines() if ":CONSOLE:" in line],
                [url for url in urls if not any(name in url for name in own)
                 and not url.startswith(("data:", "file:", "chrome"))])


def test_the_published_runs_open_without_a_word_and_the_table_can_be_searched(
        tmp_path: Path, record: Findings) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(report_of(record)), encoding="utf-8")
    seen = opened(path, "--dump-dom")
    assert (seen.console, seen.asked) == ([], [])
    assert '<input type="search" placeholder="Search 90 runs"' in seen.dom
    assert seen.dom.count("<button>") == 8


def test_a_ledger_full_of_markup_asks_nobody_and_runs_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(example.filled())
    hostile.spoil(ledger, f'"><img src="http://{ASKED}/leak.png"><script>fetch("http://{ASKED}")'
                          "</script>")
    path = tmp_path / "page.html"
    path.write_text(page(report_of(look(ledger))), encoding="utf-8")
    seen = opened(path, "--dump-dom")
    assert (seen.console, seen.asked) == ([], [])
    assert "<title>owned" not in seen.dom


def test_a_page_that_did_ask_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(f'<!doctype html><title>-</title><img src="http://{ASKED}/leak.png">')
    seen = opened(path, "--dump-dom")
    assert any(ASKED in url for url in seen.asked)
    assert json.dumps(seen.console).count("CONSOLE") <= 1


@pytest.mark.parametrize("width", PIXELS)
def test_no_width_makes_the_page_scroll_sideways(tmp_path: Path, spoilt: Findings,
                                                 width: int) -> None:
    told = page(report_of(spoilt), script="document.body.append(document.documentElement."
                "scrollWidth > innerWidth ? 'too wide' : 'fits in');")
    path = tmp_path / "page.html"
    path.write_text(told, encoding="utf-8")
    assert "fits in" in opened(path, "--dump-dom", f"--window-size={width},900").dom
