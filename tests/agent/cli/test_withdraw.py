"""`agent withdraw`: runs and studies are taken back, and nothing that was measured goes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.main import main
from agent.home.lock import only_one
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.ledger.records import Metric
from tests.support.parts import NOW, a_run, a_study


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    with Ledger.open(home.ledger) as ledger:
        a_study(ledger)
        for seed in range(2):
            a_run(ledger, seed=seed, study=1)
    return home


def agent(home: Home, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *words])


def states(home: Home) -> dict[str, str]:
    found = json.loads(agent(home, "runs", "--json").stdout)
    return {row["label"]: row["state"] for row in found}


def test_a_dry_run_changes_nothing_and_says_what_would(home: Home) -> None:
    before = home.ledger.read_bytes()
    result = agent(home, "withdraw", "--study", "1", "--dry-run")
    assert (result.exit_code, result.stderr) == (
        0, "would withdraw study 1 and 2 queued; a dry run, so nothing was\n")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["T1", "T2"]
    assert home.ledger.read_bytes() == before


def test_a_run_is_withdrawn_and_shown_so(home: Home) -> None:
    result = agent(home, "withdraw", "T2")
    assert (result.exit_code, result.stderr) == (
        0, "withdrew T2; `agent enqueue` queues an idea anew\n")
    assert states(home) == {"T1": "queued", "T2": "lost"}
    assert "T2   withdrawn" in agent(home, "runs").stdout
    assert json.loads(agent(home, "studies", "--json").stdout)[0]["n_runs"] == 0


def test_a_withdrawn_study_says_how_it_is_taken_up_again(home: Home) -> None:
    result = agent(home, "withdraw", "--study", "1")
    assert result.stderr == ("withdrew study 1 with T1, T2; `agent run --study 1` takes it up "
                             "again\n")
    shown = agent(home, "studies").stdout
    assert "withdrawn: `agent run --study 1` takes it up again" in shown
    assert "→" not in shown.partition("\n\n")[0]


def test_a_part_that_is_computed_is_not_given_up_unasked(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        run = ledger.claim(NOW)
        assert run is not None
        ledger.ingest(run.id, [Metric(40, 1280)], 0, NOW)
        ledger.requeue(run.id, NOW, "stopped")
    result = agent(home, "withdraw", "T1")
    assert (result.exit_code, result.stderr) == (
        1, "agent: a part is computed already of T1 (40 %); `agent run` goes on with that, and "
           "--yes withdraws it all the same\n")
    assert agent(home, "withdraw", "T1", "--yes").exit_code == 0
    assert states(home)["T1"] == "lost"


def test_while_an_agent_works_it_is_left_to_that(home: Home) -> None:
    with only_one(home.lock):
        result = agent(home, "withdraw", "T1", "--json")
    assert json.loads(result.stdout) == {"runs": ["T1"], "study": None, "where": "inbox"}
    assert states(home)["T1"] == "queued"


@pytest.mark.parametrize("words", [[], ["T1", "--study", "1"]])
def test_runs_or_a_study_are_named(home: Home, words: list[str]) -> None:
    result = agent(home, "withdraw", *words)
    assert (result.exit_code, "name queued runs, or a study" in result.stderr) == (2, True)


def test_a_second_pause_or_resume_is_told_apart_from_the_first(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger, only_one(home.lock):
        ledger.event("night", "begins", NOW)
        assert "is not paused; it is at work" in agent(home, "resume").stderr
        ledger.event("pause", "paused", NOW)
        assert "is paused already; `agent resume` goes on" in agent(home, "pause").stderr
        assert "it goes on from the checkpoint" in agent(home, "resume").stderr
        assert "told the agent" in agent(home, "pause").stderr  # the other word is on its way
