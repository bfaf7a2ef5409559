"""The table of real runs: what is drawn, how a file is gone on with, and its packed form."""

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.config import LATER, Config
from engine.errors import UserError
from engine.text import corpus
from strategies.base import Limits, why_not
from tests.bench.table import packed, space
from tests.bench.table.make import Bench, rounds, run
from tests.bench.table.packed import Table, pack
from tests.bench.table.plan import NOISE_ROUNDS, ROUND, STARTS, Planner, Slot, texts_in_turn
from tests.bench.table.rows import Row, read_rows, read_texts

pytest.importorskip("scipy", reason="the table needs the extra bench: pip install '.[bench]'")
BUDGET = 2000
LIMITS = Limits(budget_tokens=75_000, min_steps=20, max_params=500_000)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    text = corpus.builtin(tmp_path_factory.mktemp("texts"), 100)
    return Bench.of(corpus.prepare_tokens(text, 300), BUDGET, 500, 1000)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """A first round as if it had been run: the wider, the better."""
    slots = Planner("stories", LIMITS, 0).round(0, [])
    return [Row("stories", slot.slot, slot.kind, seed, slot.config, "finished", 0.5,
                (4.0, 3.5, 3.0), 2.5, round(3 - slot.config.n_embd / 1000 + seed / 100, 5),
                2.4, 2.6)
            for slot in slots for seed in slot.seeds]


def small(**fields: object) -> Slot:
    config = Config(vocab_size=300, n_embd=16, n_layer=1, n_head=1, seq_len=16, batch_size=4)
    return Slot("stories", 7, "near", replace(config, **fields), (0,))


# --- the space -------------------------------------------------------------------------------


def test_a_configuration_lies_at_a_point_that_gives_it_back() -> None:
    drawn = list(itertools.islice(space.sobol(1, LIMITS, False), 60))
    points = space.points_of(drawn)
    again = [space.config_of(np.where(np.isnan(point), 0.5, point)) for point in points]
    same_heads = [replace(one, n_head=config.n_head).hash == config.hash
                  for one, config in zip(again, drawn, strict=True)]
    assert all(same_heads)


@pytest.mark.parametrize("is_sensible", [False, True])
def test_every_draw_is_legal_and_the_same_for_a_seed(is_sensible: bool) -> None:
    first, again = (list(itertools.islice(space.sobol(3, LIMITS, is_sensible), 20))
                    for _ in range(2))
    assert first == again
    assert not any(why_not(config, LIMITS) for config in first)
    assert len({config.hash for config in first}) == 20


def test_a_mutation_is_legal_and_near_its_parent() -> None:
    rng = np.random.default_rng(0)
    children = [space.mutated(STARTS, LIMITS, rng) for _ in range(20)]
    assert not any(why_not(config, LIMITS) for config in children)
    assert all(1e-3 < config.lr < 9e-3 for config in children if config.optimizer == "adamw")


# --- the plan --------------------------------------------------------------------------------


def test_texts_share_the_rounds() -> None:
    turns = list(itertools.islice(texts_in_turn(0.6, ["a", "b"]), 10))
    assert [name for name, _ in turns].count("a") == 6
    assert [number for name, number in turns if name == "b"] == [0, 1, 2, 3]


def test_a_text_begins_with_the_starts() -> None:
    first = Planner("stories", LIMITS, 0).round(0, [])
    assert [slot.config for slot in first[:2]] == list(STARTS)
    assert len(first) == ROUND


def test_every_tenth_configuration_runs_on_three_seeds() -> None:
    first = Planner("stories", LIMITS, 0).round(0, [])
    assert [slot.slot for slot in first if len(slot.seeds) == 3] == [9, 19, 29, 39, 49]


def test_a_plan_taken_up_again_is_the_same_plan(rows: list[Row]) -> None:
    planners = [Planner("stories", LIMITS, 0) for _ in range(2)]
    plans = [[planner.round(0, []), planner.round(5, rows)] for planner in planners]
    assert plans[0] == plans[1]


def test_fields_younger_than_the_table_are_no_column_of_it() -> None:
    drawn = [*itertools.islice(space.sobol(1, LIMITS, False), 60),
             space.mutated(STARTS, LIMITS, np.random.default_rng(0))]
    assert {tuple(getattr(config, name) for name in LATER) for config in drawn} == {
        tuple(getattr(space.START, name) for name in LATER)}


