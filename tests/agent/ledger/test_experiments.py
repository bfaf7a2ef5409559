"""The experiment table does not rest on a view that people may make their own."""

from pathlib import Path

import pytest

from agent.ledger.experiments import EXPERIMENTS
from agent.ledger.reader import Reader
from tests.agent.ledger.test_columns import change
from tests.support import example_ledger as example


@pytest.mark.parametrize("own", [(), ("CREATE VIEW experiments AS SELECT label FROM runs",),
                                 ("CREATE TABLE experiments (a)",)])
def test_a_view_that_is_gone_or_another_changes_nothing(tmp_path: Path,
                                                        own: tuple[str, ...]) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    with Reader.open(path) as ledger:
        before = ledger.experiments()
        assert before == ledger.rows("SELECT * FROM experiments") == ledger.rows(EXPERIMENTS)
    change(path, "DROP VIEW experiments", *own)
    with Reader.open(path) as ledger:
        assert ledger.experiments() == before
