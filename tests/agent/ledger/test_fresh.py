"""Ids of deleted rows are not given again."""

import sqlite3
from contextlib import closing
from pathlib import Path

from agent.ledger.fresh import fresh_id
from agent.ledger.ledger import Ledger
from tests.support.parts import a_run


def test_the_id_of_a_deleted_newest_run_is_not_the_next_one_s(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert fresh_id(ledger, "runs") == 1
        a_run(ledger, seed=1)
        last = a_run(ledger, seed=2)
        ledger.event("note", "about the run", "2026-01-01T00:00:00Z", last.id)
        with closing(sqlite3.connect(ledger.path)) as db, db:
            db.execute("DELETE FROM runs WHERE id = ?", [last.id])
        assert fresh_id(ledger, "runs") == last.id + 1
