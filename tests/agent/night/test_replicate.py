"""The published recipes as runs: each seed once, few stories as parts, stopped and gone on."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import Home
from agent.ledger.cells import grid_cells
from agent.ledger.ledger import Ledger
from agent.night import launch
from agent.night.launch import Desk, Wish
from agent.night.replicate import recipes_of, run_again
from agent.trial import Source
from engine.config import Config
from engine.errors import UserError
from tests.engine.text.test_corpus import text_file
from tests.support.parts import NOW, Listener
from tests.support.published_rows import PUBLISHED

SMALL = ("vocab_size=300", "seq_len=16", "batch_size=2")


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    with Ledger.open(home.ledger) as ledger:
        ledger.import_published(PUBLISHED, NOW)
        yield Desk(home, ledger, Listener(), lambda *_: None, prove=lambda *_: [])


@pytest.fixture
def wish(at: Desk, tmp_path: Path) -> Wish:
    text = text_file(tmp_path / "text.txt", 200)
    return Wish(Source(str(at.home.data), str(text)), 3000.0, SMALL, n_replicas=1,
                is_text_given=True)


def ended(monkeypatch: pytest.MonkeyPatch, n: int) -> list[str]:
    """Workers that end n runs and are stopped at the next; the sizes in the order they ran."""
    ran: list[str] = []

    def tick(at: Desk, night: Any) -> None:
        if len(ran) < n:
            ran.append(grid_cells(at.ledger)[night.only].size)
            at.ledger.claim(NOW, run_id=night.only)
            at.ledger.finish(night.only, "finished", NOW, val_loss=3.0, val_bpb=1.0)

    monkeypatch.setattr(launch, "_tick_through", tick)
    return ran


def test_every_recipe_runs_on_every_seed_and_what_is_stopped_goes_on(
        at: Desk, wish: Wish, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = ended(monkeypatch, 5)
    assert run_again(at, wish, 2) == 14 - 5
    more = ended(monkeypatch, 99)
    assert run_again(at, wish, 2) == 0
    assert Counter(ran + more) == dict.fromkeys(
        ("B1", "μ1", "μ2", "E2", "E3", "μ3", "100 stories"), 2)
    assert run_again(at, wish, 2) == 0
    cells = grid_cells(at.ledger)
    assert len(cells) == 14
    assert {cell.purpose for cell in cells.values()} == {"replicate"}
    assert {cell.size: cell.unique_asked for cell in cells.values() if cell.unique_asked} == {
        "μ3": "5s", "100 stories": "100s"}
    assert {at.ledger.run(run_id).budget_tokens for run_id, cell in cells.items()
            if cell.size == "B1"} == {2000 * 32}


def test_without_published_rows_it_is_said_how_to_add_them(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger, pytest.raises(
            UserError, match="no published rows to run again; `agent import published.csv`"):
        recipes_of(ledger, Config())
