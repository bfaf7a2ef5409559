"""A size × data grid as a table: sizes downward, tokens to the right, a word or number a cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent import words
from agent.ledger import GridCell as Asked
from agent.ledger import Queries, Run, grid_cells

GAP = "  "
MISSING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """A cell that was queued once, by its newest run."""

    size: str
    tokens: int
    label: str
    state: str
    val_bpb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """The newest grid, as long as a cell of it waits or runs."""

    cells: list[GridCell]
    n_ended: int
    n_left: int  # queued or running
    left_s: float | None  # as was foreseen for these; None where nothing was


def lines(sizes: Sequence[str], tokens: Sequence[int], cells: Mapping[tuple[str, int], str],
          width: int) -> list[str]:
    """The table, no line longer than width: columns that do not fit stand in a block below."""
    names = ["size", *sizes]
    blocks: list[list[str]] = []
    left = list(tokens)
    name_width = max(map(len, names))
    while left:
        columns = [[_tokens(n), *(cells.get((size, n), MISSING) for size in sizes)] for n in left]
        widths = [max(map(len, column)) for column in columns]
        n_fit = 1
        while n_fit < len(left) and (
                name_width + sum(len(GAP) + one for one in widths[:n_fit + 1]) <= width):
            n_fit += 1
        blocks.append([GAP.join([name.ljust(name_width), *(
            column[row].rjust(one) for column, one in zip(
                columns[:n_fit], widths[:n_fit], strict=True))]) for row, name in enumerate(names)])
        left = left[n_fit:]
    return [line for i, block in enumerate(blocks) for line in ([""] if i else []) + block]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words, each column as wide as its longest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [GAP.join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
            for row in rows]


def _tokens(n: int) -> str:
    """400k, 1.6M, or the whole number where these would not be exact."""
    for unit, sign in ((10**6, "M"), (10**3, "k")):
        if n >= unit and n % (unit // 100) == 0:
            return f"{n / unit:g}{sign}"
    return f"{n:,}"


def state_of(ledger: Queries) -> GridState | None:
    """The newest grid with what has become of its cells; None where none of it is left to run."""
    newest = ledger.waiting_grid()
    left = [run for run in newest if run.state in ("queued", "running")]
    if not left:
        return None
    foreseen: dict[str, float] = next(
        (event.data.get("run_s", {}) for event in ledger.events_of("grid")
         if event.data and event.data.get("grid_id") == newest[0].grid_id), {})
    known = [foreseen[run.label] * (1 - (run.tokens or 0) / (run.budget_tokens or 1))
             for run in left if run.label in foreseen]
    asked = grid_cells(ledger)
    return GridState(
        cells=[GridCell(size=_row_of(run, asked.get(run.id)), tokens=run.budget_tokens or 0,
                        label=run.label, state=run.state, val_bpb=run.val_bpb) for run in newest],
        n_ended=len(newest) - len(left), n_left=len(left),
        left_s=sum(known) if len(known) == len(left) else None)


def size_of(run: Run) -> str:
    return f"{run.config.get('n_embd')}d/{run.config.get('n_layer')}L"


def _row_of(run: Run, asked: Asked | None) -> str:
    """A run's row: its shape, and the part of the text where it is trained on one."""
    part = asked.unique_asked if asked else None
    return size_of(run) if part is None else f"{size_of(run)}, {part}"


def page(found: GridState, width: int) -> list[str]:
    """The grid's table under a line that sums it up: a score is in bits per byte."""
    cells = {(one.size, one.tokens): said(one) for one in found.cells}
    sizes = list(dict.fromkeys(one.size for one in found.cells))
    time = "" if found.left_s is None else f", about {words.duration(found.left_s)}"
    return [words.cut(f"grid: {found.n_ended} of {len(found.cells)} cells ended, {found.n_left} "
                      f"to go{time}; bits/byte", width),
            *lines(sorted(sizes, key=_by_size), sorted({one.tokens for one in found.cells}), cells,
                   width)]


def said(cell: GridCell) -> str:
    """A finished cell's score; of any other what it is."""
    if cell.state == "finished" and cell.val_bpb is not None:
        return f"{cell.val_bpb:.3f}"
    return cell.state


def _by_size(size: str) -> tuple[str, int, int]:
    shape, _, part = size.partition(", ")
    embd, _, layers = shape.partition("d/")
    return (part, int(embd) ** 2 * int(layers[:-1]), int(embd))
