"""Runs as a page reads them, made up for tests of what is found in them."""

import json
from typing import Any

from agent.ledger.overview import RunRow
from engine.config import Config


def row(number: int, config: Config | None = None, /, **changes: Any) -> RunRow:
    """A finished run; the number is its id, its minute, and stands in its label."""
    config = config or Config()
    known: dict[str, Any] = {
        "id": number, "uid": f"{number:032x}", "label": f"E{number}", "state": "finished",
        "source": "measured", "strategy": "random", "parent_id": None, "grid_id": None,
        "calibration_id": 1, "corpus_id": 1,
        "config": json.dumps(config.to_dict()), "config_hash": config.hash,
        "config_text": config.describe(), "seed": 0, "n_params": config.n_params,
        "budget_tokens": 1000, "tokens": 1000, "val_loss": 2.5, "val_bpb": 1.2, "rung_bpb": None,
        "test_bpb": None, "tok_per_s": 100.0, "peak_mb": 90.0, "predicted_mb": 88.0,
        "duration_s": 60.0, "device": "a board", "kernels": None,
        "created_at": "2026-01-01T00:00:00Z", "started_at": None,
        "ended_at": f"2026-01-01T00:{number:02}:00Z", "reason": None,
        "error": None, "notes": None, "cells": None, "verdict": "discarded", "is_kept": 0,
        "is_confirmed": 0, "is_refuted": 0}
    return RunRow(**known | changes)
