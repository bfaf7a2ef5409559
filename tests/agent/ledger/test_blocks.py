"""Scores in blocks of text: kept with their run, and absent where nobody has written them."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.ledger.records import Blocks
from tests.support.parts import NOW, TEXT, a_run, a_study

ROOT = Path(__file__).resolve().parents[3]
CONFIRM, SILENT = Blocks((8.5, 4.25), (4, 3)), Blocks((7.0,), (5,))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_blocks_come_back_by_run_and_shard(ledger: Ledger) -> None:
    study = a_study(ledger)
    runs = [a_run(ledger, seed=seed, study=study) for seed in range(3)]
    ledger.finish(runs[0].id, "finished", NOW, {"confirm": CONFIRM, "test": SILENT}, val_bpb=2.0)
    ledger.finish(runs[1].id, "finished", NOW, {"confirm": SILENT})
    ledger.finish(runs[2].id, "finished", NOW)
    assert ledger.blocks_on(TEXT, 3200, "confirm") == {1: CONFIRM, 2: SILENT}
    assert ledger.blocks_on(TEXT, 3200, "confirm", 2) == {2: SILENT}
    assert ledger.blocks_on(TEXT, 3200, "test") == {1: SILENT}
    assert ledger.blocks_on(TEXT, 1600, "test") == ledger.blocks_on("another", 3200, "test") == {}


def test_blocks_are_kept_with_the_end_of_a_run_or_not_at_all(ledger: Ledger) -> None:
    run = a_run(ledger)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: shard"):
        ledger.finish(run.id, "finished", NOW, {"search": CONFIRM})
    assert ledger.run(run.id).state == "queued"


def test_a_ledger_without_blocks_is_still_read(tmp_path: Path) -> None:
    path = shutil.copy(ROOT / "ledger.db", tmp_path / "ledger.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE IF EXISTS blocks")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm006_blocks'")
        db.commit()
    with Reader.open(path) as ledger:
        study = ledger.newest_study()
        assert ledger.comparable_runs(study)
        assert ledger.blocks_on(study.text_sha256, study.budget_tokens, "confirm") == {}
