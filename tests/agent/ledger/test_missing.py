"""What was deleted by hand and is needed is named, with what needs it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.missing import MOST, gaps, gaps_in_words
from agent.ledger.reader import Reader
from tests.support import example_ledger as example


def told(tmp_path: Path, *statements: str) -> tuple[str, list[bool]]:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TRIGGER decisions_never_go")
        for statement in statements:
            db.execute(statement)
    with Reader.open(path) as ledger:
        found = gaps(ledger)
    return gaps_in_words(found), [gap.is_built_on for gap in found]


def test_a_ledger_as_it_was_made_lacks_nothing(tmp_path: Path) -> None:
    assert told(tmp_path) == ("", [])


def test_events_before_the_first_run_are_of_none(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.event("budget_plan", "planned for runs of 13 s", "2026-01-01T00:00:00Z")
        assert gaps(ledger) == []


def test_a_run_that_was_kept_weighs_most(tmp_path: Path) -> None:
    text, weights = told(tmp_path, "DELETE FROM runs WHERE label = 'E1'")
    assert text.startswith("row 4 of runs, which decision 2 (kept, 2026-03-24) is on")
    assert weights[0]
    assert not weights[-1]


def test_what_a_kept_run_was_held_against_is_needed(tmp_path: Path) -> None:
    text, weights = told(tmp_path, "DELETE FROM runs WHERE label = 'B2'")
    assert "row 3 of runs, which decision 2 (kept E1) was made against" in text
    assert any(weights)


def test_a_run_that_was_discarded_is_named_and_not_built_on(tmp_path: Path) -> None:
    text, weights = told(tmp_path, "DELETE FROM runs WHERE label = 'E2'")
    assert "row 5 of runs, which decision 3 (discarded, 2026-03-24) is on" in text
    assert not any(weights)


@pytest.mark.parametrize(("statement", "said"), [
    ("DELETE FROM corpora", "row 1 of corpora, the text of study 1"),
    ("DELETE FROM calibrations", "row 1 of calibrations, the study of B2 and 4 more"),
    ("DELETE FROM decisions WHERE id = 2", "row 2 of decisions"),
    ("DELETE FROM decisions WHERE id < 3", "rows 1 to 2 of decisions"),
    ("DELETE FROM runs WHERE label = 'E3'", "the runs that 5 rows of metrics are of"),
    ("DELETE FROM metrics", ""), ("DELETE FROM events", "")])
def test_each_kind_of_row_is_named_in_its_words(tmp_path: Path, statement: str,
                                                said: str) -> None:
    assert told(tmp_path, statement)[0].startswith(said)


def test_many_gaps_are_a_few_and_a_number(tmp_path: Path) -> None:
    text, _ = told(tmp_path, "DELETE FROM runs")
    assert text.count("; ") == MOST
    assert "; and " in text
