"""--family and --families as people type them: a shape that --set may change, or one sentence."""

import click
import pytest

from agent.cli.families import settings_of, sizes_of
from agent.cli.options import complete_families
from engine.config import Config
from engine.errors import ConfigError
from strategies.families import of_size

CONTEXT = click.Context(click.Command("train"))


def test_a_family_is_settings_behind_which_come_those_of_the_person() -> None:
    found = Config().assign(settings_of("gqa4", "1M", ["clip=0.5"]))
    assert found == of_size("gqa4", 1e6, Config(clip=0.5))
    other = Config().assign(settings_of("gqa4", "1M", ["n_layer=1", "lr=1e-4"]))
    assert (other.n_layer, other.lr, other.n_embd) == (1, 1e-4, found.n_embd)


def test_the_vocabulary_that_is_set_is_counted() -> None:
    found = Config().assign(settings_of("deep", "1M", ["vocab_size=4096"]))
    assert found.n_params == pytest.approx(1e6, rel=0.15)
    assert Config().assign(settings_of("rwkv", "200k", ["lr=1e-3"])).mixer == "rwkv"


def test_a_count_alone_is_balanced_and_nothing_said_sets_nothing() -> None:
    assert Config().assign(settings_of(None, "1.3M", [])) == Config()
    assert settings_of(None, None, ["lr=1"]) == ["lr=1"]


@pytest.mark.parametrize(("family", "params", "words"), [
    ("tall", "1M", "family 'tall' is not known; use balanced, deep, wide, gqa4, rwkv"),
    ("deep", "much", "'much' is not a parameter count; use 300k or 1.3M"),
    ("deep", "0", "'0' is not a parameter count"), ("deep", "1e6", "'1e6' is not")])
def test_what_cannot_be_read_is_one_sentence(family: str, params: str, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        settings_of(family, params, [])
    assert words in str(refusal.value)


def test_a_family_without_a_count_says_what_to_add() -> None:
    with pytest.raises(click.UsageError, match="--family deep needs --params, such as"):
        settings_of("deep", None, [])


def test_a_grid_has_every_family_at_every_count_or_the_sizes_named() -> None:
    assert sizes_of(None, "deep, wide", "100k,1M") == [
        "deep 100k", "wide 100k", "deep 1M", "wide 1M"]
    assert sizes_of("64d/2L,1M", None, None) == ["64d/2L", "1M"]
    for given in ((None, None, None), (None, "deep", None), ("1M", "deep", "1M")):
        with pytest.raises(click.UsageError, match="--sizes"):
            sizes_of(*given)


@pytest.mark.parametrize(("begun", "offered"), [
    ("d", ["deep"]), ("", ["balanced", "deep", "wide", "gqa4", "rwkv"]),
    ("deep,r", ["deep,rwkv"])])
def test_the_shell_completes_the_last_of_a_list(begun: str, offered: list[str]) -> None:
    assert complete_families(CONTEXT, click.Argument(["x"]), begun) == offered
