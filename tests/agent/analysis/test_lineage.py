"""The chain from the baseline to the head."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.analysis.lineage import head, lineage_of
from agent.ledger.ledger import Ledger
from agent.ledger.records import Run
from engine.config import Config
from engine.errors import LedgerError
from tests.agent.analysis.test_compare import ended
from tests.support import example_ledger as example
from tests.support.example_ledger import NOW

CHAIN = (Config(), Config(lr=2e-3), Config(lr=2e-3, n_embd=64))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        opened.update_calibration(example.add_study(opened), n=3, sigma_bpb=0.01)
        yield opened


def a_chain(ledger: Ledger) -> list[Run]:
    """Three runs, each the parent of the next, 0.1 bits a byte apart."""
    runs: list[Run] = []
    for i, config in enumerate(CHAIN):
        runs.append(ended(ledger, config, 0, 2.0 - i / 10,
                          parent_id=runs[-1].id if runs else None))
        verdict = "kept" if i else "baseline"
        ledger.decide(runs[-1].id, None, verdict, "rule/1", {}, "it is so", NOW)
    return runs


def test_each_step_has_what_it_changed_and_its_own_gain(ledger: Ledger) -> None:
    runs = a_chain(ledger)
    found = lineage_of(ledger, runs[-1])
    assert [step.run.id for step in found.steps] == [run.id for run in runs]
    assert [step.verdict for step in found.steps] == ["baseline", "kept", "kept"]
    assert [step.changes for step in found.steps] == [
        "", "learning rate 3e-3 → 2e-3", "width 128 → 64"]
    assert [step.gain and round(step.gain.bpb, 6) for step in found.steps] == [None, 0.1, 0.1]
    assert found.total is not None
    assert found.total.bpb == pytest.approx(0.2)


def test_paired_seeds_give_a_step_its_interval(ledger: Ledger) -> None:
    runs = a_chain(ledger)
    for i, config in enumerate(CHAIN[:2]):  # the parent and the child once more, on a fresh seed
        ended(ledger, config, 5, 2.3 - 0.12 * i)
    steps = lineage_of(ledger, runs[-1]).steps
    assert [step.n_seeds for step in steps] == [2, 2, 1]
    assert steps[1].gain is not None
    assert (steps[1].gain.how, steps[1].gain.bpb) == ("paired", pytest.approx(0.11))
    assert steps[1].gain.low is not None
    assert steps[1].gain.low < 0.11
    assert steps[2].gain is not None
    assert steps[2].gain.low is None


def test_a_verdict_is_the_newest_and_any_word(ledger: Ledger) -> None:
    runs = a_chain(ledger)
    with ledger._writing():
        ledger._insert("decisions", {
            "decided_at": NOW, "run_id": runs[1].id, "against_id": None, "verdict": "confirmed",
            "rule": "rule/2", "evidence": {}, "reason": "fresh seeds say so"})
    assert lineage_of(ledger, runs[-1]).steps[1].verdict == "confirmed"


def test_a_run_without_verdict_shows_its_state_and_no_gain(ledger: Ledger) -> None:
    waiting = example.queue(ledger, Config(lr=9e-4), parent_id=a_chain(ledger)[0].id)
    last = lineage_of(ledger, waiting).steps[-1]
    assert (last.verdict, last.gain, last.n_seeds) == ("queued", None, 0)


def test_a_parent_on_another_text_gives_no_gain(ledger: Ledger) -> None:
    other = example.add_corpus(ledger, text_sha256="zz")
    parent = ended(ledger, Config(), 0, 2.0, corpus_id=other)
    found = lineage_of(ledger, ended(ledger, CHAIN[1], 0, 1.9, parent_id=parent.id))
    assert [step.gain for step in found.steps] == [None, None]
    assert found.total is None


def test_a_ring_of_parents_ends(ledger: Ledger) -> None:
    runs = a_chain(ledger)
    with ledger._writing():
        ledger._update("runs", runs[0].id, {"parent_id": runs[2].id})
    assert len(lineage_of(ledger, runs[2]).steps) == 3


def test_a_published_row_is_a_chain_of_itself(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        example.fill(ledger)
        (only,) = lineage_of(ledger, ledger.run("B1")).steps
        assert (only.n_seeds, only.changes) == (0, "")


def test_the_head_is_that_of_the_newest_study(ledger: Ledger) -> None:
    runs = a_chain(ledger)
    assert head(ledger).id == runs[-1].id
    with ledger._writing():
        ledger._db.execute("INSERT INTO calibrations (created_at, corpus_id, text_sha256, "
                           "budget_tokens, config) SELECT created_at, corpus_id, text_sha256, 7, "
                           "config FROM calibrations")
    with pytest.raises(LedgerError, match="no baseline of study 2 has finished yet, so its chain "
                                          "has not begun; `agent run` goes on"):
        head(ledger)


def test_without_a_study_there_is_no_head(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger, pytest.raises(
            LedgerError, match="has no study yet; `agent run --for 4m` begins one"):
        head(ledger)
