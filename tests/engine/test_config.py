"""Config refuses what cannot be trained, in one sentence, and knows what the rest costs."""

import dataclasses
import json
import math
from fractions import Fraction

import numpy as np
import pytest

from engine.config import BOUNDS, EARLIER, FORK_MB, OPTIMIZERS, PROCESS_MB, SCHEDULES, Config
from engine.errors import ConfigError

# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "sentence"), [
    ({"n_head": 6}, "n_head=6 does not divide n_embd=128; use "),
    ({"n_embd": 129}, "n_head=4 does not divide n_embd=129; use an even n_embd"),
    ({"n_embd": 12}, "n_embd=12 over n_head=4 gives heads of 3, and they need an even size; "
                     "use n_head 2 or 3"),
    ({"n_embd": 9, "n_head": 1}, "n_embd=9 over n_head=1 gives heads of 9, and they need an even "
                                 "size; use an even n_embd"),
    ({"n_embd": 9, "n_head": 3, "mixer": "rwkv"}, "n_embd=9 over n_head=3 gives heads of 3, and "
                                                  "they need an even size; use an even n_embd"),
    ({"n_kv_head": 3}, "n_kv_head=3 does not divide n_head=4; use 2 or 4"),
    ({"n_kv_head": 8}, "n_kv_head=8 does not divide n_head=4; use 2 or 4"),
    ({"mixer": "mamba"}, "mixer=mamba is not known; use attention, rwkv"),
    ({"n_kv_head": 0}, "n_kv_head=0 is out of range; use 1 to 64"),
    ({"n_kv_head": 1.5}, "n_kv_head=1.5 is not a whole number"),
    ({"bigram_buckets": -1}, "bigram_buckets=-1 is out of range; use 0 to 65536"),
    ({"qk_norm": 1}, "qk_norm=1 is not a truth value; use true or false"),
    ({"residual_scalars": 0.5}, "residual_scalars=0.5 is not a truth value; use true or false"),
    ({"n_embd": 4}, "n_embd=4 is out of range; use 8 to 4096"),
    ({"lr": 0}, "lr=0 is out of range; use 1e-08 to 1"),
    ({"lr": -1e-3}, "lr=-0.001 is out of range; use 1e-08 to 1"),
    ({"n_hidden": 0}, "n_hidden=0 is out of range; use 1 to 16384"),
    ({"vocab_size": 256}, "vocab_size=256 is out of range; use 257 to 32768"),
    ({"n_layer": 2.0}, "n_layer=2.0 is not a whole number"),
    ({"n_layer": True}, "n_layer=True is not a whole number"),
    ({"n_layer": "4"}, "n_layer='4' is not a whole number"),
    ({"n_layer": None}, "n_layer=None is not a whole number"),
    ({"n_hidden": 3.5}, "n_hidden=3.5 is not a whole number"),
    ({"lr": "3e-3"}, "lr='3e-3' is not a finite number"),
    ({"lr": True}, "lr=True is not a finite number"),
    ({"lr": math.nan}, "lr=nan is not a finite number"),
    ({"clip": math.inf}, "clip=inf is not a finite number"),
    ({"tied": 1}, "tied=1 is not a truth value; use true or false"),
    ({"optimizer": "sgd"}, "optimizer=sgd is not known; use adamw, lion, schedule_free"),
    ({"schedule": "linear"}, "schedule=linear is not known; use cosine, wsd, constant"),
])
def test_a_value_that_is_not_allowed_is_refused_in_words(values, sentence):
    with pytest.raises(ConfigError) as caught:
        Config(**values)
    assert str(caught.value).startswith(sentence)


def test_numbers_of_numpy_are_what_they_are_worth():
    config = Config(n_embd=np.int64(64), n_kv_head=np.uint8(2), lr=np.float32(0.25),
                    clip=np.int32(2), weight_decay=Fraction(1, 8))
    plainly = Config(n_embd=64, n_kv_head=2, lr=0.25, clip=2.0, weight_decay=0.125)
    assert config == plainly
    assert json.dumps(config.to_dict()) == json.dumps(plainly.to_dict())
    for values in ({"n_layer": np.True_}, {"lr": np.float32("nan")}, {"n_layer": np.float64(4)}):
        with pytest.raises(ConfigError, match="is not a"):
            Config(**values)


