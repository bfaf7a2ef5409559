"""What a new study starts from is chosen as it says, and the constants fit what made it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from agent.search import surrogate
from engine.config import Config
from strategies import features
from tests.bench.table import budgets, prior
from tests.bench.table.prior import Likelihood, Mean, chosen, document


def row(i: int, bpb: float, **fields: object) -> Mean:
    config = Config.from_dict({"lr": 1e-3 * 1.01**i} | fields)
    return Mean(("tinystories", 20_000), config, bpb, 1)


def test_the_best_are_kept_and_then_the_farthest() -> None:
    near = [row(i, 1.7 + i / 1000) for i in range(40)]
    far = row(0, 2.5, n_embd=512, n_head=8)
    hopeless = row(0, 7.0, n_embd=8, n_head=1)
    kept = chosen([*near, far, hopeless])
    assert kept[:15] == near[:15]
    assert kept[15] == far
    assert hopeless not in kept
    assert len(kept) == len({one.config.hash for one in kept})


def test_a_document_holds_what_differs_from_the_defaults() -> None:
    found = json.loads(document([row(1, 1.70004)]))
    assert found["rows"] == [{"text": "tinystories", "budget_tokens": 20_000, "bpb": 1.7, "n": 1,
                              "config": {"lr": pytest.approx(1.01e-3)}}]


def test_the_committed_document_is_one_of_this_program() -> None:
    found = json.loads(prior.PATH.read_text("utf-8"))
    assert found["version"] == prior.VERSION
    assert {(one["text"], one["budget_tokens"]) for one in found["rows"]} == {
        ("tinystories", 75_000), ("builtin", 75_000), ("tinystories", 20_000),
        ("tinystories", 225_000), ("tinystories", 500_000), ("tinystories-ideas", 75_000),
        ("tinystories-ideas", 500_000), ("tinystories-ideas", 2_000_000)}


def ideas_of(folder: Path) -> list[Mean]:
    """Two seeds of a default, one of Muon, one that diverged, one of an older file."""
    lines: list[dict[str, object]] = [
        {"tokens": 500_000, "hash": "a", "bpb": bpb, "config": {"data_order": "circular"}}
        for bpb in (1.5, 1.6)]
    muon = {"tokens": 500_000, "hash": "b", "config": {"optimizer": "muon", "lr": 6e-3}}
    lines += [muon | {"bpb": 1.4}, muon | {"bpb": None}, {"tokens": 9, "hash": "c", "bpb": 1.0}]
    path = folder / "gains.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return prior.of_ideas(*prior.of_text(f"novel={path}"))


def test_ideas_are_studies_of_their_own_with_the_mean_over_seeds(tmp_path: Path) -> None:
    plain, muon = ideas_of(tmp_path)
    assert (plain.study, plain.config, plain.bpb, plain.n) == (
        ("novel", 500_000), Config.from_dict({}), pytest.approx(1.55), 2)
    assert (muon.config.optimizer, muon.bpb, muon.n) == ("muon", 1.4, 1)
    with pytest.raises(ValueError, match="'novel' is not of the form TEXT=FILE"):
        prior.of_text("novel")


def test_ideas_move_only_the_lengths_that_no_row_of_the_table_tells(tmp_path: Path) -> None:
    pytest.importorskip("scipy", reason="the extra bench has it")
    rows = [row(i, 1.7 + (i % 7) / 100, weight_decay=0.1 * 1.1**i) for i in range(20)]
    found = prior.fitted(rows, ideas_of(tmp_path))
    stood = [round(float(value), 2) for value in surrogate.LENGTHS]
    moved = {features.NAMES[i] for i, length in enumerate(found["lengths"])
             if length != stood[i]}
    assert "muon" in moved
    assert not moved & {"learning rate", "weight decay"}


def test_the_gradient_of_the_likelihood_is_its_central_difference() -> None:
    rng = np.random.default_rng(0)
    asked = Likelihood(rng.normal(size=(12, 3)), rng.normal(size=12), np.arange(12) % 2)
    theta = np.array([0.3, 0.8, -0.2, math.log(0.5), math.log(0.05), 0.4])
    _, gradient = asked(theta)
    for i in range(theta.size):
        step = np.zeros_like(theta)
        step[i] = 1e-5
        wanted = (asked(theta + step)[0] - asked(theta - step)[0]) / 2e-5
        assert gradient[i] == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_another_budget_gets_configurations_scattered_about_what_suits_it() -> None:
    good = [Config(n_embd=96, n_layer=1, n_head=3, batch_size=4, seq_len=32)]
    found = list(budgets.plan(good))
    assert found == list(budgets.plan(good))
    width = {budget: np.median([config.n_embd for known, _, config in found if known == budget])
             for budget, *_ in budgets.BUDGETS}
    assert width[20_000] < 96 < width[225_000]
    assert all(config.steps_for(budget) >= budgets.MIN_STEPS for budget, _, config in found)


def test_only_finished_runs_of_other_budgets_count(tmp_path: Path) -> None:
    lines = [{"budget_tokens": 20_000, "slot": i, "config": {}, "state": state, "search": score}
             for i, (state, score) in enumerate((("finished", 2.0), ("diverged", None)))]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert budgets.read(tmp_path / "b.jsonl") == [
        budgets.Scored(20_000, Config.from_dict({}), 2.0)]
