"""Which runs of a ledger a law is fitted to: finished cells of grids that differ in size, data and
seed alone.

    observed_of(ledger) → Ground(runs=[Observed, …], yardsticks={"bigram": 3.4, …}, …)

Scores compare where the shard, the vocabulary and the recipe are the same: of those the group with
the most runs is taken, or that of the text or study that was named.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.analysis.scaling.observed import Observed
from agent.ledger import (
    Corpus,
    GridCell,
    Queries,
    Run,
    grid_cells,
    is_of_law,
    study_of,
)
from engine.config import Config
from engine.errors import UserError

YARDSTICKS = ("uniform", "unigram", "bigram", "trigram")
# What makes a size or a family, goes by the width rule, or is the text's; all else is the recipe.
NO_RECIPE = ("n_embd", "n_layer", "n_head", "n_hidden", "n_kv_head", "mixer", "tied", "lr",
             "vocab_size", "data_order")
BALANCED = "balanced"
TO_RUN = ("queue them with `agent grid --params 20k,60k,200k,600k,2M --tokens "
          "50k,150k,500k,1.5M,4M` and let `agent run` compute them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The runs of a law, and what they have in common."""

    runs: list[Observed]
    text: str  # the corpus, by its name
    vocab_size: int
    n_stories: int | None  # of the whole training text
    n_tokens: int | None
    yardsticks: dict[str, float]  # nats per token on the search shard
    recipe: dict[str, Any]  # fields in which the runs are the same and not the default
    n_other_texts: int  # finished runs of grids that are left out: on another text,
    n_other_recipes: int  # by another recipe,
    n_checks: int  # or beside the law, as of other rates
    first_at: str | None  # when the first and the last of the runs ended
    last_at: str | None
    compute_s: float  # that the runs took together
    uniques: dict[int, str]  # different tokens as they were asked for, by how many they are
    corpora: frozenset[int]  # ids of the text and its parts


def observed_of(ledger: Queries, corpus: str | None = None, study: int | None = None) -> Ground:
    """The runs of one text, vocabulary and recipe. UserError where there are none.

    corpus  its name; None: that of the most runs
    study   its number: the text is that of the study
    """
    cells, corpora = grid_cells(ledger), {one.id: one for one in ledger.corpora()}
    done = [run for run in ledger.runs("finished") if run.strategy == "grid"
            and run.val_loss is not None and run.corpus_id in corpora]
    if not done:
        raise UserError(f"no cell of a grid has finished here, so there is no law yet; {TO_RUN}")
    texts = {run.id: _shard(corpora[run.corpus_id or 0]) for run in done}
    text = _chosen(ledger, corpora, Counter(texts.values()), corpus, study)
    of_text = [run for run in done if texts[run.id] == text]
    checks = [run for run in of_text if not is_of_law(cells.get(run.id))]
    points = [run for run in of_text if is_of_law(cells.get(run.id))]
    recipes = {run.id: recipe_of(run, cells.get(run.id)) for run in points}
    recipe = _most(Counter(recipes.values()))
    own = [run for run in points if recipes[run.id] == recipe]
    whole = max((one for one in corpora.values() if _shard(one) == text),
                key=lambda one: one.n_tokens_train or 0)
    ended = sorted(run.ended_at for run in own if run.ended_at)
    return Ground(
        runs=[observed_run(run, corpora[run.corpus_id or 0], cells.get(run.id)) for run in own],
        text=whole.name, vocab_size=whole.vocab_size, n_stories=whole.n_stories_train,
        n_tokens=whole.n_tokens_train, yardsticks=dict(_yardsticks(whole)),
        recipe=json.loads(recipe) if recipe else {}, n_other_texts=len(done) - len(of_text),
        n_other_recipes=len(points) - len(own), n_checks=len(checks),
        first_at=ended[0] if ended else None, last_at=ended[-1] if ended else None,
        compute_s=sum(run.duration_s or 0.0 for run in own),
        uniques={cell.unique_tokens: cell.unique_asked or f"{cell.unique_tokens:,}"
                 for run in own if (cell := cells.get(run.id)) and cell.unique_tokens},
        corpora=frozenset(one.id for one in corpora.values() if _shard(one) == text))


def observed_run(run: Run, corpus: Corpus, cell: GridCell | None) -> Observed:
    """A finished run with its parameters by each convention."""
    config, tokens = Config.from_dict(run.config), run.tokens or run.budget_tokens or 0
    matrices = config.matrix_weights
    return Observed(
        label=run.label, family=cell.family if cell else BALANCED,
        config_hash=run.config_hash or "", seed=run.seed or 0, n_matrices=matrices,
        n_with_head=matrices + config.vocab_size * config.n_embd, n_all=config.n_params,
        tokens=tokens, unique=min(tokens, corpus.n_tokens_train or tokens),
        loss=run.val_loss or 0.0)


def recipe_of(run: Run, cell: GridCell | None = None) -> str:
    """What a run's configuration has beside its shape that is not the default, as JSON.

    Of branches of a trunk the warm-up is the same in steps, and so no part that differs.
    """
    config, plain = Config.from_dict(run.config).to_dict(), Config().to_dict()
    left_out = {*NO_RECIPE, "warmup_frac"} if cell and cell.purpose == "trunk" else NO_RECIPE
    return json.dumps({name: value for name, value in config.items()
                       if name not in left_out and value != plain[name]}, sort_keys=True)


def _shard(corpus: Corpus) -> tuple[str, int, str]:
    """By what losses compare: parts of a text share it with the whole."""
    return corpus.search_sha256, corpus.vocab_size, corpus.tokenizer_sha256


def _most(counts: Counter[Any]) -> Any:
    """What there is most of; of as many, the smallest, so that it is always the same."""
    return min(counts, key=lambda one: (-counts[one], one)) if counts else None


def _chosen(ledger: Queries, corpora: Mapping[int, Corpus], counts: Counter[Any],
            corpus: str | None, study: int | None) -> Any:
    """The shard to go by, as _shard says it."""
    if study is not None:
        found = study_of(ledger, study)
        if (shard := _shard(corpora[found.corpus_id])) not in counts:
            raise UserError(f"no cell of a grid has finished on the text of study {study}; "
                            f"{TO_RUN}")
        return shard
    if corpus is None:
        return _most(counts)
    named = {_shard(one) for one in corpora.values() if one.name == corpus}
    own = Counter({shard: n for shard, n in counts.items() if shard in named})
    if not own:
        names = sorted({one.name for one in corpora.values()
                        if _shard(one) in counts and _is_whole(one, corpora)})
        raise UserError(f"no cell of a grid has finished on a text called '{corpus}'; there are "
                        f"some on {', '.join(names)}")
    return _most(own)


def _is_whole(corpus: Corpus, corpora: Mapping[int, Corpus]) -> bool:
    return (corpus.n_tokens_train or 0) >= max(
        one.n_tokens_train or 0 for one in corpora.values() if _shard(one) == _shard(corpus))


def _yardsticks(corpus: Corpus) -> Iterator[tuple[str, float]]:
    for name in YARDSTICKS:
        if (nats := getattr(corpus, f"{name}_nats")) is not None:
            yield name, nats
