"""The loss over one field at a time: each run a point, wherever the other fields stood."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.ledger import RunRow
from engine.config import Config
from engine.errors import ConfigError
from strategies.base import TITLES, shown

LOG_FACTOR = 3.0  # from the least to the largest, from which on a field's own scale is logarithmic
Kind = Literal["linear", "log", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One field and what the runs scored at its values."""

    name: str
    title: str
    kind: Kind
    choices: list[str]  # in words, the places of a choice's values; else empty
    points: list[tuple[float, float]]  # value, or number of the choice, and bits a byte
    labels: list[str]  # runs, as many as points
    best: str | None  # the winner's value in words; None where it has none
    best_at: float | None


def slices_of(rows: Sequence[RunRow], winner: Mapping[str, Any] | None,
              order: Sequence[str]) -> list[Slice]:
    """A slice for each field that has two values or more among finished runs.

    winner  configuration that is marked
    order   names of fields, the most important first; others come after them
    """
    table = [(row.label, row.val_bpb, row.fields()) for row in rows
             if row.state == "finished" and row.val_bpb is not None and row.config]
    names = list(dict.fromkeys(itertools.chain.from_iterable(
        config for _, _, config in table)))
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    whole = [(label, bpb, with_sizes(config)) for label, bpb, config in table]
    best = with_sizes(winner or {})
    found = (_slice(name, [(label, bpb, config[name]) for label, bpb, config in whole
                           if config.get(name) is not None], best.get(name))
             for name in names if name in TITLES
             and any(config.get(name) is not None for _, _, config in table))
    return [one for one in found if one is not None]


def with_sizes(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration with the sizes that follow others where they are not given, to stand beside
    runs where they are; as it is where another version's cannot be read.
    """
    if not config:
        return config
    try:
        whole = Config.from_dict(config)
    except ConfigError:
        return config
    return {**config, "n_hidden": whole.hidden, "n_kv_head": whole.kv_heads}


def _slice(name: str, table: Sequence[tuple[str, float, Any]], best: Any) -> Slice | None:
    values = {value for _, _, value in table if isinstance(value, str | bool | int | float)}
    if len(values) < 2:
        return None
    is_choice = any(isinstance(value, str | bool) for value in values)
    kinds = sorted(values, key=str) if is_choice else []
    points = [(float(kinds.index(value)) if is_choice else float(value), bpb)
              for _, bpb, value in table]
    places = [x for x, _ in points]
    is_log = not is_choice and min(places) > 0 and max(places) / min(places) >= LOG_FACTOR
    best_at = None if best is None else (
        float(kinds.index(best)) if best in kinds else None if is_choice else float(best))
    return Slice(name=name, title=TITLES[name],
                 kind="choice" if is_choice else "log" if is_log else "linear",
                 choices=[shown(value) for value in kinds], points=points,
                 labels=[label for label, _, _ in table],
                 best=None if best is None else shown(best), best_at=best_at)