def test_a_number_too_large_for_arithmetic_is_refused_too():
    with pytest.raises(ConfigError, match="n_embd=1000+ is out of range; use 8 to 4096"):
        Config(n_embd=10**400)


def test_schedule_free_without_momentum_is_refused_for_it_could_not_find_its_average():
    with pytest.raises(ConfigError, match=r"beta1=0\.0"):
        Config(optimizer="schedule_free", beta1=0.0)


@pytest.mark.parametrize(("n_embd", "n_head"), [
    (8, 7), (10, 7), (64, 7), (96, 7), (120, 7), (4096, 7), (12, 12), (14, 2), (4090, 10)])
def test_the_heads_that_are_suggested_are_allowed(n_embd, n_head):
    with pytest.raises(ConfigError) as caught:
        Config(n_embd=n_embd, n_head=n_head)
    suggested = str(caught.value).partition("use ")[2].removeprefix("n_head ").split(" or ")
    assert [Config(n_embd=n_embd, n_head=int(n)).n_head for n in suggested]


@pytest.mark.parametrize("name", sorted(BOUNDS.keys() - {"n_embd", "n_head", "n_kv_head"}))
def test_the_bounds_themselves_are_allowed_and_nothing_beyond(name):
    low, high = BOUNDS[name]
    assert getattr(Config(**{name: low}), name) == low
    assert getattr(Config(**{name: high}), name) == high
    with pytest.raises(ConfigError, match=f"^{name}=.* is out of range; use {low:g} to "):
        Config(**{name: low - 1})
    with pytest.raises(ConfigError, match=f"^{name}=.* is out of range; use {low:g} to "):
        Config(**{name: high + 1})


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().lr = 1.0


# --- text forms ------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "name", "value"), [
    ("lr=3e-4", "lr", 3e-4), ("lr=1", "lr", 1.0), (" lr = 0.5 ", "lr", 0.5),
    ("n_layer=6", "n_layer", 6), ("n_layer=6.0", "n_layer", 6),
    ("vocab_size=1e3", "vocab_size", 1000), ("n_hidden=300", "n_hidden", 300),
    ("n_hidden=3e2", "n_hidden", 300),
    ("n_kv_head=2", "n_kv_head", 2), ("n_kv_head=2.0", "n_kv_head", 2),
    ("qk_norm=1", "qk_norm", True), ("bigram_buckets=4096", "bigram_buckets", 4096),
    ("residual_scalars=yes", "residual_scalars", True),
    ("n_kv_head=none", "n_kv_head", None), ("mixer=RWKV", "mixer", "rwkv"),
    ("n_hidden=none", "n_hidden", None), ("n_hidden=null", "n_hidden", None),
    ("n_hidden=", "n_hidden", None), ("rope_base=500", "rope_base", 500.0),
    ("tied=true", "tied", True), ("tied=YES", "tied", True), ("tied=1", "tied", True),
    ("tied=False", "tied", False), ("tied=no", "tied", False), ("tied=0", "tied", False),
    ("optimizer=AdamW", "optimizer", "adamw"), ("optimizer=LION", "optimizer", "lion"),
    ("optimizer=Schedule-Free", "optimizer", "schedule_free"),
    ("optimizer=schedule_free", "optimizer", "schedule_free"),
    ("schedule=WSD", "schedule", "wsd"), ("schedule=Cosine", "schedule", "cosine"),
])
def test_an_assignment_is_read(text, name, value):
    config = Config(n_hidden=77).assign([text])
    assert getattr(config, name) == value
    assert type(getattr(config, name)) is type(value)


