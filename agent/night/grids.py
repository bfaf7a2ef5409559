"""A size × data grid: planned, timed by what is known, and queued unless it was only asked about.

`foresee_grid` writes nothing: no home, no ledger, no text. `queue_grid` is `agent grid`, which
prepares the text and holds the home's lock.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent import words
from agent.home import Home
from agent.ledger import GridCell, Queries, Run, glance
from agent.night import crossing
from agent.night.choice import held_of, with_last_text
from agent.night.cores import settled
from agent.night.crossing import Crossing
from agent.night.launch import Desk, on_last_text
from agent.night.measuring import MEASURING, tell_measuring
from agent.night.parts import Part, parts_of, register_part, wholes_of
from agent.night.wish import Wish
from agent.search import MAX_PARAMS, footprint, foresight, study
from agent.trial import Progress, require_windows, spawn_worker
from engine.config import Config
from engine.text import TokenSet, splits
from strategies import grid
from strategies.base import Limits, shown_size
from strategies.families import NEAR_SIZE
from strategies.trunk import branch_step

PLAIN = Crossing()  # every size at every amount of tokens, once
GRID = "grid"  # kind of the event that notes a grid and the time of its cells
# States of runs that a grid does not ask for again; of others the next attempt may end better.
TOLD = ("queued", "running", "finished", "pruned", "diverged")


@dataclass(frozen=True, slots=True)
class Asked:
    """A grid as somebody asked for it."""

    base: Config
    wish: Wish
    sizes: Sequence[str]
    tokens: Sequence[str]
    crossed: Crossing


@dataclass(frozen=True, slots=True)
class Forecast:
    """A grid before it runs."""

    plan: grid.Plan
    sizes: list[str]
    tokens: list[int]
    run_s: list[float]  # of the plan's cells here, in their order
    again: list[str]  # cells that ended before they had a score, in words
    is_text_known: bool  # whether its length was known, on which scoring and repeats depend
    configs: dict[str, Config]  # by size as asked for
    n_replicas: int
    parts: list[Part]  # of the text
    text: str  # its name
    beside_mb: float = 0.0  # that a run takes with its text, beside its arrays
    alone_s: float | None = None  # in all, where no run went on from another; None: none does
    wholes: tuple[str, ...] = ()  # parts that were asked for and are all of the text
    shuffle_mb: float = 0.0  # that a run takes to shuffle the stories of all of the text

    @property
    def total_s(self) -> float:
        return sum(self.run_s)

    @property
    def rows(self) -> list[str]:
        """Names of the rows of its table."""
        return crossing.rows(self.sizes, self.parts)

    def cells(self) -> dict[tuple[str, int], str]:
        """What to say of every cell: the time it will take, or the state of the run that it is.

        Of several seeds and rates what is left to run.
        """
        found = {_place(one): SAID.get(one.state or "", "left out")
                 for one in reversed(self.plan.skipped)}  # of more seeds, the first one's
        timed: dict[tuple[str, int], list[float]] = {}
        for cell, run_s in zip(self.plan.cells, self.run_s, strict=True):
            timed.setdefault(_place(cell), []).append(run_s)
        return found | {place: words.duration(every[0]) if len(every) == 1 else
                        f"{len(every)} × {words.duration(max(every))}"
                        for place, every in timed.items()}

    def shapes(self) -> list[list[str]]:
        """What each size is, in words: its name, shape, heads, parameters and memory."""
        return [[size, f"{config.n_embd}d/{config.n_layer}L", _heads(config),
                 shown_size(config.n_params), f"{self._mb(config):,.0f} MB"]
                for size, config in self.configs.items()]

    def _mb(self, config: Config) -> float:
        """As a queued run of it will have it."""
        return config.predicted_mb(self.n_replicas) + self.beside_mb + (
            self.shuffle_mb if config.shuffle_stories else 0.0)

    def as_dict(self) -> dict[str, Any]:
        plan = dataclasses.asdict(self.plan)
        for cell, run_s, one in zip(plan["cells"], self.run_s, self.plan.cells, strict=True):
            cell |= {"run_s": run_s, "n_params": one.config.n_params,
                     "predicted_mb": self._mb(one.config)}
        return plan | {"total_s": self.total_s, "is_text_known": self.is_text_known,
                       "text": self.text, "alone_s": self.alone_s}


def _place(one: grid.Cell | grid.Skipped) -> tuple[str, int]:
    return crossing.row_of(one.size, one.unique), one.budget_tokens


def _heads(config: Config) -> str:
    heads = f"{config.n_head} head{'s' if config.n_head > 1 else ''}"
    if config.mixer == "rwkv":
        return f"{heads} of rwkv"
    return heads if config.kv_heads == config.n_head else f"{heads}, {config.kv_heads} of keys"


SAID = {"finished": "done", **{state: state for state in TOLD if state != "finished"}}


def foresee_grid(home: Home, wish: Wish, sizes: Sequence[str], tokens: Sequence[str],
                 progress: Progress, crossed: Crossing = PLAIN) -> Forecast:
    """The grid as it would be queued, by what lies in the home; nothing is written."""
    base = Config().assign(wish.settings)
    asked = Asked(base, wish, sizes, tokens, crossed)
    if not home.ledger.exists():
        return _forecast(None, asked, wish.source.find(base.vocab_size), progress)
    with glance(home.ledger) as ledger:
        asked = dataclasses.replace(asked, wish=with_last_text(ledger, wish)[0])
        return _forecast(ledger, asked, asked.wish.source.find(base.vocab_size), progress)


def queue_grid(at: Desk, wish: Wish, sizes: Sequence[str], tokens: Sequence[str],
               crossed: Crossing = PLAIN) -> Forecast:
    """Plan a grid and queue its cells; `agent run` executes them."""
    base = Config().assign(wish.settings)
    asked = Asked(base, wish, sizes, tokens, crossed)
    _plan({}, asked, None)  # what cannot be read, before a text is made
    asked = dataclasses.replace(asked, wish=on_last_text(at, settled(at, wish)))
    found, now = at.tokens(asked.wish.source)(base.vocab_size), at.clock.stamp()
    study.register_corpus(at.ledger, found, now)
    require_windows(found, base)
    forecast = _forecast(at.ledger, asked, found, at.progress)
    if forecast.plan.cells:
        with at.ledger.deciding():  # a grid of which a part is missing would tell nothing of it
            _queue(at, asked, forecast, found, now)
    return forecast


def _queue(at: Desk, asked: Asked, forecast: Forecast, found: TokenSet, now: str) -> None:
    wish = asked.wish
    grid_id = at.ledger.add_grid(list(asked.sizes), forecast.tokens, wish.seed, None, now)
    ids = {part.asked: (register_part(at.ledger, found, part, now), part)
           for part in forecast.parts}
    run_s = {}
    for cell, seconds in zip(forecast.plan.cells, forecast.run_s, strict=True):
        corpus_id, part = ids[cell.unique]
        new = study.new_run(
            at.ledger, cell.config, wish.seed if cell.seed is None else cell.seed,
            cell.budget_tokens, corpus_id, now,
            study.Origin("grid", cell.reason, grid_id=grid_id), wish.n_replicas)
        whole_mb = footprint.tokens_mb(found.n_tokens["train"]) if part.asked else 0.0  # read, too
        run = at.ledger.queue(dataclasses.replace(
            new, cell=_cell_row(asked, cell, part),
            predicted_mb=(new.predicted_mb or 0.0) + whole_mb))
        run_s[run.label] = seconds
    at.ledger.event(GRID, f"{len(run_s)} cell{'s' * (len(run_s) != 1)} queued, about "
                    f"{words.duration(forecast.total_s)}", now,
                    data={"grid_id": grid_id, "run_s": run_s})


def _cell_row(asked: Asked, cell: grid.Cell, part: Part) -> GridCell:
    return GridCell(
        family=crossing.family_of(cell.size, asked.base), size=cell.size,
        unique_tokens=part.n_tokens, unique_asked=part.asked,
        purpose="rate" if cell.rate is not None else "trunk" if asked.crossed.is_trunk else None,
        rate=cell.rate)


def _forecast(ledger: Queries | None, asked: Asked, found: TokenSet | None,
              progress: Progress) -> Forecast:
    base, n_replicas = asked.base, asked.wish.n_replicas
    runs = _runs_of(ledger, found) if ledger and found else {}
    beside_mb = (footprint.own_mb(ledger) if ledger else 0.0) + _text_mb(found)
    plan = _plan(runs, asked, found, beside_mb)
    run_s: list[float] = []
    alone_s: float | None = None
    if plan.cells:
        speed = foresight.known(ledger, n_replicas) if ledger else None
        if speed is None:
            speed = foresight.measured(base, n_replicas, spawn_worker,
                                       lambda seconds: tell_measuring(progress, seconds))
            progress(MEASURING, 1, 1)
        n_valid = found.n_tokens["search"] if found else splits.SEARCH_TOKENS
        run_s = [speed.run_s(cell.config, cell.budget_tokens, n_replicas, n_valid)
                 for cell in plan.cells]
        if asked.crossed.is_trunk:
            alone_s = sum(run_s)
            run_s = [seconds * (1 - share) for seconds, share in zip(
                run_s, _shared(plan.cells), strict=True)]
    parts = parts_of(asked.crossed.uniques, found)
    budgets = sorted({grid.parse_tokens(text) for text in asked.tokens})
    return Forecast(plan, list(dict.fromkeys(asked.sizes)), budgets, run_s,
                    _again(plan, runs, parts, asked.wish.seed), found is not None,
                    {size: grid.sized(size, base) for size in asked.sizes}, n_replicas, parts,
                    found.corpus.name if found else asked.wish.source.what, beside_mb, alone_s,
                    wholes_of(asked.crossed.uniques, found), _shuffle_mb(found, n_replicas))


def _shared(cells: Sequence[grid.Cell]) -> Iterator[float]:
    """What part of each cell a shorter one has trained already, cheapest first."""
    branches: dict[tuple[object, ...], int] = {}
    for cell in cells:
        row = cell.size, cell.unique, cell.seed
        if cell.rate is not None:
            yield 0.0
            continue
        yield branches.get(row, 0) / cell.config.steps_for(cell.budget_tokens)
        branches[row] = branch_step(cell.config, cell.budget_tokens)


def _again(plan: grid.Plan, runs: Mapping[str, Sequence[Run]], parts: Sequence[Part],
           seed: int) -> list[str]:
    """Cells that ended before they had a score, in words."""
    texts = {part.asked: part.text_sha256 for part in parts}
    newest = {(text, run.seed, run.config_hash, run.budget_tokens): run
              for text, its in runs.items() for run in its}
    ended = (newest.get((texts[cell.unique] or "", seed if cell.seed is None else cell.seed,
                         cell.config.hash, cell.budget_tokens)) for cell in plan.cells)
    return [f"{run.label} was this cell and is {run.state}: {run.error or 'no reason was told'}"
            for run in ended if run]


def _text_mb(found: TokenSet | None) -> float:
    return footprint.tokens_mb(found.n_tokens["train"] + found.n_tokens["search"]) if found else 0.0


def _shuffle_mb(found: TokenSet | None, n_replicas: int) -> float:
    return footprint.shuffle_mb(
        found.corpus.splits["train"].n_stories if found else None, n_replicas)


def _plan(runs: Mapping[str, Sequence[Run]], asked: Asked, found: TokenSet | None,
          beside_mb: float = 0.0) -> grid.Plan:
    base, wish = asked.base, asked.wish
    limits = Limits(n_replicas=wish.n_replicas, max_params=round((1 + NEAR_SIZE) * MAX_PARAMS),
                    max_mb=wish.max_ram_mb - beside_mb, max_vocab=base.vocab_size,
                    shuffle_mb=_shuffle_mb(found, wish.n_replicas), min_steps=study.MIN_STEPS)
    # In whatever order of the text: no night for that alone.
    known: dict[crossing.Key, str] = {
        (text, run.seed or 0, held_of(base, Config.from_dict(run.config), wish).hash,
         run.budget_tokens or 0): run.state
        for text, its in runs.items() for run in its if run.state in TOLD}
    return crossing.plan(crossing.Table(sizes=asked.sizes, tokens=asked.tokens, base=base,
                                        limits=limits, seed=wish.seed, known=known),
                         asked.crossed, found)


def _runs_of(ledger: Queries, found: TokenSet) -> dict[str, list[Run]]:
    """Measured runs on a text in this vocabulary and on parts of it, by the hash of these."""
    texts = {one.id: one.text_sha256 for one in ledger.corpora()
             if one.vocab_size == found.vocab_size
             and one.tokenizer_sha256 == found.tokenizer_sha256}
    runs: dict[str, list[Run]] = {}
    for run in ledger.runs():
        if run.source == "measured" and run.corpus_id in texts:
            runs.setdefault(texts[run.corpus_id], []).append(run)
    return runs
