"""A size × data grid: planned, timed by what is known, and queued unless it was only asked about.

`foresee_grid` writes nothing: no home, no ledger, no text. `queue_grid` is `agent grid`, which
prepares the text and holds the home's lock.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent import words
from agent.home import Home
from agent.ledger import Queries, Run, glance
from agent.night.choice import held_of, with_last_text
from agent.night.launch import MEASURING, Desk, on_last_text, tell_measuring
from agent.night.wish import Wish
from agent.search import MAX_PARAMS, foresight, study
from agent.trial import Progress, require_windows, spawn_worker
from engine.config import Config
from engine.text import TokenSet, splits
from strategies import grid
from strategies.base import Limits, shown_size
from strategies.families import NEAR_SIZE

GRID = "grid"  # kind of the event that notes a grid and the time of its cells
# States of runs that a grid does not ask for again; of others the next attempt may end better.
TOLD = ("queued", "running", "finished", "pruned", "diverged")


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

    @property
    def total_s(self) -> float:
        return sum(self.run_s)

    def cells(self) -> dict[tuple[str, int], str]:
        """What to say of every cell: the time it will take, or the state of the run that it is."""
        timed = {(cell.size, cell.budget_tokens): words.duration(run_s)
                 for cell, run_s in zip(self.plan.cells, self.run_s, strict=True)}
        return {(one.size, one.budget_tokens): SAID.get(one.state or "", "left out")
                for one in self.plan.skipped} | timed

    def shapes(self) -> list[list[str]]:
        """What each size is, in words: its name, shape, heads, parameters and memory."""
        return [[size, f"{config.n_embd}d/{config.n_layer}L", _heads(config),
                 shown_size(config.n_params), f"{config.predicted_mb(self.n_replicas):,.0f} MB"]
                for size, config in self.configs.items()]

    def as_dict(self) -> dict[str, Any]:
        plan = dataclasses.asdict(self.plan)
        for cell, run_s, one in zip(plan["cells"], self.run_s, self.plan.cells, strict=True):
            cell |= {"run_s": run_s, "n_params": one.config.n_params,
                     "predicted_mb": one.config.predicted_mb(self.n_replicas)}
        return plan | {"total_s": self.total_s, "is_text_known": self.is_text_known}


def _heads(config: Config) -> str:
    heads = f"{config.n_head} head{'s' if config.n_head > 1 else ''}"
    if config.mixer == "rwkv":
        return f"{heads} of rwkv"
    return heads if config.kv_heads == config.n_head else f"{heads}, {config.kv_heads} of keys"


SAID = {"finished": "done", **{state: state for state in TOLD if state != "finished"}}


def foresee_grid(home: Home, wish: Wish, sizes: Sequence[str], tokens: Sequence[str],
                 progress: Progress) -> Forecast:
    """The grid as it would be queued, by what lies in the home; nothing is written."""
    base = Config().assign(wish.settings)
    if not home.ledger.exists():
        found = wish.source.find(base.vocab_size)
        return _forecast(None, base, wish, sizes, tokens, found, progress)
    with glance(home.ledger) as ledger:
        wish, _ = with_last_text(ledger, wish)
        found = wish.source.find(base.vocab_size)
        return _forecast(ledger, base, wish, sizes, tokens, found, progress)


def queue_grid(at: Desk, wish: Wish, sizes: Sequence[str], tokens: Sequence[str]) -> Forecast:
    """Plan a grid and queue its cells; `agent run` executes them."""
    base = Config().assign(wish.settings)
    _plan(None, base, wish, sizes, tokens, None)  # what cannot be read, before a text is made
    wish = on_last_text(at, wish)
    found, now = at.tokens(wish.source)(base.vocab_size), at.clock.stamp()
    corpus_id = study.register_corpus(at.ledger, found, now)
    require_windows(found, base)
    forecast = _forecast(at.ledger, base, wish, sizes, tokens, found, at.progress)
    if not forecast.plan.cells:
        return forecast
    with at.ledger.deciding():  # a grid of which a part is missing would tell nothing of it
        grid_id = at.ledger.add_grid(list(sizes), forecast.tokens, wish.seed, None, now)
        run_s = {}
        for cell, seconds in zip(forecast.plan.cells, forecast.run_s, strict=True):
            run = at.ledger.queue(study.new_run(
                at.ledger, cell.config, wish.seed, cell.budget_tokens, corpus_id, now,
                study.Origin("grid", cell.reason, grid_id=grid_id), wish.n_replicas))
            run_s[run.label] = seconds
        at.ledger.event(GRID, f"{len(run_s)} cells queued, about "
                        f"{words.duration(forecast.total_s)}", now,
                        data={"grid_id": grid_id, "run_s": run_s})
    return forecast


def _forecast(ledger: Queries | None, base: Config, wish: Wish, sizes: Sequence[str],
              tokens: Sequence[str], found: TokenSet | None, progress: Progress) -> Forecast:
    runs = _runs_of(ledger, found, wish.seed) if ledger and found else []
    plan = _plan(runs, base, wish, sizes, tokens, found)
    run_s: list[float] = []
    if plan.cells:
        speed = foresight.known(ledger, wish.n_replicas) if ledger else None
        if speed is None:
            speed = foresight.measured(base, wish.n_replicas, spawn_worker,
                                       lambda seconds: tell_measuring(progress, seconds))
            progress(MEASURING, 1, 1)
        n_valid = found.n_tokens["search"] if found else splits.SEARCH_TOKENS
        run_s = [speed.run_s(cell.config, cell.budget_tokens, wish.n_replicas, n_valid)
                 for cell in plan.cells]
    newest = {(run.config_hash, run.budget_tokens): run for run in runs}
    ended = [(cell, newest.get((cell.config.hash, cell.budget_tokens))) for cell in plan.cells]
    again = [f"{run.label} was this cell and is {run.state}: {run.error or 'no reason was told'}"
             for _, run in ended if run]
    budgets = sorted({grid.parse_tokens(text) for text in tokens})
    return Forecast(plan, list(dict.fromkeys(sizes)), budgets, run_s, again, found is not None,
                    {size: grid.sized(size, base) for size in sizes}, wish.n_replicas)


def _plan(runs: Sequence[Run] | None, base: Config, wish: Wish, sizes: Sequence[str],
          tokens: Sequence[str], found: TokenSet | None) -> grid.Plan:
    text_mb = 2e-6 * (found.n_tokens["train"] + found.n_tokens["search"]) if found else 0.0
    limits = Limits(n_replicas=wish.n_replicas, max_params=round((1 + NEAR_SIZE) * MAX_PARAMS),
                    max_mb=wish.max_ram_mb - text_mb, max_vocab=base.vocab_size,
                    min_steps=study.MIN_STEPS)
    told = [run for run in runs or () if run.state in TOLD]
    known = {(held_of(base, Config.from_dict(run.config), wish).hash, run.budget_tokens or 0):
             run.state for run in told}  # in whatever order of the text: no night for that alone
    return grid.plan(sizes, tokens, base, limits, known)


def _runs_of(ledger: Queries, found: TokenSet, seed: int) -> list[Run]:
    """Measured runs of a text in this vocabulary and of a seed."""
    ids = {one.id for one in ledger.corpora() if one.text_sha256 == found.corpus.sha256
           and one.vocab_size == found.vocab_size
           and one.tokenizer_sha256 == found.tokenizer_sha256}
    return [run for run in ledger.runs() if run.corpus_id in ids and run.seed == seed
            and run.source == "measured"]