@pytest.mark.parametrize(("text", "sentence"), [
    ("lr", "'lr' is not of the form key=value, such as lr=3e-3"),
    ("", "'' is not of the form key=value, such as lr=3e-3"),
    ("n_embed=64", "unknown field 'n_embed'; did you mean n_embd?"),
    ("=64", "unknown field ''; known: n_embd, n_layer, "),
    ("zzzz=64", "unknown field 'zzzz'; known: n_embd, n_layer, "),
    ("lr=fast", "lr=fast is not a number"),
    ("lr=", "lr= is not a number"),
    ("n_layer=four", "n_layer=four is not a number"),
    ("n_layer=2.5", "n_layer=2.5 is not a whole number"),
    ("n_layer=none", "n_layer=none is not a number"),
    ("n_hidden=inf", "n_hidden=inf is not a whole number"),
    ("lr=nan", "lr=nan is not a finite number"),
    ("tied=maybe", "tied='maybe' is not a truth value; use true or false"),
    ("optimizer=sgd", "optimizer=sgd is not known; use adamw, lion, schedule_free"),
    ("n_head=6", "n_head=6 does not divide n_embd=128; use "),
])
def test_an_assignment_that_cannot_be_read_is_refused_in_words(text, sentence):
    with pytest.raises(ConfigError) as caught:
        Config().assign([text])
    assert str(caught.value).startswith(sentence)


def test_assignments_are_checked_together_and_the_last_wins():
    config = Config().assign(["n_head=3", "n_embd=64", "n_embd=96", "lr=0.01"])
    assert (config.n_head, config.n_embd, config.lr) == (3, 96, 0.01)


def test_an_assignment_leaves_the_original_alone():
    config = Config()
    config.assign(["n_layer=6"])
    assert config == Config()


def test_a_config_survives_json():
    config = Config(n_embd=96, n_head=3, n_hidden=77, tied=True, lr=0.1 + 0.2, optimizer="lion")
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_absent_fields_take_the_default_and_unknown_ones_are_refused():
    assert Config.from_dict({"lr": 0.01}) == Config(lr=0.01, **EARLIER)
    with pytest.raises(ConfigError) as caught:
        Config.from_dict({"learning_rat": 0.01, "seqlen": 3})
    assert str(caught.value).startswith("unknown field 'learning_rat'; ")


@pytest.mark.parametrize(("changes", "text"), [
    ({}, "128d/4L AdamW lr=3e-3"),
    ({"optimizer": "schedule_free", "lr": 1e-3}, "128d/4L SF-AdamW lr=1e-3"),
    ({"n_embd": 96, "n_head": 3, "n_layer": 6}, "96d/6L AdamW lr=3e-3 n_head=3"),
    ({"optimizer": "lion", "lr": 0.00025}, "128d/4L Lion lr=2.5e-4"),
    ({"optimizer": "muon", "cautious_decay": True},
     "128d/4L Muon lr=3e-3 cautious_decay=true"),
    ({"tied": True, "n_hidden": 300, "lr": 0.01}, "128d/4L AdamW lr=0.01 n_hidden=300 tied=true"),
    ({"rope_base": 500000, "weight_decay": 0, "schedule": "wsd"},
     "128d/4L AdamW lr=3e-3 rope_base=500000 schedule=wsd weight_decay=0"),
])
def test_a_description_names_what_is_not_default(changes, text):
    assert Config(**changes).describe() == text


@pytest.mark.parametrize("number", [1e-8, 2.5e-5, 3.14159e-3, 0.0123456, 0.1, 1 / 3, 0.7, 1.0])
def test_described_numbers_read_back_to_six_digits(number):
    words = Config(lr=number, weight_decay=number).describe().split()
    got = Config().assign(words[2:])
    assert (got.lr, got.weight_decay) == pytest.approx((number, number), rel=5e-6)


def test_a_difference_names_both_values():
    assert Config(lr=0.01, n_layer=6).difference(Config(n_layer=2)) == {
        "lr": (0.01, 3e-3), "n_layer": (6, 2)}
    assert Config().difference(Config()) == {}


