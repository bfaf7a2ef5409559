"""Ledgers that several tests of the page look at, each read once."""

from pathlib import Path

import pytest

from agent.analysis.findings import Findings, find_out
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader, glance
from tests.support import example_ledger as example
from tests.support import hostile

NOW = "2026-11-29T06:00:00Z"
RECORD = Path(__file__).parents[4] / "ledger.db"


def look(path: Path, study: int | None = None) -> Findings:
    with Reader.open(path) as ledger:
        return find_out(ledger, study, NOW, lambda uid: [(0, "th e th"), (500, "Once upon a time")])


@pytest.fixture(scope="package")
def record() -> Findings:
    """The project's published runs."""
    with glance(RECORD) as ledger:
        return find_out(ledger, None, NOW)


@pytest.fixture(scope="package")
def night(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """The example night, a run running."""
    path = tmp_path_factory.mktemp("night") / "ledger.db"
    path.write_bytes(example.filled())
    return look(path)


@pytest.fixture(scope="package")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    path = tmp_path_factory.mktemp("empty") / "ledger.db"
    Ledger.open(path).close()
    return look(path)


@pytest.fixture(scope="package")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """The example night with text everywhere that tries to be markup."""
    path = tmp_path_factory.mktemp("spoilt") / "ledger.db"
    path.write_bytes(example.filled())
    hostile.spoil(path)
    return look(path)
