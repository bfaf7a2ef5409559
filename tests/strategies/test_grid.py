"""The size × data planner: what it reads, what it plans, what it leaves out and says so."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from engine.errors import ConfigError
from strategies.base import Limits, repaired, resized
from strategies.grid import Skipped, parse_size, parse_tokens, plan

BASE = Config()
LIMITS = Limits()


@pytest.mark.parametrize(("text", "shape"), [
    ("64d/2L", (64, 2)), ("8d/1L", (8, 1)), (" 100D/12l ", (100, 12)), ("4096d/64L", (4096, 64)),
    ("1.3M", (128, 4)), ("1311872", (128, 4)), ("300k", (64, 2)), ("100K", (32, 2)),
    ("200k", (64, 1))])  # 203k; 48d/2L is better proportioned, but has 172k
def test_size_is_a_shape_or_a_parameter_count(text: str, shape: tuple[int, int]) -> None:
    assert parse_size(text) == shape


@settings(max_examples=60, deadline=None, derandomize=True)
@given(target=st.integers(100_000, 20_000_000), vocab_size=st.sampled_from([257, 1024]),
       tied=st.booleans(), n_hidden=st.sampled_from([None, 256, 700]))
def test_count_is_met_within_15_percent(
        target: int, vocab_size: int, tied: bool, n_hidden: int | None) -> None:
    base = Config(vocab_size=vocab_size, tied=tied, n_hidden=n_hidden)
    width, layers = parse_size(str(target), base)
    assert repaired(base, resized(base, width, layers)).n_params == pytest.approx(target, rel=0.15)
    assert 4 <= width / layers <= 256


def test_count_means_the_parameters_of_the_base_vocabulary() -> None:
    small = Config(vocab_size=8192)
    assert parse_size("1.3M", small) != parse_size("1.3M")
    assert plan(["1.3M"], ["2M"], small, LIMITS).cells[0].config.n_params == pytest.approx(
        1_300_000, rel=0.15)


@pytest.mark.parametrize(("text", "words"), [
    ("big", "size 'big' is neither a shape nor a parameter count; use 64d/2L or 1.3M"),
    ("", "size '' is neither"), ("0k", "size '0k' is neither"), ("-3M", "size '-3M' is neither"),
    ("64d", "size '64d' is neither"), ("1.3G", "size '1.3G' is neither"),
    ("64d/0L", "size '64d/0L' has n_layer=0; use 1 to 64, as in 64d/2L"),
    ("5000d/2L", "size '5000d/2L' has n_embd=5000; use 8 to 4096, as in 64d/2L"),
    ("63d/2L", "size '63d/2L' has the odd width 63, which no head can halve; use 64d/2L"),
    ("1k", "size '1k' is not within 15% of any shape; the nearest is 8d/1L with 17k parameters"),
])
def test_size_it_cannot_read_is_said_with_an_example(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_size(text)
    assert words in str(refusal.value)


@pytest.mark.parametrize(("text", "n"), [
    ("100k", 100_000), ("2M", 2_000_000), ("1.5M", 1_500_000), ("200000", 200_000), (7, 7),
    ("2m", 2_000_000), ("1.1k", 1100), (" 3k ", 3000)])
def test_token_count_reads_suffixes(text: str | int, n: int) -> None:
    assert parse_tokens(text) == n
    assert type(parse_tokens(text)) is int


@pytest.mark.parametrize("text", ["", "many", "0", 0, -5, "2B", "1e6", "0.5", "1.0001k", "1,000"])
def test_token_count_it_cannot_read_is_said_with_an_example(text: str | int) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_tokens(text)
    assert str(refusal.value) == (
        f"token count '{text}' is not a whole number above zero; use 200k or 2M")


def test_every_size_meets_every_token_count_cheapest_first() -> None:
    found = plan(["128d/4L", "32d/1L", "64d/2L"], ["200k", "100k"], BASE, LIMITS)
    assert [(cell.size, cell.budget_tokens) for cell in found.cells] == [
        ("32d/1L", 100_000), ("32d/1L", 200_000), ("64d/2L", 100_000), ("64d/2L", 200_000),
        ("128d/4L", 100_000), ("128d/4L", 200_000)]
    assert found.skipped == []


def test_a_small_size_on_much_text_waits_for_a_larger_one_on_little() -> None:
    found = plan(["64d/2L", "32d/1L"], ["100k", "2M"], BASE, LIMITS)
    assert [(cell.size, cell.budget_tokens) for cell in found.cells] == [
        ("32d/1L", 100_000), ("64d/2L", 100_000), ("32d/1L", 2_000_000), ("64d/2L", 2_000_000)]


def test_cell_carries_the_recipe_of_its_base_to_its_width() -> None:
    base = Config(n_hidden=256, optimizer="lion", lr=4e-4, clip=0.5)
    cell = plan(["64d/2L"], ["100k"], base, LIMITS).cells[0]
    assert cell.config == Config(n_embd=64, n_layer=2, n_head=2, n_hidden=128, optimizer="lion",
                                 lr=8e-4, clip=0.5)
    assert cell.reason == (
        "size × data grid: 64d/2L on 100,000 tokens; width 128 → 64, layers 4 → 2, heads 4 → 2, "
        "hidden width 256 → 128, learning rate 4e-4 → 8e-4, the rate by 1/width")


@pytest.mark.parametrize(("optimizer", "factor", "said"), [
    ("adamw", 4.0, "1/width"), ("schedule_free", 4.0, "1/width"), ("muon", 2.0, "1/√width")])
def test_the_rate_goes_with_the_width_as_the_optimizer_wants_it(
        optimizer: str, factor: float, said: str) -> None:
    cell = plan(["32d/1L"], ["100k"], Config(optimizer=optimizer, lr=3e-3), LIMITS).cells[0]
    assert cell.config.lr == pytest.approx(factor * 3e-3)
    assert cell.reason.endswith(f", the rate by {said}")


def test_base_itself_is_a_cell_unchanged() -> None:
    base = Config(lr=1.234e-3)
    cell = plan(["128d/4L"], [100_000], base, LIMITS).cells[0]
    assert cell.config == base
    assert cell.reason == "size × data grid: 128d/4L on 100,000 tokens; the base configuration"


def test_cells_that_do_not_fit_are_left_out_with_the_reason() -> None:
    found = plan(["512d/8L", "64d/2L"], ["20k", "100k"], BASE, LIMITS)
    assert [(cell.size, cell.budget_tokens) for cell in found.cells] == [("64d/2L", 100_000)]
    too_large = "34,611,712 parameters, over the limit of 10,000,000 parameters"
    assert found.skipped == [
        Skipped("512d/8L", 20_000, too_large), Skipped("512d/8L", 100_000, too_large),
        Skipped("64d/2L", 20_000, "20 steps of 1,024 tokens, and fewer than 50 steps "
                "tell nothing; give 52k tokens or more")]


@pytest.mark.parametrize(("state", "said"), [
    ("finished", "already done"), ("queued", "already queued"), ("running", "running now"),
    ("pruned", "already given up early"), ("diverged", "already diverged")])
def test_cells_that_have_a_run_are_left_out_and_say_what_it_is(state: str, said: str) -> None:
    found = plan(["128d/4L"], ["100k", "200k"], BASE, LIMITS, {(BASE.hash, 100_000): state})
    assert [cell.budget_tokens for cell in found.cells] == [200_000]
    assert found.skipped == [
        Skipped("128d/4L", 100_000, f"{said} with this configuration and budget", state)]


def test_the_same_cell_twice_runs_once() -> None:
    found = plan(["128d/4L", "1.3M"], ["100k", 100_000], BASE, LIMITS)
    assert [cell.size for cell in found.cells] == ["128d/4L"]
    assert {cell.reason for cell in found.skipped} == {
        "the same cell as an earlier one of this grid"}
    assert len(found.skipped) == 3


def test_one_unreadable_entry_refuses_the_whole_grid() -> None:
    with pytest.raises(ConfigError, match="size '64x2' is neither a shape"):
        plan(["64d/2L", "64x2"], ["100k"], BASE, LIMITS)
    with pytest.raises(ConfigError, match="token count 'lots' is not a whole number"):
        plan(["64d/2L"], ["100k", "lots"], BASE, LIMITS)