# --- which configurations are the same -------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [
    ({}, {"n_hidden": 512}),
    ({"n_embd": 64, "n_hidden": None}, {"n_embd": 64, "n_hidden": 256}),
    ({}, {"n_kv_head": 4}), ({}, {"mixer": "attention"}), ({}, {"bigram_buckets": 0}),
    ({"mixer": "rwkv"}, {"mixer": "rwkv", "qk_norm": True}),
    ({"mixer": "rwkv"}, {"mixer": "rwkv", "n_kv_head": 2, "rope_base": 500.0}),
    ({"lr": 1}, {"lr": 1.0}),
    ({"weight_decay": 0, "rope_base": 100}, {"weight_decay": 0.0, "rope_base": 100.0}),
    ({"decay_frac": 0.5}, {"decay_frac": 0.1}),
    ({"schedule": "constant", "min_lr_frac": 0.5}, {"schedule": "constant", "decay_frac": 0.3}),
    ({"optimizer": "schedule_free", "schedule": "wsd", "decay_frac": 0.5},
     {"optimizer": "schedule_free", "schedule": "cosine", "min_lr_frac": 0.0}),
    ({"weight_decay": 0}, {"weight_decay": 0, "cautious_decay": True, "scheduled_decay": True}),
    ({"schedule": "constant"}, {"schedule": "constant", "scheduled_decay": True}),
    ({"optimizer": "schedule_free"}, {"optimizer": "schedule_free", "scheduled_decay": True}),
])
def test_configs_that_train_alike_share_a_hash(one, other):
    assert Config(**one).hash == Config(**other).hash
    assert Config(**one).canonical() == Config(**other).canonical()


@pytest.mark.parametrize(("one", "other"), [
    ({}, {"lr": 3.0000001e-3}),
    ({"n_hidden": None, "n_embd": 64}, {"n_hidden": 512, "n_embd": 64}),
    ({}, {"schedule": "wsd"}),
    ({"schedule": "wsd", "decay_frac": 0.5}, {"schedule": "wsd", "decay_frac": 0.1}),
    ({"min_lr_frac": 0.5}, {"min_lr_frac": 0.1}),
    ({"batch_size": 4, "grad_accum": 2}, {"batch_size": 8, "grad_accum": 1}),
    ({"tied": True}, {"tied": False}),
])
def test_configs_that_train_differently_do_not(one, other):
    assert Config(**one).hash != Config(**other).hash


OTHER_VALUES = {
    "n_embd": 64, "n_layer": 5, "n_head": 8, "n_hidden": 300, "vocab_size": 512, "seq_len": 64,
    "tied": True, "rope_base": 500.0, "batch_size": 4, "grad_accum": 2, "optimizer": "lion",
    "lr": 1e-3, "schedule": "wsd", "warmup_frac": 0.1, "min_lr_frac": 0.0, "weight_decay": 0.0,
    "beta1": 0.8, "beta2": 0.99, "clip": 0.5, "n_kv_head": 2, "mixer": "rwkv",
    "cautious_decay": True, "scheduled_decay": True,
    "data_order": "linear", "shuffle_stories": True,
    "residual_scalars": True, "bigram_buckets": 64, "qk_norm": True,
}


KNOWN_HASHES = [  # as written before any field was added
    ({}, "895003f1c472f51b"),
    ({"n_embd": 96, "n_head": 3, "tied": True, "lr": 0.01}, "a37d5def6a9c7ff3"),
    ({"optimizer": "schedule_free", "n_hidden": 300}, "258e1a2c7b2c9805"),
    ({"schedule": "wsd", "vocab_size": 2048, "seq_len": 256}, "544de764a346d8de"),
]


def test_every_field_with_an_effect_reaches_the_hash():
    names = {field.name for field in dataclasses.fields(Config)}
    assert names - OTHER_VALUES.keys() == {"decay_frac"}  # without effect unless wsd
    hashes = {Config(**{name: value}).hash for name, value in OTHER_VALUES.items()}
    assert len(hashes - {Config().hash}) == len(OTHER_VALUES)


@pytest.mark.parametrize(("changes", "known"), KNOWN_HASHES)
def test_hashes_in_old_ledgers_are_found_again(changes, known):
    """Fields that came later do not count at their default."""
    assert Config.from_dict(changes).hash == Config(data_order="linear", **changes).hash == known


