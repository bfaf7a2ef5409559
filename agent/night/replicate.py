"""The published log run again: each row's recipe on some seeds, one run after the other."""

import dataclasses
from collections.abc import Sequence

from agent.ledger import GridCell, NewRun, Queries, Run
from agent.night import launch
from agent.night.cores import settled
from agent.night.launch import Desk, on_last_text
from agent.night.needs import require_memory, require_right
from agent.night.parts import Part, parts_of, register_part
from agent.night.recover import recover
from agent.night.wish import Wish
from agent.search import Plan, study
from agent.trial import end_orphans, require_windows
from engine.config import Config
from engine.errors import UserError
from engine.text import TokenSet
from strategies.published import Recipe, recipes

WITHOUT_RESULT = ("killed", "failed", "lost")


def recipes_of(ledger: Queries, base: Config) -> list[Recipe]:
    """The recipes of the published rows. UserError where the ledger has none."""
    rows = [run for run in ledger.runs() if run.source == "published" and run.strategy is None]
    if not rows:
        raise UserError(f"{ledger.path} has no published rows to run again; `agent import "
                        "published.csv` adds them")
    return recipes([(run.label, run.config, run.steps, run.config_text) for run in rows], base)


def run_again(at: Desk, wish: Wish, n_seeds: int) -> int:
    """Run what is missing of each recipe's seeds; how many are left where it was stopped."""
    base = Config().assign(wish.settings)
    found = recipes_of(at.ledger, base)
    for recipe in found:
        require_memory(recipe.config, wish)
    wish = on_last_text(at, settled(at, wish))
    tokens = at.tokens(wish.source)(base.vocab_size)
    require_windows(tokens, base)
    require_right(at.prove, base, wish)
    waiting = queue_missing(at, wish, tokens, found, n_seeds)
    at.observer.say(f"{len(waiting)} runs of {len(found)} recipes to go")
    for i, run in enumerate(waiting):
        night = at.night(Plan(wish.max_ram_mb, wish.n_replicas, wish.seed, max_runs=1),
                         wish.source)
        if i == 0:
            recover(night, end_orphans)
        night.only = run.id
        launch._tick_through(at, night)
        if at.ledger.run(run.id).state == "queued":
            return len(waiting) - i
    return 0


def queue_missing(at: Desk, wish: Wish, tokens: TokenSet, found: Sequence[Recipe],
                  n_seeds: int) -> list[Run]:
    """Runs to execute, the cheapest recipe first: those queued now, and those left from before."""
    now = at.clock.stamp()
    parts = {recipe.name: parts_of([f"{recipe.n_stories}s" if recipe.n_stories else "all"],
                                   tokens)[0] for recipe in found}
    waiting = []
    for recipe in sorted(found, key=lambda one: one.config.flops_per_token * one.budget_tokens):
        part = parts[recipe.name]
        corpus_id = register_part(at.ledger, tokens, part, now)
        for seed in range(wish.seed, wish.seed + n_seeds):
            known = _known(at.ledger, recipe, seed, corpus_id)
            if known is None:
                known = at.ledger.queue(_new_run(at, wish, recipe, seed, part, corpus_id))
            if known.state in ("queued", "running"):
                waiting.append(known)
    return waiting


def _known(ledger: Queries, recipe: Recipe, seed: int, corpus_id: int) -> Run | None:
    """The run that is this already, whoever asked for it."""
    return next((run for run in ledger.runs() if run.config_hash == recipe.config.hash
                 and run.seed == seed and run.budget_tokens == recipe.budget_tokens
                 and run.corpus_id == corpus_id and run.source == "measured"
                 and run.state not in WITHOUT_RESULT), None)


def _new_run(at: Desk, wish: Wish, recipe: Recipe, seed: int, part: Part,
             corpus_id: int) -> NewRun:
    new = study.new_run(
        at.ledger, recipe.config, seed, recipe.budget_tokens, corpus_id, at.clock.stamp(),
        study.Origin("grid", f"the recipe of {recipe.name} again: {recipe.told}"),
        wish.n_replicas)
    return dataclasses.replace(new, cell=GridCell(
        family="balanced", size=recipe.name, unique_tokens=part.n_tokens,
        unique_asked=part.asked, purpose="replicate"))
