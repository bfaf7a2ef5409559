"""One ledger of made grids, and what is read and fitted of it, for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.analysis.scaling.rows import Ground
from agent.analysis.scaling.study import Study
from agent.ledger.reader import Reader
from tests.support.example_grids import filled, studied


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Reader]:
    path = tmp_path / "grids.db"
    path.write_bytes(filled())
    with Reader.open(path) as opened:
        yield opened


@pytest.fixture
def ground() -> Ground:
    return studied()[1]


@pytest.fixture
def found() -> Study:
    return studied()[0]
