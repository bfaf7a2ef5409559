"""What other studies found: the table that came with the program, and a person's own ledger.

It is no verdict. Results from elsewhere tell a new study which ideas usually pay, so that its first
ones are good; what the study itself finds weighs more with each run (surrogate.py says how).
`agent run --no-prior` goes without.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from engine.config import Config

FILE = "prior.json"  # in strategies/; python -m tests.bench.table prior makes it


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One configuration and what it scored in another study."""

    study: str  # texts and budgets apart: scores compare within one only
    budget_tokens: int
    config: Config
    bpb: float
    n: int  # seeds


@cache
def table() -> tuple[int, tuple[Elsewhere, ...]]:
    """The version of the table that came with the program, and its rows."""
    found = json.loads(files("strategies").joinpath(FILE).read_text("utf-8"))
    return found["version"], tuple(
        Elsewhere(f"{row['text']} {row['budget_tokens']}", row["budget_tokens"],
                  Config.from_dict(row["config"]), row["bpb"], row["n"]) for row in found["rows"])


def in_words() -> str:
    """What the first ideas of a night rest on, for its first lines."""
    version, rows = table()
    studies = len({row.study for row in rows})
    return (f"first ideas by {len(rows)} results of {studies} studies that came with the program "
            f"(version {version}); what this one finds weighs more; --no-prior goes without")
