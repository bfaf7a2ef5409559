"""What is shown follows the files, whatever becomes of them."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.serve.site import FRESH_S, REST, Site
from tests.agent.serve.conftest import PARTS, site_of
from tests.support.parts import NOW, a_run, a_study


def news(site: Site, known: dict[str, Any] | None = None) -> dict[str, Any]:
    known = known or {}
    found = json.loads(site.now_json(known.get("now", ""), known.get("report", "")))
    assert isinstance(found, dict)
    return found


def made(site: Site) -> None:
    """Wait for the report that was asked for."""
    site.page()


def begun(home: Home) -> str:
    """A running run in a new ledger, with a log of one step; its uid."""
    home.ledger.unlink(missing_ok=True)
    with Ledger.open(home.ledger) as ledger:
        a_study(ledger)
        a_run(ledger, seed=0, study=1)
        run = ledger.claim(NOW)
        assert run
    folder = home.run(run.uid)
    folder.root.mkdir(parents=True)
    logged(home, run.uid, 1)
    return run.uid


def logged(home: Home, uid: str, step: int) -> None:
    with open(home.run(uid).events, "a", encoding="ascii") as file:
        file.write(json.dumps({"kind": "step", "step": step, "loss": 5.0 - step / 10}) + "\n")


def test_the_page_shows_the_live_part_above_the_report(home: Home) -> None:
    page = site_of(home).page()
    assert page.index('<section id="now">') < page.index('<section id="course">made')
    assert page.count("<header") == page.count("<main>") == page.count('<footer id="foot"') == 1


def test_what_is_known_is_not_told_again(home: Home) -> None:
    site = site_of(home)
    made(site)
    first = news(site)
    assert first["parts"] == PARTS
    again = news(site, first)
    assert not {"html", "parts"} & again.keys()
    assert again["now"] == first["now"]


def test_nothing_is_read_where_nothing_changed(home: Home) -> None:
    site = site_of(home)
    site.look()  # tells which run's log is to be watched, too
    first = site.look()
    assert site.look() is first
    with Ledger.open(home.ledger) as ledger:
        ledger.event("note", "something", NOW)
    assert site.look() is not first


def test_a_new_step_of_the_log_is_shown_before_the_ledger_has_it(home: Home) -> None:
    """So it goes on where the agent was killed and its worker computes on."""
    uid = begun(home)
    site = site_of(home)
    assert (news(site)["step"], news(site)["is_agent_alive"]) == (1, False)
    logged(home, uid, 2)
    found = news(site)
    assert (found["step"], found["loss_nats"]) == (2, 4.8)
    assert "Its agent is gone" in found["html"]
    assert "step 2 of" in found["html"]


def test_times_that_pass_are_told_anew_while_something_runs(home: Home) -> None:
    begun(home)
    at_s = 0.0
    site = site_of(home, clock=lambda: at_s)
    site.look()
    first = site.look()
    at_s = FRESH_S
    assert site.look() is not first


def test_a_ledger_that_is_not_there_is_a_sentence_until_it_is(home: Home) -> None:
    held = home.ledger.read_bytes()
    home.ledger.unlink()
    site = site_of(home)
    assert "there is no ledger" in news(site)["error"]
    assert "there is no ledger" in site.page()
    home.ledger.write_bytes(held)
    assert news(site)["best"] is not None


def test_a_ledger_that_was_replaced_is_the_new_one(home: Home) -> None:
    site = site_of(home)
    before = news(site)
    begun(home)
    found = news(site, before)
    assert found["run"] == "T1"
    made(site)
    assert news(site)["report"] != before["report"]


def test_a_ledger_of_something_else_is_a_sentence(home: Home) -> None:
    site = site_of(home)
    assert "error" not in news(site)
    home.ledger.write_bytes(b"no database, but long enough to be read as one" * 100)
    assert "error" in news(site)


def test_a_locked_ledger_is_a_sentence_and_then_no_more(home: Home, monkeypatch: Any) -> None:
    monkeypatch.setattr("agent.ledger.queries.BUSY_S", 0.05)
    site = site_of(home)
    with closing(sqlite3.connect(home.ledger, isolation_level=None)) as other, other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        assert "error" in news(site)
        other.execute("ROLLBACK")
    other.close()
    site.look()
    assert "error" not in news(Site(home, make=lambda home, study: PARTS))


def test_a_report_rests_in_proportion_to_what_it_took(home: Home) -> None:
    at_s = 0.0
    n_made = 0

    def make(home: Home, study: int | None) -> dict[str, Any]:
        nonlocal at_s, n_made
        n_made += 1
        at_s += 2.0
        return PARTS

    site = Site(home, make=make, clock=lambda: at_s)
    made(site)
    site.reports.want("another")
    assert n_made == 1
    at_s += REST * 2.0
    site.reports.want("another")
    site.reports._thread.join()
    assert n_made == 2


def test_a_report_that_cannot_be_made_leaves_the_live_part(home: Home) -> None:
    def make(home: Home, study: int | None) -> dict[str, Any]:
        raise OSError("no process to be had")

    page = Site(home, make=make).page()
    assert '<section id="now">' in page
    assert "The night, live" in page


def test_a_server_stays_small_for_all_a_page_asks(home: Home) -> None:
    """What a report takes is its child's: numpy and sqlite-utils would double the server."""
    code = ("import sys, agent.cli.serve; from agent.home import Home; from agent.serve import "
            "Site; site = Site(Home.at(sys.argv[1]), make=lambda *a: {}); site.page(); "
            "site.now_json('', ''); print({'numpy', 'sqlite_utils', 'rich', 'psutil', "
            "'apscheduler'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code, str(home.root)], capture_output=True,
                          text=True, check=True)
    assert done.stdout == "set()\n"
