"""A harvest by hand: what is refused before anything is written; tests/agent/cli carries one out.
"""

from pathlib import Path

import pytest

from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.night.reap import foresee_harvest
from agent.night.wish import Wish
from agent.trial import Source
from engine.errors import LedgerError, UserError
from tests.agent.analysis.test_harvest import finished

WISH = Wish(Source("data", "builtin"), 3000.0, n_replicas=1)


def foresee(home: Home, key: str | None) -> None:
    foresee_harvest(home, key, WISH, 60.0, lambda *_: None)


def test_a_home_without_a_study_a_published_row_and_an_unknown_run_are_refused(
        tmp_path: Path) -> None:
    home = Home(tmp_path)
    with Ledger.open(home.ledger) as ledger:
        finished(ledger)
    before = home.ledger.read_bytes()
    with pytest.raises(UserError, match="there is no finished run yet that could be grown"):
        foresee(home, None)
    with pytest.raises(LedgerError, match="there is no run 'E7'"):
        foresee(home, "E7")
    assert home.ledger.read_bytes() == before
