"""A decision in a few words: what it rests on, and nothing cut."""

from typing import Any

import pytest

from agent.search.brief import in_short


@pytest.mark.parametrize(("verdict", "evidence", "said"), [
    ("refuted", {"gain_bpb": -0.0123, "n": 3}, "0.0123 bits/byte worse on 3 fresh seeds"),
    ("undecided", {"gain_bpb": 0.0123, "n": 5}, "0.0123 bits/byte better on 5 fresh seeds"),
    ("ablated", {"cost_bpb": -0.002, "n": 2}, "0.0020 bits/byte better without it: left out"),
    ("confirmed", {"cost_bpb": 0.02}, "0.0200 bits/byte worse without it: it stays"),
    ("discarded", {"gain_bpb": -0.14, "n": 1}, "0.1400 bits/byte worse than the head"),
    ("discarded", {"gain_bpb": -0.051, "head_bpb": 1.8421, "head_seed": 3},
     "0.0510 bits/byte worse than 1.842 of seed 3"),
    ("discarded", {"gain_bpb": 0.0057, "head_bpb": 1.551, "head_seed": 5},
     "0.0057 bits/byte better: no more than noise"),
    ("kept", {"gain_bpb": 0.14}, "0.1400 bits/byte better than the head"),
    ("refuted", {"n": 1, "diverged": [4]}, "the first clause"),
    ("failed", {"error": "x"}, "the first clause")])
def test_a_decision_is_what_it_rests_on(
        verdict: str, evidence: dict[str, Any], said: str) -> None:
    assert in_short(verdict, evidence, "the first clause; and another") == said
    assert len(said) <= 47  # of 80 columns, beside time, label, score and verdict