def test_runs_older_than_the_order_of_the_text_had_the_linear_one():
    old = {name: value for name, value in Config().to_dict().items() if name != "data_order"}
    assert Config.from_dict(old).data_order == "linear"
    assert Config.from_dict(old).hash != Config().hash
    assert Config.from_dict(Config().to_dict()) == Config()


def test_a_hash_is_sixteen_hex_digits():
    assert len(Config().hash) == 16
    assert int(Config().hash, 16) >= 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_only_schedule_free_ignores_its_schedule(optimizer, schedule):
    config = Config(optimizer=optimizer, schedule=schedule)
    assert config.effective_schedule == ("constant" if optimizer == "schedule_free" else schedule)


# --- what it costs ---------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "n_params", "n_embedding"), [
    ({}, 1_311_872, 262_144),
    ({"tied": True}, 1_180_800, 131_072),
    ({"n_embd": 8, "n_layer": 1, "n_head": 1, "n_hidden": 3, "vocab_size": 300},
     2 * 300 * 8 + (8 * 24 + 8 * 8 + 8 * 6 + 3 * 8) + 3 * 8, 4800),
])
def test_parameters_are_counted(changes, n_params, n_embedding):
    assert Config(**changes).n_params == n_params
    assert Config(**changes).n_params_embedding == n_embedding


def test_grouped_heads_save_the_rows_of_keys_and_values_they_share():
    plain, grouped = Config(), Config(n_kv_head=1)
    assert plain.shapes()["block0.attn.qkv"] == (3 * 128, 128)
    assert grouped.shapes()["block0.attn.qkv"] == (128 + 2 * 32, 128)
    assert plain.n_params - grouped.n_params == 4 * 2 * 96 * 128
    assert plain.flops_per_token - grouped.flops_per_token == 6 * 4 * 2 * 96 * 128
    assert grouped.peak_mb < plain.peak_mb


def test_small_ideas_cost_their_entries_and_no_product():
    plain = Config()
    for changes, n_params, n_embedding in (
            ({"residual_scalars": True}, 4 * 2, 0), ({"qk_norm": True}, 4 * 2 * 32, 0),
            ({"bigram_buckets": 500}, 500 * 128, 500 * 128),
            ({"mixer": "rwkv", "residual_scalars": True, "qk_norm": True}, 8, 0)):
        config, base = Config(**changes), Config(mixer=changes.get("mixer", "attention"))
        assert config.n_params == base.n_params + n_params
        assert config.n_params_embedding == plain.n_params_embedding + n_embedding
        assert config.flops_per_token == base.flops_per_token
        assert config.peak_mb > base.peak_mb


def test_rwkv_costs_its_matrices_and_a_state_whatever_the_window():
    config = Config(mixer="rwkv")
    matrices = 5 * 128 * 128 + 2 * 40 * 128 + 2 * 16 * 128 + 3 * 128 * 512
    assert config.block_weights == matrices
    assert config.n_params == 2 * 1024 * 128 + 4 * (matrices + (2 + 9) * 128) + 128
    assert config.flops_per_token == 6 * (4 * matrices + 1024 * 128) + 6 * 4 * 128 * (64 + 16)
    assert Config(mixer="rwkv", seq_len=1024).flops_per_token == config.flops_per_token


def test_an_update_of_muon_costs_five_rounds_of_three_products_and_of_others_none():
    """4 of 128 × 128 and 3 of 512 × 128 a block: 5 (4 m n² + 2 n³) each, m ≥ n."""
    square, wide = 5 * (4 + 2) * 128**3, 5 * (4 * 4 + 2) * 128**3
    assert Config(optimizer="muon").update_flops == 4 * (4 * square + 3 * wide)
    assert Config().update_flops == Config(optimizer="lion").update_flops == 0
    assert Config(optimizer="muon").flops_per_token == Config().flops_per_token


def test_muon_keeps_one_number_of_a_matrix_and_two_of_all_else():
    config = Config(optimizer="muon")
    assert config.slot_floats == 2 * config.n_params - config.n_layer * config.block_weights
    assert [Config(optimizer=name).slot_floats // config.n_params
            for name in ("adamw", "lion", "schedule_free")] == [2, 1, 2]
    assert Config(optimizer="lion").peak_mb < config.peak_mb < Config().peak_mb


