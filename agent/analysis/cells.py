"""Size × data: what the cells of grids scored, by parameters and tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.ledger import RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One size of model over the amounts of data it was trained on."""

    name: str
    n_params: int
    points: list[tuple[int, float]]  # tokens and bits a byte, the fewest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Every finished cell on one text, of two the newer."""

    sizes: list[Size]  # the smallest first
    best: str  # label of the cell with the fewest bits a byte
    best_size: str
    best_tokens: int
    best_bpb: float


def cells_of(rows: Sequence[RunRow]) -> Cells | None:
    """The cells among these runs of one text; None where none has finished."""
    done = [row for row in rows if row.grid_id is not None and row.state == "finished"
            and row.val_bpb is not None and row.n_params and row.budget_tokens]
    if not done:
        return None
    found: dict[str, dict[int, RunRow]] = {}
    for row in done:
        found.setdefault(_name(row), {})[row.budget_tokens or 0] = row
    sizes = [Size(name=name, n_params=next(iter(its.values())).n_params or 0,
                  points=[(tokens, row.val_bpb or 0.0) for tokens, row in sorted(its.items())])
             for name, its in found.items()]
    best = min(done, key=lambda row: row.val_bpb or 0.0)
    return Cells(sizes=sorted(sizes, key=lambda size: size.n_params), best=best.label,
                 best_size=_name(best), best_tokens=best.budget_tokens or 0,
                 best_bpb=best.val_bpb or 0.0)


def _name(row: RunRow) -> str:
    config = row.fields()
    return f"{config.get('n_embd')}d/{config.get('n_layer')}L"
