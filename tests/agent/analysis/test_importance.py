"""Which fields mattered: on tables where that is known, and beside Optuna's evaluator."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.analysis.importance import QUANTILE, _density, best_of, ped_anova, rank, trials
from agent.ledger.ledger import Ledger
from engine.config import Config
from engine.errors import LedgerError
from tests.agent.analysis.test_compare import ended
from tests.support import example_ledger as example
from tests.support.example_ledger import BUDGET, NOW

Table = tuple[list[dict[str, Any]], list[float]]


def a_table(n: int, seed: int = 0) -> Table:
    """Runs whose loss hangs mostly on lr, then on layers, little on tied, not at all on clip."""
    rng = np.random.default_rng(seed)
    rows = [{"lr": float(10 ** rng.uniform(-4, -1)), "n_layer": int(rng.integers(1, 9)),
             "tied": bool(rng.integers(2)), "clip": float(rng.uniform(0.5, 1.5)),
             "optimizer": ("adamw", "lion", "schedule_free")[int(rng.integers(3))]}
            for _ in range(n)]
    losses = [3 * (math.log10(row["lr"]) + 2.5) ** 2 + 0.1 * abs(row["n_layer"] - 6)
              + 0.03 * row["tied"] + 0.15 * (row["optimizer"] == "lion") for row in rows]
    return rows, losses


def test_the_field_that_decides_comes_first_and_the_idle_one_last() -> None:
    shares = ped_anova(*a_table(200), QUANTILE)
    assert max(shares, key=shares.__getitem__) == "lr"
    assert shares["lr"] > 0.5
    assert shares["clip"] < 0.1
    assert sum(shares.values()) == pytest.approx(1)


def test_fields_that_do_not_vary_or_are_not_always_there_are_left_out() -> None:
    rows = [{"lr": float(i + 1), "clip": 1.0, "decay_frac": None if i else 0.2}
            for i in range(12)]
    assert ped_anova(rows, [float(i) for i in range(12)], QUANTILE) == {"lr": 1.0}


def test_where_all_are_best_nothing_matters() -> None:
    rows, _ = a_table(12)
    assert set(ped_anova(rows, [1.0] * 12, QUANTILE).values()) == {0.0}


def test_only_the_order_of_the_scores_counts() -> None:
    rows, losses = a_table(40)
    assert ped_anova(rows, [math.exp(loss) for loss in losses], QUANTILE) == ped_anova(
        rows, losses, QUANTILE)


def test_the_best_are_a_quarter_rounded_up_with_ties() -> None:
    assert best_of([5.0, 1.0, 3.0, 2.0, 4.0], 0.25) == [1, 3]
    assert best_of([2.0, 1.0, 1.0, 3.0], 0.25) == [1, 2]
    assert best_of([2.0, 1.0], 0.01) == [1]


@pytest.mark.parametrize("is_ordered", [True, False])
def test_a_density_sums_to_one_and_stands_where_the_trials_are(is_ordered: bool) -> None:
    density = _density(np.array([2, 2, 2, 3]), 10, is_ordered)
    assert density.sum() == pytest.approx(1)
    assert density.argmax() == 2
    assert density.min() > 0


def test_the_divergence_of_categories_is_the_one_worked_out_by_hand() -> None:
    # Three of four best are lion, four of eight in all; one prior trial, half of it in each.
    rows = [{"optimizer": name, "tied": is_tied} for name, is_tied in zip(
        ["lion"] * 3 + ["adamw"] * 4 + ["lion"], [True, False] * 4, strict=True)]
    shares = ped_anova(rows, [1, 1, 1, 1, 2, 2, 2, 2], 0.5)
    top, every = 3.5 / 5, 0.5
    lion = every * (top / every - 1) ** 2 + every * ((1 - top) / every - 1) ** 2
    assert lion > 0
    assert shares == {"optimizer": pytest.approx(1), "tied": pytest.approx(0, abs=1e-9)}


def test_a_category_that_matters_passes_an_idle_number_in_most_small_tables() -> None:
    # Optuna smears every category by a fixed amount and gets this right in 37 % of them.
    tables = [ped_anova(*a_table(100, seed), QUANTILE) for seed in range(60)]
    assert sum(shares["optimizer"] > shares["clip"] for shares in tables) >= 39


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(5))
def test_optuna_weighs_and_ranks_numeric_fields_alike(seed: int) -> None:
    optuna = pytest.importorskip("optuna", reason="optuna is not installed; it is the referee")
    names = ("lr", "n_layer", "clip")
    rows, losses = a_table(400, seed)
    rows = [{name: row[name] for name in names} for row in rows]
    spaces = optuna.distributions
    space = {"lr": spaces.FloatDistribution(1e-4, 1e-1, log=True),
             "n_layer": spaces.IntDistribution(1, 8), "clip": spaces.FloatDistribution(0.5, 1.5)}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    study.add_trials([optuna.trial.create_trial(params=row, distributions=space, value=loss)
                      for row, loss in zip(rows, losses, strict=True)])
    theirs = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(target_quantile=QUANTILE))
    ours = ped_anova(rows, losses, QUANTILE)
    assert sorted(names, key=ours.__getitem__) == sorted(names, key=theirs.__getitem__)
    assert ours == {name: pytest.approx(theirs[name], abs=0.02) for name in names}


# --- from the ledger -------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        example.add_study(opened)
        yield opened


def test_seeds_of_a_configuration_count_once_by_their_mean(ledger: Ledger) -> None:
    for seed, bpb in enumerate((1.0, 2.0)):
        ended(ledger, Config(), seed, bpb)
    broken = example.queue(ledger, Config(lr=0.1))
    ledger.finish(broken.id, "diverged", NOW)
    for state, lr in (("killed", 0.2), ("failed", 0.3)):
        ledger.finish(example.queue(ledger, Config(lr=lr)).id, state, NOW)  # type: ignore[arg-type]
    example.queue(ledger, Config(lr=0.4))
    assert trials(ledger.runs_on("aa", BUDGET)) == ([Config(), Config(lr=0.1)], [1.5, math.inf])


def test_the_ranking_names_the_fields_and_what_the_best_had(ledger: Ledger) -> None:
    for i in range(12):
        ended(ledger, Config(lr=1e-3 * (i + 1), clip=1.0 + i % 2, tied=i % 3 == 0), 0,
              2.0 + abs(i - 5) / 10)
    found = rank(ledger, "aa", BUDGET)
    assert (found.text, found.n_configs, found.n_best) == ("stories", 12, 3)
    assert [one.field for one in found.fields][0] == "lr"
    assert {one.field for one in found.fields} == {"lr", "clip", "tied"}
    assert (found.fields[0].title, found.fields[0].best, found.fields[0].n_moved) == (
        "learning rate", "5e-3 to 7e-3", 11)
    assert {one.best for one in found.fields if one.field == "tied"} == {"no, yes"}


def test_a_hidden_width_that_follows_the_model_is_no_field_of_its_own(ledger: Ledger) -> None:
    for i in range(10):
        ended(ledger, Config(n_embd=64 + 16 * i, n_head=1), 0, 2.0 + i / 10)
    assert [one.field for one in rank(ledger, "aa", BUDGET).fields] == ["n_embd"]
    ended(ledger, Config(n_embd=64, n_head=1, n_hidden=128), 0, 1.5)
    assert "hidden width / width" in {one.title for one in rank(ledger, "aa", BUDGET).fields}


def test_too_few_runs_are_one_sentence(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.0)
    with pytest.raises(LedgerError, match=(
            "importance takes at least 10 configurations that ended on one text and budget, and "
            "here are 1 with 2,048,000 tokens; `agent run` makes more")):
        rank(ledger, "aa", BUDGET)
