"""What a person takes back: it ends without an end, and stands in nobody's way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.studies import by_use, current_study, withdrawn_studies
from agent.ledger.withdrawal import withdraw, withdraw_study, withdrawn_runs
from engine.errors import LedgerError
from tests.support.parts import NOW, a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        a_study(opened)
        yield opened


def test_a_withdrawn_run_is_lost_and_decided_and_may_be_queued_again(ledger: Ledger) -> None:
    run, running = a_run(ledger, study=1), a_run(ledger, seed=1, study=1)
    ledger.claim(NOW, run_id=running.id)
    assert withdraw(ledger, [run, running], "asked to", NOW) == [run.label]
    found = ledger.run(run.id)
    assert (found.state, found.ended_at, found.error) == ("lost", None, "asked to")
    assert [one.verdict for one in ledger.decisions(run.id)] == ["withdrawn"]
    assert ledger.undecided() == []  # no night judges it
    assert withdrawn_runs(ledger) == {run.id}
    assert ledger.earned(1) == []  # it is no idea that was tried
    assert a_run(ledger, study=1).label == "T3"


def test_a_withdrawn_study_is_passed_over_until_a_night_names_it(ledger: Ledger) -> None:
    second = a_study(ledger, budget_tokens=6400)

    def night(study: int) -> None:
        ledger.event("night", "begins", NOW, data={"study": study, "newest_study": second})

    night(1)
    night(second)
    withdraw_study(ledger, second, "asked to", NOW)
    assert withdrawn_studies(ledger) == {second}
    current = current_study(ledger)
    assert current is not None
    assert current.id == 1
    assert [one.id for one in by_use(ledger)] == [1]
    withdraw_study(ledger, 1, "asked to", NOW)
    assert (current_study(ledger), by_use(ledger)) == (None, [])
    night(second)
    assert withdrawn_studies(ledger) == {1}
    assert [one.id for one in by_use(ledger)] == [second]
    with pytest.raises(LedgerError, match="there is no study 9"):
        withdraw_study(ledger, 9, "asked to", NOW)
