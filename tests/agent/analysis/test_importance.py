"""Which fields mattered, out of a ledger: by the model of all runs, and along the chain."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.analysis.importance import (
    MOST_JUDGED,
    ChainGain,
    Ranking,
    gains_by_fields,
    history,
    looked_at,
    outcome_of,
    rank,
)
from agent.analysis.lineage import lineage_of
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from engine.config import LATER, Config
from engine.errors import LedgerError
from tests.agent.analysis.test_compare import ended
from tests.support import example_ledger as example
from tests.support.example_ledger import BUDGET, NOW

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        example.add_corpus(opened)
        example.add_study(opened)
        yield opened


# --- the published night ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Ranking:
    """The research record's first study: 78 runs, of which the two changes of the rate made most.

    Its chain gained 0.54 bits a byte, 0.33 of them by the learning rate alone.
    """
    path = shutil.copy(ROOT / "ledger.db", tmp_path_factory.mktemp("record") / "ledger.db")
    with Reader.open(Path(path)) as reader:
        study = reader.calibration(1)
        return rank(reader, study.text_sha256, study.budget_tokens, reader.run("E54"))


def test_on_the_published_night_the_learning_rate_comes_first(published: Ranking) -> None:
    first, second = published.fields[:2]
    assert (first.name, first.told) == ("lr", True)
    assert first.share > 5 * second.share
    late = [one.share for one in published.fields if one.name in ("beta1", "clip")]
    assert max(late) < 0.02  # moved late and by little


def test_on_the_published_night_the_chain_gained_most_by_the_learning_rate(
        published: Ranking) -> None:
    assert (published.first, published.last) == ("B2", "E54")
    assert published.chain[0] == ChainGain(fields=("lr",), gain_bpb=pytest.approx(0.333, abs=2e-3),
                                           n_steps=3)
    assert published.chain[1] == ChainGain(
        fields=("seq_len", "batch_size"), gain_bpb=pytest.approx(0.092, abs=2e-3), n_steps=7)
    assert published.total_bpb == pytest.approx(0.5416, abs=1e-4)


def test_on_the_published_night_what_one_run_moved_at_once_is_not_told_apart(
        published: Ranking) -> None:
    others = {one.name: (one.told, one.others) for one in published.fields}
    assert others["rope_base"] == (False, ("n_hidden",))
    assert others["n_hidden"] == (False, ("rope_base",))
    assert others["optimizer"] == (False, ())  # one run with Lion, far from the others
    assert published.never_changed == ["grad_accum", "decay_frac"]


# --- from the ledger -------------------------------------------------------------------------


def test_seeds_of_a_configuration_count_once_by_their_mean(ledger: Ledger) -> None:
    for seed, bpb in enumerate((1.0, 2.0)):
        ended(ledger, Config(), seed, bpb)
    ended(ledger, Config(lr=1e-3), 0, 1.8)
    for state, lr in (("diverged", 0.1), ("pruned", 0.2)):
        ledger.finish(example.queue(ledger, Config(lr=lr)).id, state, NOW,  # type: ignore[arg-type]
                      **({} if state == "diverged" else {"val_bpb": 2.5, "rung_bpb": 2.5}))
    trials, n_seeds = history([outcome_of(run, run.config, BUDGET)
                               for run in ledger.runs_on("aa", BUDGET)], BUDGET)
    assert [(one.config.lr, one.bpb) for one in trials] == [
        (3e-3, 1.5), (1e-3, 1.8), (0.1, 2.0), (0.2, 2.5)]
    assert n_seeds == [2, 1, 1, 1]


def test_of_very_many_runs_the_best_are_looked_at_and_others_evenly() -> None:
    runs: list[Any] = [SimpleNamespace(id=i, seed=0, state="finished", val_bpb=2.0 - i / 1e4,
                                       rung_bpb=None) for i in range(3 * MOST_JUDGED)]
    seen = looked_at(runs)
    assert len(seen) == MOST_JUDGED
    assert {one.id for one in seen} >= set(range(len(runs) - MOST_JUDGED // 2, len(runs)))
    assert [one.id for one in seen] == sorted(one.id for one in seen)
    assert seen[0].id < 10
    assert looked_at(runs[:MOST_JUDGED]) == runs[:MOST_JUDGED]


def test_what_says_nothing_of_its_configuration_is_left_out(ledger: Ledger) -> None:
    for i in range(10):
        ended(ledger, Config(lr=1e-3 * (i + 1)), 0, 2.0 + i / 10)
    for state, lr in (("killed", 0.2), ("failed", 0.3)):
        ledger.finish(example.queue(ledger, Config(lr=lr)).id, state, NOW)  # type: ignore[arg-type]
    example.queue(ledger, Config(lr=0.4))
    found = rank(ledger, "aa", BUDGET, None)
    assert (found.text, found.n_runs, found.n_configs, found.n_points) == ("stories", 10, 10, 10)
    assert (found.best_bpb, found.worst_bpb) == (2.0, 2.9)


def test_the_field_that_decides_comes_first_and_the_idle_one_last(ledger: Ledger) -> None:
    for i in range(18):
        ended(ledger, Config(lr=1e-3 * (i + 1), clip=0.5 + i * 7 % 5 / 4, tied=i % 3 == 0), 0,
              2.0 + abs(i - 7) / 10 + 0.2 * (i % 3 == 0))
    found = rank(ledger, "aa", BUDGET, None)
    assert [one.name for one in found.fields] == ["lr", "tied", "clip"]
    assert [one.title for one in found.fields] == ["learning rate", "tied head", "clipping norm"]
    assert found.fields[0].low < found.fields[0].share < found.fields[0].high
    assert len(found.never_changed) == len(Config().to_dict()) - len(LATER) - 3
    assert found.chain == []
    assert (found.first, found.last, found.total_bpb) == (None, None, None)


def test_steps_are_summed_by_what_they_changed(ledger: Ledger) -> None:
    parent = ended(ledger, Config(), 0, 2.0)
    for changes, bpb in (({"lr": 2e-3}, 1.8), ({"lr": 1e-3}, 1.7), ({"clip": 0.5}, 1.75),
                         ({"seq_len": 64, "batch_size": 16}, 1.4)):
        config = Config.from_dict(parent.config | changes)
        parent = ended(ledger, config, 0, bpb, parent_id=parent.id)
    assert gains_by_fields(lineage_of(ledger, parent)) == [
        ChainGain(fields=("seq_len", "batch_size"), gain_bpb=pytest.approx(0.35), n_steps=1),
        ChainGain(fields=("lr",), gain_bpb=pytest.approx(0.3), n_steps=2),
        ChainGain(fields=("clip",), gain_bpb=pytest.approx(-0.05), n_steps=1)]


def test_json_has_a_name_for_every_number(ledger: Ledger) -> None:
    head = None
    for i in range(12):
        head = ended(ledger, Config(lr=1e-3 * (i + 1)), 0, 3.0 - i / 10,
                     parent_id=None if head is None else head.id)
    found = rank(ledger, "aa", BUDGET, head).as_dict()
    assert found.keys() == {
        "text", "budget_tokens", "n_runs", "n_configs", "n_points", "model", "best_bpb",
        "worst_bpb", "fields", "never_changed", "pairs", "largest_pairs", "first", "last",
        "total_bpb", "chain"}
    assert found["fields"][0].keys() == {"name", "title", "share", "low", "high", "told", "with"}
    assert found["chain"] == [{"fields": ("lr",), "gain_bpb": pytest.approx(1.1), "n_steps": 11}]


def test_too_few_runs_are_one_sentence(ledger: Ledger) -> None:
    ended(ledger, Config(), 0, 2.0)
    with pytest.raises(LedgerError, match=(
            "importance takes at least 10 configurations that ended on one text and budget, and "
            "here are 1 with 2,048,000 tokens; `agent run` makes more")):
        rank(ledger, "aa", BUDGET, None)
