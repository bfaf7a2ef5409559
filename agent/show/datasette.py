"""A ledger for Datasette: what its columns are, where to filter, and questions by name.

The keys are those of https://docs.datasette.io/en/stable/metadata.html; a test serves a ledger by
them.
"""

from typing import Any

from agent.ledger import described, recipes

FACETS = {"runs": ["state", "strategy", "calibration_id", "device"],
          "decisions": ["verdict", "rule"], "events": ["kind"], "corpora": ["source"],
          "experiments": ["Status"]}
NEWEST_FIRST = ("runs", "decisions", "events", "calibrations")
LABELS = {"runs": "label", "corpora": "name"}  # what stands for a row elsewhere


def metadata(database: str) -> dict[str, Any]:
    """The whole of it, for a database of that name."""
    return {
        "title": "Nights of phi-auto",
        "description": "Experiments with tiny language models: every run, decision and metric.",
        "databases": {database: {
            "description": "NULL means unknown; losses are nats per token, or bits per byte; "
                           "less is better.",
            "tables": {name: _table(name, *said) for name, said in described().items()},
            "queries": {one.name: {"title": one.title, "sql": one.sql} for one in recipes()},
        }},
    }


def _table(name: str, about: str, columns: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": about, "columns": columns}
    if name in FACETS:
        found["facets"] = FACETS[name]
    if name in NEWEST_FIRST:
        found["sort_desc"] = "id"
    if name in LABELS:
        found["label_column"] = LABELS[name]
    return found
