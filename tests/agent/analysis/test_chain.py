"""The chain from rows against `lineage`, which asks the ledger for each step."""

import itertools
from pathlib import Path

import pytest

from agent.analysis.chain import MOST_STEPS, chain_of
from agent.analysis.findings import find_out
from agent.analysis.lineage import head, lineage_of
from agent.ledger.reader import glance
from engine.config import Config
from tests.support.run_rows import row

RECORD = Path(__file__).parents[3] / "ledger.db"


def test_it_says_what_the_lineage_of_the_published_runs_says() -> None:
    with glance(RECORD) as ledger:
        long = lineage_of(ledger, head(ledger))
        chain = find_out(ledger, None, "2026-11-29T00:00:00Z").chain
    assert chain is not None
    assert (chain.first, chain.last) == (long.steps[0].run.label, long.steps[-1].run.label)
    for link, step in zip(chain.links, long.steps[1:], strict=True):
        assert (link.label, link.changes, link.gain) == (step.run.label, step.changes, step.gain)
        assert (link.claim is None) == (step.claim is None)
    assert chain.total == long.total


def test_a_chain_of_thousands_is_cut_to_its_end_and_a_circle_ends() -> None:
    rows = [row(i, Config(lr=1e-3 + i * 1e-7), parent_id=i - 1, val_bpb=2 - i / 3000,
                ended_at=None) for i in range(1, 3001)]
    chain = chain_of(rows[-1], {one.id: one for one in rows}, rows, [], None)
    assert (chain.first, len(chain.links), chain.n_before) == ("E1", MOST_STEPS, 2999 - MOST_STEPS)
    assert chain.links[-1].gain is not None
    assert chain.links[-1].gain.bpb == pytest.approx(1 / 3000)
    both = [row(1, parent_id=2), row(2, parent_id=1)]
    assert len(chain_of(both[1], {one.id: one for one in both}, both, [], 0.1).links) == 1


def test_a_published_parent_has_no_changes_and_no_gain() -> None:
    rows = [row(1, source="published", config='{"lr": 3e-5}', config_hash=None),
            row(2, parent_id=1)]
    (link,) = chain_of(rows[1], {one.id: one for one in rows}, rows[1:], [], None).links
    assert (link.changes, link.gain) == ("", None)


def test_gains_take_every_seed_of_a_configuration() -> None:
    old, new = Config(), Config(lr=1e-3)
    scores = [(old, 0, 1.5), (old, 1, 1.6), (new, 0, 1.4), (new, 1, 1.45)]
    rows = [row(i + 1, config, seed=seed, val_bpb=bpb, parent_id=1 if config is new else None)
            for i, (config, seed, bpb) in enumerate(scores)]
    chain = chain_of(rows[2], {one.id: one for one in rows}, rows, [], 0.01)
    (gain,) = itertools.chain(link.gain for link in chain.links)
    assert gain is not None
    assert (gain.how, gain.bpb) == ("paired", pytest.approx(0.125))
