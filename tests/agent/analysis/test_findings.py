"""All that a page shows, against what other commands say of the same ledger."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.analysis.findings import Findings, _proved, find_out
from agent.analysis.importance import rank
from agent.ledger.find import best_run
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader, glance
from agent.ledger.records import NewCalibration
from engine.config import Config
from engine.errors import LedgerError
from tests.support import example_ledger as example

RECORD = Path(__file__).parents[3] / "ledger.db"
NOW = "2026-11-29T00:00:00Z"


@pytest.fixture(scope="module")
def record() -> Findings:
    with glance(RECORD) as ledger:
        return find_out(ledger, None, NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    return path


def test_the_published_study(record: Findings) -> None:
    with glance(RECORD) as ledger:
        best = best_run(ledger)
        assert best is not None
        assert record.course.leads[-1].label == best.label
        assert record.earned == ledger.earned(1)
    assert record.tally.n_runs == len(record.table) == 90
    assert len(record.published) == 6
    assert record.baseline_bpb == pytest.approx(1.87112, abs=1e-5)
    assert [one.name for one in record.yardsticks] == ["unigram", "bigram", "trigram"]
    assert record.importance[0].name == "lr"


def test_importance_is_that_of_its_own_command(record: Findings) -> None:
    with glance(RECORD) as ledger:
        study = ledger.calibration(1)
        found = rank(ledger, study.text_sha256, study.budget_tokens, None)
    assert record.importance == found.fields
    assert record.n_judged == found.n_configs


def test_it_is_one_json_value_without_numbers_that_are_none(record: Findings) -> None:
    told = json.dumps(record.as_dict(), allow_nan=False)
    assert json.loads(told)["winner"]["label"] == "E54"


def test_the_same_ledger_makes_the_same_findings(record: Findings) -> None:
    with glance(RECORD) as ledger:
        assert find_out(ledger, None, NOW) == record


def test_each_study_has_its_own_runs_and_what_belongs_to_none(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.add_calibration(NewCalibration(
            created_at=NOW, corpus_id=1, text_sha256="aa", budget_tokens=1000,
            config=Config(n_embd=64).to_dict()))
        example.queue(ledger, calibration_id=2, budget_tokens=1000, strategy="baseline")
        example.queue(ledger, Config(lr=9e-3), calibration_id=None, strategy="hand")
    with Reader.open(path) as ledger:
        first, second = (find_out(ledger, number, NOW) for number in (1, 2))
        assert find_out(ledger, None, NOW).study == 2
        with pytest.raises(LedgerError, match="there is no study 3"):
            find_out(ledger, 3, NOW)
    assert [row.label for row in first.table] == ["B2", "E1", "E2", "E3", "E4", "T1"]
    assert [row.label for row in second.table] == ["B3", "T1"]
    assert first.studies == second.studies == [1, 2]
    assert second.winner is None


def test_published_rows_and_nothing_else(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.import_published(example.PUBLISHED, NOW)
        found = find_out(ledger, None, NOW)
    assert (found.study, found.winner, found.table) == (None, None, [])
    assert [one["ID"] for one in found.published] == ["B1", "μ1"]


def test_a_running_night(path: Path) -> None:
    with Reader.open(path) as ledger:
        found = find_out(ledger, None, NOW)
    assert (found.tally.running, found.tally.n_queued, found.tally.n_kept) == (["E3"], 1, 1)
    assert found.importance == []
    assert found.machine.words[0].label == "E2"


def test_what_was_kept_since_the_last_claim_is_a_lead_and_no_winner() -> None:
    def row(number: int, label: str, verdict: str) -> Any:
        return SimpleNamespace(id=number, label=label, verdict=verdict, parent_id=number - 1)

    rows = {one.id: one for one in (row(1, "B1", "baseline"), row(2, "E3", "confirmed"),
                                    row(3, "E7", "kept"), row(4, "E9", "kept"))}
    assert _proved(rows[4], rows, {"E3"}).label == "E3"
    assert _proved(rows[2], rows, {"E3"}).label == "E3"
    assert _proved(rows[4], rows, {"E9", "E3"}).label == "E9"  # its verdict is not written yet
    assert _proved(rows[4], rows, set()).label == "E9"  # nothing is claimed: the head is shown
