"""Parts, seeds and rates beside sizes and tokens: which cells there are, and which are not."""

import dataclasses
from collections import Counter
from collections.abc import Mapping

import pytest

from agent.night import crossing
from agent.night.crossing import Crossing, Table
from engine.config import Config
from engine.errors import ConfigError
from engine.text import corpus
from engine.text.corpus import TokenSet
from strategies.base import Limits
from strategies.grid import sized
from strategies.trunk import warm_steps
from tests.engine.text.test_corpus import text_file

BASE = Config(vocab_size=300, seq_len=16, batch_size=4)
SIZES, TOKENS = ["30k", "60k", "120k"], ["2k", "20k", "200k"]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    return corpus.prepare_tokens(corpus.from_file(root, text_file(root / "text.txt", 40)), 300)


def table(known: Mapping[crossing.Key, str] | None = None, sizes: list[str] = SIZES) -> Table:
    return Table(sizes=sizes, tokens=TOKENS, base=BASE, limits=Limits(max_vocab=300, min_steps=1),
                 seed=7, known=known or {})


def test_alone_it_is_every_size_on_every_amount_once() -> None:
    cells = crossing.plan(table(), Crossing(), None).cells
    assert len(cells) == 9
    assert {(cell.unique, cell.seed, cell.rate) for cell in cells} == {(None, 7, None)}


def test_more_seeds_are_of_the_corners_and_the_centre_of_each_family() -> None:
    sizes = [f"{family} {n}" for family in ("balanced", "deep") for n in SIZES]
    cells = crossing.plan(table(sizes=sizes), Crossing(n_seeds=3), None).cells
    seeds = Counter((cell.size, cell.budget_tokens) for cell in cells)
    assert sum(seeds.values()) == 18 + 2 * 10
    assert {key for key, n in seeds.items() if n == 3} == {
        (f"{family} {size}", tokens) for family in ("balanced", "deep") for size, tokens in (
            ("30k", 2000), ("30k", 200_000), ("120k", 2000), ("120k", 200_000), ("60k", 20_000))}
    assert {cell.seed for cell in cells} == {7, 8, 9}


def test_a_part_has_no_cell_where_nothing_would_be_seen_twice(text: TokenSet) -> None:
    found = crossing.plan(table(), Crossing(("10s", "all")), text)
    part = [cell.budget_tokens for cell in found.cells if cell.unique == "10s"]
    assert sorted(set(part)) == [20_000, 200_000]
    (skipped,) = {one.reason for one in found.skipped}
    assert "none would be seen twice" in skipped
    assert all("; 10 stories" in cell.reason for cell in found.cells if cell.unique)


def test_a_part_shorter_than_two_windows_is_left_out(text: TokenSet) -> None:
    found = crossing.plan(table(), Crossing(("20",)), text)
    assert found.cells == []
    assert "windows of 16, which need 32" in found.skipped[0].reason


def test_what_ran_on_all_of_the_text_did_not_run_on_a_part(text: TokenSet) -> None:
    config = sized("30k", BASE)
    done = {(text.corpus.sha256, 7, config.hash, 200_000): "finished"}
    found = crossing.plan(table(done), Crossing(("10s", "all")), text)
    assert [(one.size, one.unique, one.state) for one in found.skipped if one.state] == [
        ("30k", None, "finished")]


def test_rates_are_of_the_smallest_and_the_largest_size_beside_the_rules() -> None:
    cells = [cell for cell in crossing.plan(table(), Crossing(n_rates=3), None).cells if cell.rate]
    assert {(cell.size, cell.rate) for cell in cells} == {
        (size, rate) for size in ("30k", "120k") for rate in (0.5, 2.0)}
    assert {cell.budget_tokens for cell in cells} == {20_000}
    for cell in cells:
        assert cell.config.lr == pytest.approx(cell.rate * sized(cell.size, BASE).lr)
    assert len(crossing.plan(table(), Crossing(n_rates=3), None).cells) == 9 + 4


def test_rates_without_a_middle_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 rates have no middle one, which is the rule's; use 3"):
        crossing.plan(table(), Crossing(n_rates=2), None)


def test_a_rate_beyond_all_is_named_with_its_size() -> None:
    wild = dataclasses.replace(table(), base=dataclasses.replace(BASE, lr=0.9))
    with pytest.raises(ConfigError, match="times the rate of 30k is none to tune with: lr="):
        crossing.plan(wild, Crossing(n_rates=5), None)


def test_cheapest_first_whatever_is_crossed(text: TokenSet) -> None:
    cells = crossing.plan(table(), Crossing(("10s", "all"), 2, 3), text).cells
    costs = [cell.config.flops_per_token * cell.budget_tokens for cell in cells]
    assert costs == sorted(costs)


@pytest.mark.parametrize(("size", "base", "family"), [
    ("deep 30k", BASE, "deep"), ("30k", BASE, "balanced"), ("64d/2L", BASE, "balanced"),
    ("30k", Config(mixer="rwkv"), "rwkv")])
def test_a_size_tells_its_family(size: str, base: Config, family: str) -> None:
    assert crossing.family_of(size, base) == family


def test_cells_of_a_trunk_are_branches_of_their_row_and_rates_of_its_middle_one(
        text: TokenSet) -> None:
    cells = crossing.plan(table(), Crossing(n_rates=3, is_trunk=True), None).cells
    by_row: dict[tuple[str, float | None], set[int]] = {}
    for cell in cells:
        assert cell.config.schedule == "wsd"
        by_row.setdefault((cell.size, cell.rate), set()).add(
            warm_steps(cell.config, cell.budget_tokens))
    assert len(cells) == 9 + 4
    assert all(len(steps) == 1 for steps in by_row.values())
    (whole,) = crossing.parts_of(("all",), text)
    key = whole.text_sha256 or "", 7, cells[0].config.hash, cells[0].budget_tokens
    again = crossing.plan(table({key: "finished"}), Crossing(is_trunk=True), text)
    assert [one.state for one in again.skipped] == ["finished"]
