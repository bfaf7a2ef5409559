"""The winner: its claims, its settings, its texts."""

from pathlib import Path

import pytest

from agent.analysis.findings import find_out
from agent.analysis.winner import spread
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader, glance
from engine.config import Config
from tests.support import example_ledger as example

RECORD = Path(__file__).parents[3] / "ledger.db"
NOW = "2026-11-29T00:00:00Z"


def test_the_published_head_claims_the_sum_and_has_its_silent_test() -> None:
    with glance(RECORD) as ledger:
        found = find_out(ledger, None, NOW).winner
    assert found is not None
    assert found.silent is not None
    assert found.claimed_bpb == pytest.approx(found.silent["claimed_bpb"])
    assert found.claimed_bpb == pytest.approx(sum(one.gain_bpb for one in found.claims))
    assert [one.against for one in found.claims] == ["B2", "E11", "E23", "E33", "E48"]


def test_a_silent_test_of_another_studys_night_is_not_this_ones(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        claim = {"gain_bpb": 0.02, "low_bpb": 0.01, "high_bpb": 0.03, "n": 2, "z": 5.0}
        ledger.decide(ledger.run("E1").id, None, "confirmed", "rule/1", claim, "so", NOW)
        ledger.event("night", "mine", NOW, data={"study": 1})
        ledger.event("silent_test", "so far", NOW, data={"silent_bpb": 0.019})
        ledger.event("night", "another's", NOW, data={"study": 2})
        ledger.event("silent_test", "so far", NOW, data={"silent_bpb": 0.5})
    with Reader.open(path) as ledger:
        found = find_out(ledger, None, NOW, lambda uid: [(1, uid)]).winner
    assert found is not None
    assert found.silent == {"silent_bpb": 0.019}
    assert found.samples == [(1, found.uid)]
    changed = [(one.name, one.value, one.baseline) for one in found.settings
               if one.value != one.baseline]
    assert changed == [("lr", 2e-3, Config().lr)]


@pytest.mark.parametrize("n", [0, 1, 6, 7, 100])
def test_samples_are_spread_from_the_first_to_the_last(n: int) -> None:
    texts = [(i, str(i)) for i in range(n)]
    found = spread(texts, 6)
    assert len(found) == min(n, 6)
    assert found == sorted(found)
    assert not texts or (found[0], found[-1]) == (texts[0], texts[-1])
