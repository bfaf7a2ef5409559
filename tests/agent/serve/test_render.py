"""The child makes the same parts as the page of `agent report`."""

import json

import pytest

from agent.home.paths import Home
from agent.serve import render, site
from tests.support import hostile


def test_the_child_tells_the_parts_of_the_report(home: Home) -> None:
    found = site.rendered(home, None)
    assert found["head"].startswith('<header id="head">')
    assert found["foot"].startswith('<footer id="foot">')
    assert {"course", "runs"} <= {name for name, _ in found["sections"]}


def test_what_is_wrong_is_told_and_no_traceback(home: Home, capsys: pytest.CaptureFixture[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.nice", lambda by: 0)
    assert render.main([str(home.root), "99"]) == 0
    assert "study 99" in json.loads(capsys.readouterr().out)["error"]


def test_markup_in_a_ledger_stays_text(home: Home) -> None:
    hostile.spoil(home.ledger, '"><script>alert(1)</script>')
    parts = render.parts_of(home, None)
    told = parts.head + parts.foot + "".join(text for _, text in parts.sections)
    assert "<script" not in told
    live = site.Site(home, make=lambda home, study: {}).look()
    assert "<script" not in live.html
