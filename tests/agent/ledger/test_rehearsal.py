"""A dry import says what a real one would, and writes nothing."""

from pathlib import Path

from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from agent.ledger.rehearsal import rehearse
from tests.support.parts import NOW, a_run


def test_a_rehearsal_says_what_the_import_then_does(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "theirs.db") as theirs:
        for seed in range(3):
            a_run(theirs, seed=seed)
    with Ledger.open(tmp_path / "ours.db") as ours, Reader.open(tmp_path / "theirs.db") as theirs:
        told = rehearse(ours, theirs, NOW)
        assert told.n_new == 3
        assert ours.runs() == []
        assert ours.take_in(theirs, NOW) == told


def test_without_a_ledger_all_would_be_new(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "theirs.db") as theirs:
        a_run(theirs)
    with Reader.open(tmp_path / "theirs.db") as theirs:
        assert rehearse(None, theirs, NOW).n_new == 1
