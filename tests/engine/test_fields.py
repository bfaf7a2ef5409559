"""Another program's word for a field is met by its meaning, never by a neighbour of another."""

import dataclasses

import pytest

from engine.config import Config
from engine.errors import ConfigError
from engine.fields import ELSEWHERE, MEANINGS, elsewhere, field_meant

NAMES = [field.name for field in dataclasses.fields(Config)]


@pytest.mark.parametrize(("word", "field"), [
    ("learning_rate", "lr"), ("batch", "batch_size"), ("layers", "n_layer"), ("depth", "n_layer"),
    ("width", "n_embd"), ("dim", "n_embd"), ("d_model", "n_embd"), ("heads", "n_head"),
    ("ctx", "seq_len"), ("context", "seq_len"), ("block_size", "seq_len"),
    ("vocab", "vocab_size"), ("wd", "weight_decay"), ("optim", "optimizer"),
    ("grad_clip", "clip"), ("momentum", "beta1"), ("n-layer", "n_layer"), ("LR", "lr"),
    ("Learning-Rate", "lr"), ("n_embed", "n_embd"), ("optimiser", "optimizer"),
    ("wieght_decay", "weight_decay"), ("shedule", "schedule"), ("gqa", "n_kv_head"),
    ("num_key_value_heads", "n_kv_head"), ("kv_heads", "n_kv_head"), ("architecture", "mixer"),
    ("rwkv", "mixer"), ("attention-type", "mixer"),
    ("cautious_weight_decay", "cautious_decay"), ("cwd", "cautious_decay"),
    ("decay_follows_lr", "scheduled_decay"), ("AdamC", "scheduled_decay"),
    ("bigram-hash", "bigram_buckets"), ("qk_layernorm", "qk_norm"),
    ("x0_lambdas", "residual_scalars")])
def test_a_word_for_a_field_is_met_by_meaning_then_by_letters(word: str, field: str) -> None:
    assert field_meant(word, NAMES) == field
    with pytest.raises(ConfigError, match=rf"^unknown field '{word}'; did you mean {field}\?$"):
        Config().assign([f"{word}=1"])


@pytest.mark.parametrize(("word", "told"), [
    ("steps", "--run-tokens"), ("max_iters", "--run-tokens"), ("epochs", "--run-tokens"),
    ("seed", "--seed"), ("dropout", "leave it out"), ("corpus", "--corpus"),
    ("threads", "--replicas")])
def test_what_is_no_field_says_where_it_is(word: str, told: str) -> None:
    assert field_meant(word, NAMES) is None
    with pytest.raises(ConfigError, match=f"^unknown field '{word}'; .*{told}"):
        Config().assign([f"{word}=1"])


@pytest.mark.parametrize("word", ["sed", "lear", "zzz", "h", "optional", "later", "mask"])
def test_a_far_neighbour_is_not_named(word: str) -> None:
    with pytest.raises(ConfigError, match=f"^unknown field '{word}'; known: n_embd, "):
        Config().assign([f"{word}=1"])


def test_every_meaning_is_of_one_field_and_every_field_has_some() -> None:
    words = [word for others in MEANINGS.values() for word in others.split()]
    assert set(MEANINGS) == set(NAMES)
    assert len(words) == len(set(words))
    assert not {word.replace("_", "") for word in words} & set(ELSEWHERE)
    assert elsewhere("lr") is None
