"""What a person takes back on its way to the ledger: checked, left, carried out once."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.studies import withdrawn_studies
from agent.night import inbox
from agent.night.withdrawal import SUFFIX, Withdrawal, leave, planned, take_up
from engine.errors import UserError
from tests.support.parts import NOW, TINY, a_run, a_study


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with Ledger.open(home.ledger) as opened:
        a_study(opened)
        yield opened


def plan(ledger: Ledger, home: Home, *keys: str, study: int | None = None,
         at_work: bool = False) -> Withdrawal:
    return planned(ledger, home, keys, study, is_agent_at_work=at_work)


def carried_out(ledger: Ledger, home: Home, asked: Withdrawal) -> list[str]:
    leave(home, asked)
    return list(take_up(ledger, home, NOW))


def test_runs_are_withdrawn_once_and_those_that_began_meanwhile_go_on(
        ledger: Ledger, home: Home) -> None:
    for seed in range(3):
        a_run(ledger, seed=seed, study=1)
    asked = plan(ledger, home, "T1", "t2", "T1")
    assert [run.label for run in asked.runs] == ["T1", "T2"]
    ledger.claim(NOW, run_id=ledger.run("T2").id)
    assert carried_out(ledger, home, asked) == [
        "withdrew T1; 1 run had begun meanwhile and goes on"]
    assert list(take_up(ledger, home, NOW)) == []
    assert [run.label for run in ledger.runs("queued")] == ["T3"]


def test_what_cannot_be_withdrawn_is_said_with_what_can(ledger: Ledger, home: Home) -> None:
    a_run(ledger, study=1, strategy="baseline")
    run = a_run(ledger, seed=5, study=1)
    with pytest.raises(UserError, match="B1 is a seed of the start of study 1.*--study 1` takes"):
        plan(ledger, home, "B1")
    carried_out(ledger, home, plan(ledger, home, run.label))
    with pytest.raises(UserError, match="T1 is withdrawn already"):
        plan(ledger, home, "T1")
    ledger.claim(NOW)
    with pytest.raises(UserError, match="B1 is running; only runs that are queued can be"):
        plan(ledger, home, "B1")
    with pytest.raises(UserError, match="there is no study 7"):
        plan(ledger, home, study=7)
    with pytest.raises(UserError, match="an agent works on study 1; `agent stop` first"):
        plan(ledger, home, study=1, at_work=True)


def test_a_study_goes_with_its_queued_runs_and_ideas(ledger: Ledger, home: Home) -> None:
    a_run(ledger, study=1, strategy="baseline")
    inbox.leave(home, inbox.Idea(
        uid="a" * 32, created_at=NOW, config=dataclasses.replace(TINY, lr=1e-3), seed=0,
        calibration_id=1, parent_id=None, replicas=1, reason="an idea"))
    asked = plan(ledger, home, study=1)
    assert len(asked.ideas) == 1
    assert carried_out(ledger, home, asked) == ["withdrew study 1 with B1"]
    assert withdrawn_studies(ledger) == {1}
    assert list(home.inbox.iterdir()) == []
    with pytest.raises(UserError, match="study 1 is withdrawn already; `agent run --study 1`"):
        plan(ledger, home, study=1)


def test_a_study_goes_with_the_grid_s_cells_that_no_other_would_run(
        ledger: Ledger, home: Home) -> None:
    a_study(ledger, text="u" * 64)
    a_run(ledger, strategy="grid")
    a_run(ledger, strategy="grid", text="u" * 64)
    a_study(ledger, budget_tokens=6400)  # on the first one's text, too
    assert plan(ledger, home, study=1).runs == ()
    assert carried_out(ledger, home, plan(ledger, home, study=3)) == ["withdrew study 3"]
    assert [run.label for run in plan(ledger, home, study=1).runs] == ["G1"]
    assert [run.label for run in plan(ledger, home, study=2).runs] == ["G2"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"runs": [3]}', b"\xff", b'{"runs": 1}',
                                  b'{"runs": [], "study": "1"}'])
def test_a_file_that_nobody_here_wrote_is_refused_and_gone(
        ledger: Ledger, home: Home, data: bytes) -> None:
    home.inbox.mkdir()
    (home.inbox / f"x{SUFFIX}").write_bytes(data)
    assert list(take_up(ledger, home, NOW)) == [
        "x.withdraw in the inbox was refused: it is none that this program wrote"]
    assert list(home.inbox.iterdir()) == []