@pytest.mark.parametrize(("budget", "n_steps"), [
    (0, 1), (1, 1), (1024, 1), (1025, 2), (2048, 2), (10_000_000, 9766)])
def test_steps_spend_the_budget_and_never_a_part_of_a_step(budget, n_steps):
    assert Config(batch_size=8, seq_len=128).steps_for(budget) == n_steps
    assert Config(batch_size=2, seq_len=64, grad_accum=8).steps_for(budget) == n_steps


@pytest.mark.parametrize("tied", [True, False])
def test_flops_are_six_a_multiplying_weight_and_causal_attention(tied):
    block = 128 * 384 + 128 * 128 + 128 * 1024 + 512 * 128
    by_hand = 6 * (4 * block + 1024 * 128) + 6 * 4 * 128 * 128
    assert Config(tied=tied).flops_per_token == by_hand == 7_471_104


@pytest.mark.parametrize("changes", [
    {"n_embd": 136}, {"n_layer": 5}, {"n_hidden": 513}, {"vocab_size": 1025}, {"seq_len": 160},
    {"batch_size": 9}, {"grad_accum": 2},
], ids=str)
def test_more_of_anything_takes_more_memory(changes):
    assert Config(**changes).peak_mb > Config().peak_mb


@pytest.mark.parametrize("changes", [{"tied": True}, {"optimizer": "lion"}, {"batch_size": 7},
                                     {"n_hidden": 256}], ids=str)
def test_less_takes_less(changes):
    assert Config(**changes).peak_mb < Config().peak_mb


def test_one_process_is_predicted_to_take_the_peak():
    assert Config().predicted_mb() == Config().predicted_mb(1) == Config().peak_mb


@pytest.mark.parametrize("n", [2, 4, 8])
def test_replicas_share_parameters_and_optimizer_and_have_the_rest_to_themselves(n):
    alone = Config(batch_size=8 // n, optimizer="schedule_free")
    shared_mb = PROCESS_MB + 4e-6 * 4 * alone.n_params  # with two slots, and what saving copies
    assert Config(batch_size=8, optimizer="schedule_free").predicted_mb(n) == pytest.approx(
        shared_mb + n * (alone.peak_mb - shared_mb) + (n - 1) * FORK_MB)


def test_replicas_split_a_batch_that_does_not_divide():
    whole, *shares = (Config(batch_size=b).workspace_floats for b in (8, 3, 3, 2))
    config = Config(batch_size=8)
    assert config.predicted_mb(3) == pytest.approx(
        config.peak_mb + 2 * FORK_MB + 4e-6 * (2 * config.n_params + sum(shares) - whole))


def test_no_more_replicas_are_counted_than_there_are_rows():
    config = Config(batch_size=2)
    assert config.predicted_mb(8) == config.predicted_mb(2)


TEN_MILLION = {"n_embd": 320, "n_layer": 8, "n_head": 8, "n_hidden": 800}


# Peaks that `agent train --replicas 2` of these wrote to the ledger: two x86 cores, Linux.
@pytest.mark.parametrize(("changes", "n_params", "peak_mb"), [
    ({}, 10_081_600, 522), ({"n_kv_head": 2}, 8_852_800, 474), ({"mixer": "rwkv"}, 11_640_640, 905),
    ({"tied": True, "vocab_size": 2048}, 10_081_600, 528),
    ({"seq_len": 512, "batch_size": 2}, 10_081_600, 524),
    ({"n_embd": 192, "n_layer": 24, "n_head": 6, "n_kv_head": 2, "n_hidden": 512}, 9_839_808, 600)])
def test_ten_million_parameters_are_foreseen_as_measured(changes, n_params, peak_mb):
    config = Config(**TEN_MILLION | changes)
    assert config.n_params == n_params
    assert config.predicted_mb(2) == pytest.approx(peak_mb, rel=0.15)
    assert config.predicted_mb(2) < 3000
