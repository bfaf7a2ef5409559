"""Runs of grids by what was asked for: family, size, and how much of the text is different.

A part of a text is a text of its own in the ledger, scored on the shards of the whole one: what
compares runs by their text so never takes a run on five stories for one on all of them. The two
belong together by the part's hash, which follows from the whole one's and the part's length.
"""

import hashlib
from collections.abc import Mapping

from agent.ledger.queries import Queries
from agent.ledger.records import Corpus, GridCell, Run

ORDER = 1  # of the shuffle whose beginnings parts are: engine/training/unique.py


def grid_cells(ledger: Queries, run_id: int | None = None) -> dict[int, GridCell]:
    """What grids asked for, by run; of runs that an earlier version queued nothing is known."""
    if not ledger.rows("SELECT 1 FROM sqlite_master WHERE name = 'grid_cells'"):
        return {}  # of an earlier version, and opened to look
    rows = ledger.rows(
        "SELECT run_id, family, size, unique_tokens, unique_asked, purpose, rate FROM grid_cells "
        "WHERE run_id = COALESCE(?, run_id)", run_id)
    return {row.pop("run_id"): GridCell(**row) for row in rows}


def part_sha256(text_sha256: str, n_tokens: int) -> str:
    """The hash that stands for the first tokens of a text's fixed shuffle."""
    return hashlib.sha256(f"{text_sha256} {n_tokens} of order {ORDER}".encode()).hexdigest()


def unique_tokens(ledger: Queries, run: Run) -> int | None:
    """How many different tokens a run may see; None for all of its text."""
    cell = grid_cells(ledger, run.id).get(run.id)
    return cell.unique_tokens if cell else None


def is_on_text(ledger: Queries, run: Run, text_sha256: str) -> bool:
    """Whether a run is to be computed on a text, or on a part of it."""
    corpus = next((one for one in ledger.corpora() if one.id == run.corpus_id), None)
    return corpus is not None and is_part_or_whole(
        corpus, text_sha256, grid_cells(ledger, run.id).get(run.id))


def is_part_or_whole(corpus: Corpus, text_sha256: str, cell: GridCell | None) -> bool:
    """Whether the text of a run, with what its grid asked for, is this one or a part of it."""
    if corpus.text_sha256 == text_sha256:
        return True
    n = cell.unique_tokens if cell else None
    return n is not None and part_sha256(text_sha256, n) == corpus.text_sha256


def is_of_law(cell: GridCell | None) -> bool:
    """Whether a grid's run is a point of the law, alone or on a trunk, and no check beside it."""
    return cell is None or cell.purpose in (None, "trunk")


def cells_with(cells: Mapping[int, GridCell], purpose: str) -> dict[int, GridCell]:
    """Those of one purpose."""
    return {run_id: cell for run_id, cell in cells.items() if cell.purpose == purpose}
