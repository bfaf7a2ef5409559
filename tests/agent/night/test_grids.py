"""A grid before it runs: its cells, their time, and nothing written where it was only asked."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.cells import grid_cells, is_on_text
from agent.ledger.ledger import Ledger
from agent.night.crossing import Crossing
from agent.night.grids import Forecast, foresee_grid, queue_grid
from agent.night.launch import Desk, Wish
from agent.search import footprint, foresight
from agent.search.feasible import Timing, learn
from agent.trial import Source
from agent.trial.runner import job_of
from engine.config import Config
from engine.errors import ConfigError
from tests.engine.text.test_corpus import text_file
from tests.support.parts import MODEL, NOW, Listener

SIZES, TOKENS = ["16d/1L", "32d/1L"], ["20k", "40k"]


@pytest.fixture(autouse=True)
def speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose baseline takes a second a step."""
    def measured(config: Config, n_replicas: int, spawn: Any, look: Any) -> Any:
        look(0.5)
        return learn([Timing(config, n_replicas, 1.0)])

    monkeypatch.setattr(foresight, "measured", measured)


def wish(home: Home, text: Path, settings: tuple[str, ...] = ()) -> Wish:
    return Wish(Source(str(home.data), str(text)), 3000.0, (*MODEL, *settings), n_replicas=1)


def queued(home: Home, text: Path, sizes: list[str] = SIZES,
           settings: tuple[str, ...] = ()) -> Forecast:
    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, Listener(), lambda *_: None)
        return queue_grid(at, wish(home, text, settings), sizes, TOKENS)


def foreseen(home: Home, text: Path, sizes: list[str] = SIZES,
             settings: tuple[str, ...] = ()) -> Forecast:
    return foresee_grid(home, wish(home, text, settings), sizes, TOKENS, lambda *_: None)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return text_file(tmp_path / "text.txt", 40)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def tree(root: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
            for path in sorted(root.rglob("*"))}


def test_asked_about_in_a_home_that_is_not_there_none_is_made(home: Home, text: Path) -> None:
    before = tree(text.parent)
    found = foreseen(home, text)
    assert tree(text.parent) == before
    assert len(found.plan.cells) == 4
    assert not found.is_text_known


def test_a_cell_takes_its_share_of_the_whole(home: Home, text: Path) -> None:
    found = foreseen(home, text)
    times = dict(zip(((cell.size, cell.budget_tokens) for cell in found.plan.cells), found.run_s,
                     strict=True))
    assert times["32d/1L", 40_000] > times["16d/1L", 40_000] > times["16d/1L", 20_000]
    # 40,000 tokens of the baseline are 625 steps of a second each.
    assert times["16d/1L", 40_000] == pytest.approx(625, rel=0.2)
    assert found.total_s == pytest.approx(sum(times.values()))


def test_asked_about_in_a_home_with_text_and_ledger_nothing_changes(
        home: Home, text: Path) -> None:
    home.root.mkdir()
    queued(home, text, ["16d/1L"])
    before = tree(text.parent)
    found = foreseen(home, text)
    assert tree(text.parent) == before
    assert found.is_text_known
    assert [cell.size for cell in found.plan.cells] == ["32d/1L", "32d/1L"]


def test_what_waits_is_queued_and_not_done(home: Home, text: Path) -> None:
    home.root.mkdir()
    queued(home, text)
    states: dict[int, Any] = {1: "running", 2: "finished", 3: "diverged"}
    with Ledger.open(home.ledger) as ledger:
        for number, state in states.items():
            ledger.claim(NOW, run_id=number)
            if state != "running":
                ledger.finish(number, state, NOW, val_bpb=2.0)
    found = foreseen(home, text)
    assert found.plan.cells == []
    assert sorted(found.cells().values()) == ["diverged", "done", "queued", "running"]


def test_a_cell_that_ran_in_an_earlier_order_of_the_text_is_not_run_again(
        home: Home, text: Path) -> None:
    home.root.mkdir()
    queued(home, text, settings=("data_order=linear",))
    assert foreseen(home, text).plan.cells == []
    assert len(foreseen(home, text, settings=("data_order=circular",)).plan.cells) == 4


def test_a_cell_that_failed_or_was_killed_is_tried_again_and_says_so(
        home: Home, text: Path) -> None:
    home.root.mkdir()
    queued(home, text)
    with Ledger.open(home.ledger) as ledger:
        ledger.finish(1, "failed", NOW, error="no memory")
        ledger.finish(2, "killed", NOW)
    found = foreseen(home, text)
    assert len(found.plan.cells) == 2
    assert found.again == ["G1 was this cell and is failed: no memory",
                           "G2 was this cell and is killed: no reason was told"]
    queued(home, text)
    with Ledger.open(home.ledger) as ledger:
        assert [run.label for run in ledger.runs("queued")] == ["G3", "G4", "G5", "G6"]


