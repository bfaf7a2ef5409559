"""A decision in so few words that they stand whole beside a run's score."""

from collections.abc import Mapping
from typing import Any

from agent.search.verdict import gained
from agent.words import first_clause


def in_short(verdict: str, evidence: Mapping[str, Any], reason: str) -> str:
    """What it rests on, in some 45 letters; the reason's first clause where no number tells it."""
    gain, cost, n = (evidence.get(name) for name in ("gain_bpb", "cost_bpb", "n"))
    if isinstance(cost, int | float):
        return (f"{gained(-cost)} without it: "
                f"{'left out' if verdict == 'ablated' else 'it stays'}")
    if verdict in ("refuted", "undecided", "confirmed") and isinstance(gain, int | float):
        return f"{gained(gain)} on {n or 'some'} fresh seeds"
    if verdict == "discarded" and isinstance(gain, int | float) and gain > 0:
        return f"{gained(gain)}: no more than noise"
    if verdict in ("kept", "discarded") and isinstance(gain, int | float):
        head, seed = evidence.get("head_bpb"), evidence.get("head_seed")
        known = isinstance(head, int | float) and seed is not None
        return f"{gained(gain)} than {f'{head:.3f} of seed {seed}' if known else 'the head'}"
    return first_clause(reason)
