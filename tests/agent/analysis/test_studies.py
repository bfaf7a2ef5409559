"""Each study in one line of facts."""

from pathlib import Path

from agent.analysis.studies import confirmed_gains, study_facts
from agent.ledger.ledger import Ledger
from agent.ledger.records import Decision
from tests.support import example_ledger as example


def decision(verdict: str, **evidence: object) -> Decision:
    return Decision(id=1, decided_at=example.NOW, run_id=1, against_id=None, verdict=verdict,
                    rule="rule/1", evidence=evidence, reason="", label="E1", against=None)


def test_what_is_confirmed_is_the_claims_less_what_ablations_cost() -> None:
    assert confirmed_gains([
        decision("confirmed", gain_bpb=0.2), decision("confirmed", gain_bpb=0.2, **{"with": "E2"}),
        decision("ablated", cost_bpb=0.01), decision("ablated", cost_bpb=-0.05),
        decision("kept", gain_bpb=0.5)]) == [0.2, -0.01, 0.0]
    assert confirmed_gains([]) == []


def test_the_facts_of_a_study(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert study_facts(ledger) == []
        example.fill(ledger)
        found = study_facts(ledger)[0]
    assert (found.study, found.is_last, found.text, found.n_runs, found.head) == (
        1, True, "stories", 3, "E1")
    assert found.confirmed_bpb is None
    assert found.last_used_at >= found.opened_at
