"""A newer optimizer is drawn where it is known, and nothing is drawn otherwise without it."""

from dataclasses import replace

import numpy as np
import pytest

from engine.config import OPTIMIZERS, Config
from strategies import explore, random, tpe
from strategies.base import Limits
from strategies.optimizers import ALWAYS, drawn
from strategies.testing import PARENT, outcome, proposals

MUON = replace(PARENT, optimizer="muon")
ROOM = Limits(max_params=10**9, max_mb=1e6, min_steps=1)


def results(n: int, optimizer: str) -> list[object]:
    return [outcome(optimizer=optimizer, lr=1e-3 * (1 + i / 10), bpb=1.2 + i / 100)
            for i in range(n)]


def optimizers(propose: object, **options: object) -> set[str]:
    return {p.config.optimizer
            for p in proposals(propose, 40, limits=ROOM, **options)}  # type: ignore[arg-type]


def test_what_is_newer_is_drawn_beside_itself_alone() -> None:
    assert drawn([]) == drawn([PARENT, Config(optimizer="lion")]) == ALWAYS
    assert drawn([PARENT, MUON]) == OPTIMIZERS == (*ALWAYS, "muon")


@pytest.mark.parametrize("strategy", [explore, random, tpe])
def test_a_night_without_muon_never_meets_it_and_one_with_it_searches_with_it(
        strategy: object) -> None:
    propose = strategy.propose  # type: ignore[attr-defined]
    assert "muon" not in optimizers(propose)
    found = optimizers(propose, parent=MUON)
    assert "muon" in found
    assert found & {*ALWAYS}


def test_a_model_of_results_moves_to_muon_where_these_are_the_best() -> None:
    worse = [outcome(lr=1e-3 * (1 + i / 10), bpb=1.5 + i / 100) for i in range(20)]
    assert "muon" not in optimizers(tpe.propose, history=worse)
    assert "muon" in optimizers(tpe.propose, history=[*results(6, "muon"), *worse])
    moved = {explore.move(MUON, np.random.default_rng(i), 0.3).optimizer for i in range(40)}
    assert moved > {"muon"}


def test_muon_has_the_rate_and_the_decay_that_adamw_would_have() -> None:
    for i in range(200):
        config = explore._optimizer(MUON, "optimizer", np.random.default_rng(i), 0.1)
        if config["optimizer"] in ("adamw", "muon"):
            assert (config["lr"], config["weight_decay"]) == (PARENT.lr, PARENT.weight_decay)
