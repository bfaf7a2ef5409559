"""The chain of a study from its baseline to its winner, from rows that are already read.

As `lineage`, which asks the ledger for each step; a chain of thousands of runs is cut to its end.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.analysis.compare import Gain, gain
from agent.ledger import Claim, RunRow
from engine.config import Config
from strategies.base import changed_fields, describe_changes

MOST_STEPS = 40  # the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A run of the chain and what it changed in the one before it."""

    label: str
    changes: str  # in words; empty where it trains the same way
    fields: list[str]
    verdict: str | None
    bpb: float | None
    gain: Gain | None  # against the link before; None where scores do not compare
    claim: Claim | None  # what fresh seeds said of it and those before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """From the first run to the last, both among the links unless there are too many."""

    first: str
    last: str
    links: list[Link]  # without the first
    n_before: int  # links that are left out, the oldest
    total: Gain | None  # of the last against the first


def chain_of(winner: RunRow, rows: Mapping[int, RunRow], alike: Sequence[RunRow],
             claims: Sequence[Claim], sigma: float | None) -> Chain:
    """The chain that ends with the winner.

    rows    every run by its id
    alike   finished runs on the winner's text and budget, whose scores compare
    sigma   standard deviation of one run over seeds, bits a byte
    """
    runs = _ancestry(winner, rows)
    scores: defaultdict[str | None, dict[int, float]] = defaultdict(dict)
    for row in alike:
        if row.seed is not None and row.val_bpb is not None:
            scores[row.config_hash][row.seed] = row.val_bpb
    said = {claim.label: claim for claim in claims}  # of two the newer
    kept = runs[-MOST_STEPS - 1:]
    links = [_link(before, row, scores, sigma, said.get(row.label))
             for before, row in zip(kept, kept[1:], strict=False)]
    return Chain(first=runs[0].label, last=winner.label, links=links,
                 n_before=len(runs) - len(kept),
                 total=_gain(runs[0], winner, scores, sigma) if len(runs) > 1 else None)


def _ancestry(run: RunRow, rows: Mapping[int, RunRow]) -> list[RunRow]:
    """All it descends from and itself, as far as the ledger holds them, the oldest first."""
    found = [run]
    # A run is queued after its parent; a ledger mended by hand must not send us round in circles.
    while (parent := rows.get(found[-1].parent_id or 0)) and parent.id < found[-1].id:
        found.append(parent)
    return found[::-1]


def _link(before: RunRow, row: RunRow, scores: Mapping[str | None, dict[int, float]],
          sigma: float | None, claim: Claim | None) -> Link:
    changes, names = "", list[str]()
    if before.source == row.source == "measured":
        old, new = (Config.from_dict(json.loads(one.config or "{}")) for one in (before, row))
        changes, names = describe_changes(old, new), changed_fields(old, new)
    return Link(label=row.label, changes=changes, fields=names, verdict=row.verdict,
                bpb=row.val_bpb, gain=_gain(before, row, scores, sigma), claim=claim)


def _gain(first: RunRow, second: RunRow, scores: Mapping[str | None, dict[int, float]],
          sigma: float | None) -> Gain | None:
    its = [scores.get(row.config_hash) for row in (first, second)]
    return gain(its[0], its[1], sigma) if its[0] and its[1] else None