def test_the_time_of_each_cell_is_noted_with_the_grid(home: Home, text: Path) -> None:
    home.root.mkdir()
    found = queued(home, text)
    with Ledger.open(home.ledger) as ledger:
        (event,) = ledger.events_of("grid")
    assert event.data is not None
    assert event.data["run_s"] == dict(zip(("G1", "G2", "G3", "G4"), found.run_s, strict=True))


def test_what_cannot_be_read_is_refused_before_a_text_is_made(home: Home, text: Path) -> None:
    home.root.mkdir()
    with pytest.raises(ConfigError, match="size '3x4' is neither a shape"):
        queued(home, text, ["3x4"])
    assert not home.data.exists()


def test_as_json_it_has_the_time_of_each_cell(home: Home, text: Path) -> None:
    found = foreseen(home, text).as_dict()
    assert [set(cell) for cell in found["cells"]] == [
        {"config", "budget_tokens", "reason", "size", "unique", "seed", "rate", "run_s",
         "n_params", "predicted_mb"}] * 4
    assert found["total_s"] > 0


def test_a_size_named_twice_has_one_row(home: Home, text: Path) -> None:
    found = foreseen(home, text, ["16d/1L", "16d/1L"])
    assert found.sizes == ["16d/1L"]
    assert set(found.cells().values()) != {"left out"}


def test_the_plan_goes_by_what_was_asked(home: Home, text: Path) -> None:
    asked = dataclasses.replace(wish(home, text), settings=[*MODEL, "lr=1e-3"])
    found = foresee_grid(home, asked, ["16d/1L"], ["20k"], lambda *_: None)
    assert found.plan.cells[0].config.lr == 1e-3


def test_parts_seeds_and_rates_are_queued_once_and_noted_with_their_runs(
        home: Home, text: Path) -> None:
    home.root.mkdir()
    crossed = Crossing(("2s", "all"), 2, 3)
    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, Listener(), lambda *_: None)
        found = queue_grid(at, wish(home, text), SIZES, TOKENS, crossed)
        cells = grid_cells(ledger)
        assert len(cells) == len(found.plan.cells) == 2 * (4 + 4) + 4
        assert Counter(cell.purpose for cell in cells.values()) == {None: 16, "rate": 4}
        (n_part,) = {cell.unique_tokens for cell in cells.values() if cell.unique_asked}
        parts = [run for run in ledger.runs() if cells[run.id].unique_asked]
        assert {ledger.corpus(run.corpus_id or 0).n_tokens_train for run in parts} == {n_part}
        whole = ledger.corpus(1)
        assert all(is_on_text(ledger, run, whole.text_sha256) for run in ledger.runs())
        job_tokens = at.tokens(wish(home, text).source)(300)
        assert job_of(parts[0], job_tokens, None, None, n_part).unique_tokens == n_part
        assert queue_grid(at, wish(home, text), SIZES, TOKENS, crossed).plan.cells == []
    again = foresee_grid(home, wish(home, text), SIZES, TOKENS, lambda *_: None, crossed)
    assert again.plan.cells == []
    assert set(again.cells().values()) == {"queued"}
    assert again.rows == ["16d/1L, 2s", "32d/1L, 2s", "16d/1L", "32d/1L"]


def test_memory_is_foreseen_as_that_of_the_runs_that_are_queued(home: Home, text: Path) -> None:
    """With what was measured here: a cell that it makes too large is left out, not failed later."""
    home.root.mkdir(exist_ok=True)
    with Ledger.open(home.ledger) as ledger:
        footprint.note(ledger, 100.0, NOW)
    found = queued(home, text)
    with Ledger.open(home.ledger) as ledger:
        taken = [run.predicted_mb for run in ledger.runs()]
    assert [cell["predicted_mb"] for cell in found.as_dict()["cells"]] == pytest.approx(taken)
    tight = dataclasses.replace(wish(home, text), max_ram_mb=min(filter(None, taken)) - 50.0)
    assert foresee_grid(home, tight, ["8d/1L"], ["20k"], lambda *_: None).plan.cells == []


def test_a_row_on_a_trunk_costs_its_longest_run_and_the_ends_of_the_others(
        home: Home, text: Path) -> None:
    plain, trunk = (foresee_grid(home, wish(home, text, ("schedule=wsd",)), ["16d/1L"],
                                 ["20k", "40k", "80k"], lambda *_: None,
                                 Crossing(is_trunk=is_trunk)) for is_trunk in (False, True))
    assert trunk.total_s < 0.75 * plain.total_s
    assert trunk.run_s[0] == plain.run_s[0]
    assert (plain.alone_s, trunk.alone_s) == (None, plain.total_s)
    assert len(trunk.plan.cells) == 3
    home.root.mkdir(exist_ok=True)
    with Ledger.open(home.ledger) as ledger:
        at = Desk(home, ledger, Listener(), lambda *_: None)
        queue_grid(at, wish(home, text), ["16d/1L"], ["20k", "40k"], Crossing(is_trunk=True))
        assert {cell.purpose for cell in grid_cells(ledger).values()} == {"trunk"}
