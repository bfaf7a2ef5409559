"""Configurations as points, and which fields no run tells apart."""

import math

import numpy as np
import pytest

from agent.analysis.places import Column, columns_of, groups_of, spread_rows
from engine.config import Config


def column(name: str, *configs: Config) -> Column:
    return next(one for one in columns_of(configs) if one.name == name)


def numbers(*places: list[float]) -> list[Column]:
    return [Column(f"x{i}", False, np.array(values)) for i, values in enumerate(places)]


@pytest.mark.parametrize(("name", "value", "place"), [
    ("lr", 1e-4, 0.0), ("lr", 3e-2, 1.0), ("lr", math.sqrt(3e-6), 0.5),
    ("beta1", 0.97, 0.0), ("beta1", 0.7, 1.0),  # momenta by 1 − value
    ("n_embd", 128, 0.5), ("clip", 8.0, 1.25),  # what lies beyond the axis stays in line
    ("weight_decay", 0.0, 0.0), ("rope_base", 1e4, 2.0)])  # no axis: two decades are 1
def test_a_number_stands_on_the_axis_that_the_strategies_search(
        name: str, value: float, place: float) -> None:
    found = column(name, Config().assign([f"{name}={value}"]))
    assert found.places[0] == pytest.approx(place)
    assert not found.is_choice


def test_choices_are_numbered_and_fields_without_effect_have_no_place() -> None:
    configs = (Config(), Config(schedule="wsd", tied=True), Config(optimizer="schedule_free"))
    assert column("schedule", *configs).places.tolist() == [1, 2, 0]  # constant runs constant
    assert column("tied", *configs).places.tolist() == [0, 1, 0]
    assert np.isnan(column("decay_frac", *configs).places).tolist() == [True, False, True]
    assert column("min_lr_frac", *configs).coded()[2, 0] == pytest.approx(0.5886, abs=1e-4)


def test_lions_rate_and_weight_decay_count_as_adamws() -> None:
    configs = (Config(lr=1e-3, weight_decay=0.1),
               Config(optimizer="lion", lr=1e-4, weight_decay=1.0))
    assert column("lr", *configs).is_fixed
    assert column("weight_decay", *configs).is_fixed


def test_a_hidden_width_that_follows_the_model_was_never_changed() -> None:
    assert column("n_hidden", Config(), Config(n_embd=256)).is_fixed
    found = column("n_hidden", Config(), Config(n_hidden=256))
    assert not found.is_fixed
    assert found.title == "hidden width / width"
    assert column("decay_frac", Config(), Config(lr=1e-3)).is_fixed  # without effect in all


def test_a_later_field_has_a_column_once_a_run_used_it() -> None:
    names = [{one.name for one in columns_of([Config(), *more])} for more in (
        [Config(n_head=8, n_kv_head=8)], [Config(n_kv_head=2)], [Config(mixer="rwkv")])]
    assert [found & {"n_kv_head", "mixer"} for found in names] == [
        set(), {"n_kv_head"}, {"mixer"}]


def test_key_heads_are_compared_as_a_share_of_all_where_they_have_an_effect() -> None:
    configs = (Config(), Config(n_head=8, n_kv_head=2), Config(mixer="rwkv", n_kv_head=2))
    shared = column("n_kv_head", *configs)
    pairs = column("bigram_buckets", Config(), Config(bigram_buckets=99)).places
    assert pairs.tolist() == [0.0, 1.0]
    assert shared.title == "key heads / heads"
    assert shared.places[0] == 0
    assert shared.places[1] == pytest.approx(math.log10(1 / 4) / 2)
    assert np.isnan(shared.places[2])
    assert np.isnan(column("rope_base", *configs).places[2])


def test_fields_that_only_moved_together_are_one_group() -> None:
    configs = [Config(seq_len=1024 // batch, batch_size=batch, lr=lr)
               for batch, lr in ((8, 1e-3), (16, 1e-3), (32, 2e-3), (64, 1e-3))]
    columns = columns_of(configs)
    names = [[columns[i].name for i in group] for group in groups_of(columns)]
    assert sorted(map(sorted, names)) == [["batch_size", "seq_len"], ["lr"]]


def test_one_run_that_moves_a_field_alone_tells_it_apart() -> None:
    together = [0.0, 0.2, 0.4, 0.6]
    assert groups_of(numbers(together, together, together)) == [[0, 1, 2]]
    assert groups_of(numbers([*together, 0.6], [*together, 0.0])) == [[0], [1]]


def test_a_choice_that_came_with_a_number_is_not_told_from_it() -> None:
    tied = Column("tied", True, np.array([0.0, 0.0, 1.0, 1.0]))
    assert groups_of([tied, *numbers([0.1, 0.1, 0.3, 0.3])]) == [[0, 1]]


def test_rows_that_stand_for_all_are_the_best_and_the_farthest() -> None:
    rng = np.random.default_rng(0)
    columns = numbers(*rng.uniform(0.4, 0.6, (2, 500)).tolist())
    for row, corner in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        columns[0].places[row], columns[1].places[row] = corner
    losses = np.arange(500.0)[::-1]
    rows = spread_rows(columns, losses, 10, 30)
    assert len(set(rows)) == 30
    assert set(range(490, 500)) | {0, 1, 2, 3} <= set(rows.tolist())
    assert spread_rows(columns, losses, 10, 500).tolist() == list(range(500))
