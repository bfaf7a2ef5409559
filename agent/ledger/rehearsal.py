"""What taking another ledger in would add, found out on a copy: nothing of ours is written."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from agent.ledger.ledger import Ledger
from agent.ledger.merge import Taken
from agent.ledger.queries import Queries
from agent.ledger.reader import Reader


def rehearse(ours: Queries | None, theirs: Reader, now: str) -> Taken:
    """What `Ledger.take_in` would say.

    ours  None: there is no ledger yet
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ledger.db"
        if ours:
            with closing(sqlite3.connect(copy)) as target:
                ours.copy_to(target)
        with Ledger.open(copy) as ledger:
            return ledger.take_in(theirs, now)