def test_a_file_that_another_version_began_is_not_gone_on_with(rows: list[Row]) -> None:
    """What is done is done by its number: it must be what this number stands for."""
    benches: Any = {name: SimpleNamespace(limits=LIMITS) for name in ("stories", "tales")}
    left = next(rounds(benches, 0.6, 0, rows[:-1]))
    assert [(slot.slot, seed) for slot, seed in left] == [rows[-1].key[1:]]
    other = replace(rows[5], config=replace(rows[5].config, clip=0.77))
    with pytest.raises(UserError, match=rf"slot {other.slot} of stories is .*clip=0\.77"):
        next(rounds(benches, 0.6, 0, [*rows[:5], other]))


def test_about_half_of_a_later_round_lies_near_the_best(rows: list[Row]) -> None:
    planner = Planner("stories", LIMITS, 0)
    planner.round(0, [])
    kinds = [slot.kind for slot in planner.round(5, rows)]
    assert kinds.count("near") == 23


def test_the_starts_and_the_best_run_on_eight_seeds_once(rows: list[Row]) -> None:
    planner = Planner("stories", LIMITS, 0)
    planner.round(0, [])
    noisy = [[slot for slot in planner.round(number, rows) if slot.kind == "noise"]
             for number in NOISE_ROUNDS]
    assert [slot.config for slot in noisy[0][:2]] == list(STARTS)
    assert [len(slot.seeds) for slot in (*noisy[0], *noisy[1])] == [8] * 12
    assert len({slot.config.hash for slot in (*noisy[0], *noisy[1])}) == 12


# --- runs ------------------------------------------------------------------------------------


def test_a_run_is_scored_at_its_rungs_and_on_every_shard(bench: Bench) -> None:
    row = run(bench.texts, small(), 1, BUDGET)
    assert row.state == "finished"
    falling = [*row.rungs, row.short]
    assert falling == sorted(falling, reverse=True)
    assert 2 < row.search < row.short + 0.5
    assert None not in (row.confirm, row.test)


def test_a_run_that_diverged_has_no_score(bench: Bench) -> None:
    row = run(bench.texts, small(lr=1.0, clip=1000.0, warmup_frac=0.0, beta1=0.1), 1, BUDGET)
    assert row.state == "diverged"
    assert row.rungs == (None, None, None)
    assert (row.short, row.search, row.confirm, row.test) == (None,) * 4


def test_a_line_cut_short_is_no_run(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    lines = [json.dumps({"texts": {"stories": 1}}), *(json.dumps(row.line()) for row in rows)]
    path.write_text("\n".join(lines)[:-30], encoding="utf-8")
    assert read_rows(path) == rows[:-1]
    assert read_texts(path) == {"stories": 1}


# --- packing ---------------------------------------------------------------------------------


def test_packed_runs_come_back_as_they_were(rows: list[Row], tmp_path: Path) -> None:
    lost = replace(rows[3], slot=99, state="diverged", rungs=(None,) * 3, short=None, search=None,
                   confirm=None, test=None)
    path = tmp_path / "runs.csv.xz"
    path.write_bytes(pack(Table({"stories": {"n": 1}}, [*rows, lost])))
    found = packed.load(path)
    assert found.texts == {"stories": {"n": 1}}
    assert [row.config for row in found.rows] == [row.config for row in (*rows, lost)]
    assert found.rows == [*rows, lost]


def test_packing_the_same_runs_gives_the_same_bytes(rows: list[Row]) -> None:
    table = Table({}, rows)
    assert pack(table) == pack(replace(table, rows=rows[::-1]))


def test_the_committed_table_is_unpacked_to_a_file_that_goes_on(tmp_path: Path) -> None:
    options = argparse.Namespace(out=tmp_path / "runs.jsonl", table=packed.PATH)
    assert packed.run_unpack(options) == 0
    assert Table(read_texts(options.out), read_rows(options.out)) == packed.load()
    with pytest.raises(UserError, match=r"runs\.jsonl is there already; give another --out"):
        packed.run_unpack(options)
