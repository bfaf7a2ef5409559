"""A run by a word, also before there is one: a sentence that says what to do about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger.find import WORDS, find_run
from agent.ledger.ledger import Ledger
from engine.errors import UserError
from tests.support.parts import a_run, a_study


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as found:
        yield found


def said(ledger: Ledger, word: str) -> str:
    with pytest.raises(UserError) as caught:
        find_run(ledger, word)
    return str(caught.value)


@pytest.mark.parametrize("word", [*WORDS, "E7", "latest"])
def test_in_an_empty_ledger_each_word_says_how_to_make_a_run(ledger: Ledger, word: str) -> None:
    assert "`agent run --for 4m` makes " in said(ledger, word) or (
        word in ("harvest", "latest"))  # made by a command of its own; a slip
    assert said(ledger, "harvest").endswith("`agent harvest --for 10m` makes one")
    assert said(ledger, "latest").endswith("did you mean last?")


@pytest.mark.parametrize("word", ["best", "head", "last"])
def test_before_a_first_run_has_ended_it_says_which_waits_or_is_under_way(
        ledger: Ledger, word: str) -> None:
    run = a_run(ledger, strategy="baseline", study=a_study(ledger))
    assert said(ledger, word).endswith("computes B1, which waits")
    ledger.claim("2026-11-20T10:00:00Z", 4242, run_id=run.id)
    assert said(ledger, word).endswith("B1 is under way, and `agent status` tells how far it is")


def test_the_last_run_is_the_one_that_ended_last(ledger: Ledger) -> None:
    study = a_study(ledger)
    runs = [a_run(ledger, seed=seed, strategy="baseline", study=study) for seed in range(3)]
    for run, minute in zip(runs, (5, 9, 7), strict=True):
        ledger.claim("2026-11-20T10:00:00Z", 4242, run_id=run.id)
        ledger.finish(run.id, "finished", f"2026-11-20T10:0{minute}:00Z", val_bpb=2.0)
    a_run(ledger, seed=8)
    assert find_run(ledger, "last").label == "B2"
    assert find_run(ledger, "LAST", study).label == "B2"
