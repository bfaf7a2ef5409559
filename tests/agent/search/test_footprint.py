"""What runs here hold beside what their configurations tell: by runs, else by the measuring one."""

import dataclasses
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from agent.machine import machine
from agent.search import footprint
from agent.search.study import Origin, new_run
from engine.training.data import Batches
from strategies.base import Limits, why_not
from tests.support.parts import NOW, TINY, a_study, new_corpus


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        a_study(opened)
        yield opened


def queued(ledger: Ledger, seed: int) -> Run:
    return ledger.queue(new_run(ledger, TINY, seed, 3200, 1, NOW, Origin("random", "to see", 1), 2))


def ended(ledger: Ledger, seed: int, more_mb: float) -> Run:
    run = queued(ledger, seed)
    ledger.claim(NOW, run_id=run.id)
    text_mb = footprint.text_mb(ledger.corpus(1))
    return ledger.finish(run.id, "finished", NOW, tok_per_s=1000.0,
                         peak_mb=TINY.predicted_mb(2) + text_mb + more_mb)


def more_mb(run: Run, ledger: Ledger) -> float:
    return (run.predicted_mb or 0.0) - TINY.predicted_mb(2) - footprint.text_mb(ledger.corpus(1))


def test_the_next_run_is_foreseen_with_what_those_here_have_held(ledger: Ledger) -> None:
    assert more_mb(queued(ledger, 0), ledger) == 0.0  # nothing is known yet
    for seed, mb in enumerate((27.0, 26.0, 90.0), 1):
        ended(ledger, seed, mb)
    assert more_mb(queued(ledger, 9), ledger) == pytest.approx(27.0)  # whatever one of them was


def test_before_the_first_run_the_worker_that_measured_tells(ledger: Ledger) -> None:
    footprint.note(ledger, None, NOW)
    assert ledger.events_of(footprint.MEASURED) == []
    footprint.note(ledger, 15.0, NOW)
    assert more_mb(queued(ledger, 0), ledger) == pytest.approx(15.0)
    ended(ledger, 1, 20.0)
    assert more_mb(queued(ledger, 2), ledger) == pytest.approx(20.0)


def test_stories_that_are_shuffled_are_foreseen_with_what_their_orders_take(
        ledger: Ledger) -> None:
    million = 1_000_000
    shuffled = dataclasses.replace(TINY, shuffle_stories=True)
    assert footprint.stories_mb(TINY, million, 4) == 0.0
    assert footprint.stories_mb(shuffled, million, 1) == pytest.approx(80)
    assert footprint.stories_mb(shuffled, million, 4) == pytest.approx(8 + 4 * 72)
    assert footprint.stories_mb(shuffled, None, 4) == 0.0
    corpus_id = ledger.add_corpus(new_corpus(text_sha256="o" * 64, n_stories_train=million))
    plain, other = (new_run(ledger, config, 7, 3200, corpus_id, NOW,
                            Origin("random", "to see", 1), 2) for config in (TINY, shuffled))
    assert other.predicted_mb == pytest.approx((plain.predicted_mb or 0.0) + 8 + 2 * 72)
    limits = Limits(max_mb=TINY.predicted_mb() + 100, shuffle_mb=101.0)
    assert why_not(TINY, limits) is None
    assert "MB predicted, over the limit" in (why_not(shuffled, limits) or "")


@pytest.mark.parametrize("n_passes", [1, 2, 3])
def test_what_shuffled_stories_are_said_to_take_is_what_they_do(n_passes: int) -> None:
    """At the end of a pass, where its order, the next one's and one in the making lie in memory."""
    tokens, per_story = np.full(400_000, 5, np.uint16), 8
    tokens[::per_story] = 0
    taken = []
    for separator in (None, 0):
        tracemalloc.start()
        batches = Batches(tokens, 32, 0, separator=separator)
        for number in range(1, n_passes + 1):
            batches.take(number * tokens.size // 32 - 4, 8)
        taken.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    mb = 1e-6 * (taken[1] - taken[0])
    foreseen = footprint.shuffle_mb(tokens.size // per_story, 1)
    assert mb < 1.1 * foreseen
    assert n_passes == 1 or mb > 0.9 * foreseen


def test_another_device_tells_nothing_and_less_is_no_reason_to_foresee_less(
        ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    footprint.note(ledger, -9.0, NOW)
    assert more_mb(queued(ledger, 0), ledger) == 0.0
    footprint.note(ledger, 15.0, NOW)
    ended(ledger, 1, 20.0)
    monkeypatch.setattr(machine, "device", lambda: "another")
    assert more_mb(queued(ledger, 2), ledger) == 0.0
