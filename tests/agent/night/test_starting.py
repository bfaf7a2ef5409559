"""What a night begins beside what runs: as far as processors and memory reach."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.trial.slots import foreseen_mb
from engine.text.corpus import TokenSet
from tests.agent.night.test_night import tokens as tokens
from tests.agent.night.test_turns import Crew
from tests.agent.night.test_turns import ledger as ledger


@pytest.fixture
def crew(tmp_path: Path, ledger: Ledger, tokens: TokenSet) -> Crew:
    return Crew(tmp_path, ledger, tokens, 3)


def test_a_run_waits_where_all_together_would_pass_the_limit_of_memory(crew: Crew) -> None:
    one_mb = foreseen_mb(crew.ledger.run("B1"))
    crew.night.plan = crew.night.campaign.plan = replace(
        crew.night.plan, max_ram_mb=2.5 * one_mb)
    crew.tick()
    assert list(crew.trials) == ["B1", "B2"]
    assert crew.night.waits_for is not None
    assert "of what runs is over --max-ram" in crew.night.waits_for.reason


def test_what_runs_is_still_to_take_counts_as_taken(crew: Crew) -> None:
    one_mb = foreseen_mb(crew.ledger.run("B1"))
    crew.free_mb = 200.0 + 1.5 * one_mb
    crew.tick()
    assert list(crew.trials) == ["B1"]
    assert crew.night.waits_for is not None
    assert crew.night.waits_for.cause == "memory"


def test_a_run_of_more_processes_than_its_share_runs_alone(
        crew: Crew, ledger: Ledger) -> None:
    ledger._db.execute("UPDATE runs SET replicas = 3 WHERE label = 'B2'")
    crew.tick()
    assert list(crew.trials) == ["B1"]
    crew.end("B1")
    assert list(crew.trials) == ["B2"]
    crew.end("B2")
    assert list(crew.trials) == ["B3"]


def test_an_idea_has_the_memory_that_the_others_leave(crew: Crew) -> None:
    crew.tick()
    runs = [trial.run for trial in crew.night.slots.trials]
    alone, beside = (crew.night.campaign._limits(None, flight).max_mb for flight in ((), runs))
    assert alone is not None
    assert beside is not None
    assert alone - beside == pytest.approx(
        sum(sorted(map(foreseen_mb, runs))[-2:]))  # of two beside it
