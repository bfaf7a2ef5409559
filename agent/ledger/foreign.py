"""A model that was trained elsewhere: a row beside the runs, which compares with none of them."""

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.ledger.experiments import EXPERIMENT_COLUMNS
from agent.ledger.fresh import fresh_id
from agent.ledger.records import Run
from engine.config import Config

if TYPE_CHECKING:
    from agent.ledger.ledger import Ledger

LETTER = "M"  # of its label
STRATEGY = "imported"


def foreign_uid(digest: str) -> str:
    """The same model has the same uid in every ledger that takes it in."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"phi-auto imported {digest}").hex


def add_foreign(ledger: "Ledger", uid: str, config: Config, told: Mapping[str, Any], place: str,
                now: str) -> Run:
    """The row of such a model; the known one where it was taken in before.

    told   the fields of the configuration that are known: its shape, and nothing of its training
    place  where it came from

    It is kept as a published row is: nothing is claimed to have been measured here, so that no
    search, comparison or yardstick takes it for a run.
    """
    with ledger._writing():
        if ledger.has_uid(uid):
            return ledger.run(uid)
        numbers = [int(label[len(LETTER):]) for label in ledger.labels()
                   if re.fullmatch(rf"{LETTER}[0-9]+", label)]
        label, reason = f"{LETTER}{max(numbers, default=0) + 1}", f"taken in from {place}"
        text = f"{config.n_embd}d/{config.n_layer}L"
        for name, value in told.items():
            if name not in ("n_embd", "n_layer") and value != getattr(Config(), name):
                text += f" {name}={value:g}" if isinstance(value, float) else f" {name}={value}"
        size = config.n_params
        told_size = f"{size / 1e6:.1f}M" if size >= 999_950 else f"{size / 1e3:.1f}k"
        cells = (label, now[5:10], told_size, text, "-", "-", "-", "Imported", reason)
        ledger._insert("runs", {
            "id": fresh_id(ledger, "runs"), "uid": uid, "label": label, "created_at": now,
            "state": "finished", "strategy": STRATEGY, "reason": reason, "config": dict(told),
            "config_text": text, "n_params": size,
            "n_params_embedding": config.n_params_embedding, "source": "published",
            "cells": dict(zip(EXPERIMENT_COLUMNS, cells, strict=True))})
        run = ledger.run(uid)
        ledger.event("import", f"{label} {reason}", now, run.id)
        return run
