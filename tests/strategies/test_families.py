"""Families of shapes: any count that a vocabulary leaves possible, met by the family's rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from engine.errors import ConfigError
from strategies.families import FAMILIES, NEAR_SIZE, of_size, shaped

VOCABULARIES = st.integers(257, 4096)
family = pytest.mark.parametrize("name", FAMILIES)


@family
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(log=st.floats(4, 7), vocab_size=VOCABULARIES, tied=st.booleans())
def test_a_count_is_met_or_the_least_that_is_possible_is_said(
        name: str, log: float, vocab_size: int, tied: bool) -> None:
    base, target = Config(vocab_size=vocab_size, tied=tied), round(10**log)
    if target < shaped(name, 12 if name == "deep" else 8, 1, base).n_params / (1 + NEAR_SIZE):
        with pytest.raises(ConfigError, match=f"least of {name} .* {vocab_size:,}"):
            of_size(name, target, base)
        return
    found = of_size(name, target, base)
    assert found.n_params == pytest.approx(target, rel=NEAR_SIZE)
    assert found == of_size(name, target, base)
    assert (found.vocab_size, found.seq_len) == (vocab_size, base.seq_len)


@pytest.mark.parametrize(("name", "ratio"), [
    ("balanced", (18, 50)), ("deep", (18, 27)), ("wide", (80, 200)), ("gqa4", (18, 50)),
    ("rwkv", (18, 50))])
@pytest.mark.parametrize("target", [700_000, 1_000_000, 3_000_000, 10_000_000])
def test_where_there_is_room_the_proportions_are_those_of_the_family(
        name: str, ratio: tuple[int, int], target: int) -> None:
    found = of_size(name, target, Config(vocab_size=512))
    assert ratio[0] <= found.n_embd / found.n_layer <= ratio[1]
    assert 16 <= found.head_size <= 64


@given(log=st.floats(5, 7))
@settings(max_examples=6, deadline=None, derandomize=True, database=None)
def test_families_have_what_they_are_named_for(log: float) -> None:
    base = Config(vocab_size=300)
    deep, gqa4, rwkv = (of_size(name, 10**log, base) for name in ("deep", "gqa4", "rwkv"))
    assert (deep.n_head, deep.tied) == (3 * deep.kv_heads, False)
    assert (gqa4.n_head, gqa4.tied) == (4 * gqa4.kv_heads, True)
    assert (rwkv.mixer, rwkv.n_kv_head) == ("rwkv", None)
    assert deep.n_layer >= of_size("wide", 10**log, base).n_layer


def test_families_of_shared_key_heads_mix_by_attention_whatever_the_base_does() -> None:
    base = Config(vocab_size=300, mixer="rwkv")
    mixers = {name: of_size(name, 1_000_000, base).mixer for name in FAMILIES}
    assert mixers == {"balanced": "rwkv", "deep": "attention", "wide": "rwkv",
                      "gqa4": "attention", "rwkv": "rwkv"}


def test_a_family_carries_the_recipe_to_its_width_and_takes_the_rest_from_the_base() -> None:
    base = Config(n_hidden=256, lr=4e-3, clip=0.5, n_kv_head=2)
    found = of_size("deep", 1_000_000, base)
    assert found.hidden / found.n_embd == pytest.approx(2, rel=0.05)
    assert found.lr == pytest.approx(4e-3 * 128 / found.n_embd, rel=0.05)
    assert found.clip == 0.5
    assert of_size("rwkv", 1_000_000, base).n_kv_head is None


@pytest.mark.parametrize(("name", "target", "vocab_size", "words"), [
    ("balanced", 10_000, 1024, "size '10k' is not within 15% of any shape; the nearest is 8d/1L "
     "with 17k parameters, the least of balanced models with a vocabulary of 1,024"),
    ("deep", 50_000, 4096, "the nearest is 12d/1L with 100k parameters, the least of deep models"),
    ("wide", 10**12, 257, "size '1000000.00M' is not within 15% of any shape; the nearest is "
     "4096d/64L with ")])
def test_what_no_shape_has_is_said_with_the_nearest(
        name: str, target: int, vocab_size: int, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        of_size(name, target, Config(vocab_size=vocab_size))
    assert words in str(refusal.value)


def test_a_width_that_computes_well_is_not_worth_any_proportions() -> None:
    """8d/13L has the count, too, and is as deep as it is wide."""
    found = of_size("balanced", 30_000, Config())
    assert found.n_embd / found.n_layer > 4
    assert abs(found.n_params / 30_000 - 1) <= NEAR_SIZE
