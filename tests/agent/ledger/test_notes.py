"""A person's words on runs: kept, taken away, merged, and nothing a verdict looks at."""

from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.merge import take_in
from agent.ledger.notes import Remark, remark_on, remarks, set_remark, with_remarks
from agent.ledger.reader import Reader
from engine.errors import LedgerError
from tests.support import example_ledger as example
from tests.support.parts import NOW

LATER = "2027-01-01T00:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    return path


def test_what_is_written_stands_beside_its_run_alone(path: Path) -> None:
    with Ledger.open(path) as ledger:
        run = ledger.run("E1")
        set_remark(ledger, run.id, Remark("keep", True), NOW)
        assert remark_on(ledger, run.id) == Remark("keep", True)
        assert remarks(ledger) == {run.id: Remark("keep", True)}
        set_remark(ledger, run.id, Remark(), LATER)
        assert remark_on(ledger, run.id) == Remark()
        assert ledger.run("E1") == run
        with pytest.raises(LedgerError):
            set_remark(ledger, 9999, Remark("x"), NOW)


def test_a_ledger_of_an_earlier_version_has_none(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger._db.execute("DROP TABLE remarks")
    with Reader.open(path) as reader:
        assert remarks(reader) == {}
        assert remark_on(reader, 1) == Remark()
        assert with_remarks(reader, reader.experiments()) == reader.experiments()


def test_the_table_begins_its_notes_with_them(path: Path) -> None:
    with Ledger.open(path) as ledger:
        set_remark(ledger, ledger.run("E1").id, Remark("mine", True), NOW)
        before = {row["ID"]: row["Notes"] for row in ledger.experiments()}
        after = {row["ID"]: row["Notes"] for row in with_remarks(ledger, ledger.experiments())}
    assert after.pop("E1") == f"★ mine; {before.pop('E1')}"
    assert after == before


def test_of_two_ledgers_the_later_word_counts(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(path.read_bytes())
    with Ledger.open(path) as ours, Ledger.open(other) as theirs:
        first, second = ours.run("E1").id, ours.run("E2").id
        set_remark(ours, first, Remark("ours"), LATER)
        set_remark(theirs, first, Remark("theirs"), NOW)
        set_remark(theirs, second, Remark(None, True), NOW)
        take_in(ours, [other])
        assert remarks(ours) == {first: Remark("ours"), second: Remark(None, True)}
        take_in(theirs, [path])
        assert remarks(theirs) == remarks(ours)
