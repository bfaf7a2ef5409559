"""Features tell configurations apart by what changes a loss, and leave out what does not."""

from dataclasses import replace

import pytest

from engine.config import Config
from strategies.features import BUDGET_TOKENS, NAMES, features

BASE = Config()


def at(config: Config, budget: int = BUDGET_TOKENS) -> dict[str, float]:
    return dict(zip(NAMES, features(config, budget), strict=True))


def changed(config: Config) -> set[str]:
    return {name for name in NAMES if at(config)[name] != at(BASE)[name]}


@pytest.mark.parametrize(("changes", "names"), [
    ({"lr": 1e-3}, {"learning rate"}), ({"n_layer": 2}, {"layers"}),
    ({"batch_size": 4}, {"tokens a step"}), ({"seq_len": 64}, {"window", "tokens a step"}),
    ({"n_hidden": 256}, {"hidden width"}), ({"n_head": 8}, {"head size"}),
    ({"n_embd": 256, "n_head": 8}, {"width"}),
    ({"tied": True}, {"tied"}), ({"schedule": "wsd"}, {"wsd"}), ({"beta2": 0.99}, {"beta2"}),
    ({"grad_accum": 2}, {"passes", "tokens a step"}), ({"rope_base": 1e3}, {"rope base"}),
    ({"n_kv_head": 2}, {"shared key heads"}), ({"n_kv_head": 4}, set()),
    ({"mixer": "rwkv"}, {"rwkv"}), ({"mixer": "rwkv", "n_kv_head": 1, "rope_base": 50.0}, {"rwkv"}),
    ({"residual_scalars": True}, {"residual scalars"}), ({"qk_norm": True}, {"query-key norm"}),
    ({"bigram_buckets": 512}, {"bigram table"}), ({"mixer": "rwkv", "qk_norm": True}, {"rwkv"}),
    ({"decay_frac": 0.5}, set()),  # cosine has no decay part
    ({"optimizer": "muon"}, {"muon"}), ({"cautious_decay": True}, {"cautious decay"}),
    ({"scheduled_decay": True}, {"scheduled decay"}),
])
def test_a_field_moves_its_own_feature(changes: dict[str, object], names: set[str]) -> None:
    assert changed(Config.from_dict(BASE.to_dict() | changes)) == names


def test_a_doubling_is_the_same_step_anywhere() -> None:
    rates = [at(replace(BASE, lr=lr))["learning rate"] for lr in (1e-3, 2e-3, 4e-3)]
    assert rates[1] - rates[0] == pytest.approx(rates[2] - rates[1])


def test_lions_rate_and_decay_count_as_what_adamw_would_have() -> None:
    lion = replace(BASE, optimizer="lion", lr=BASE.lr / 10, weight_decay=BASE.weight_decay * 10)
    assert changed(lion) == {"lion"}


def test_fields_without_effect_do_not_count() -> None:
    averaged = replace(BASE, optimizer="schedule_free")
    assert at(averaged) == at(replace(averaged, schedule="wsd", decay_frac=0.5))
    none = replace(BASE, weight_decay=0.0)
    assert at(none) == at(replace(none, cautious_decay=True, scheduled_decay=True))
    constant = replace(BASE, schedule="constant", scheduled_decay=True)
    assert at(constant)["scheduled decay"] == 0
    assert at(constant) == at(replace(constant, min_lr_frac=0.5))


def test_a_larger_budget_bears_larger_models_and_steps() -> None:
    small, large = at(BASE), at(BASE, 8 * BUDGET_TOKENS)
    moved = {name for name in NAMES if small[name] != large[name]}
    assert moved == {"width", "layers", "tokens a step", "budget"}
    assert large["width"] < small["width"]
    assert large["tokens a step"] < small["tokens a step"]


@pytest.mark.parametrize("changes", [{"weight_decay": 0.0}, {"warmup_frac": 0.0},
                                     {"min_lr_frac": 0.0}, {"beta2": 0.0}])
def test_a_zero_has_a_finite_feature(changes: dict[str, float]) -> None:
    assert all(abs(x) < 10 for x in features(Config.from_dict(BASE.to_dict() | changes), 1000))
