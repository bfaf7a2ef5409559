"""A model from elsewhere becomes a folder that the sampler and Python load."""

from pathlib import Path

import numpy as np

import engine
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.trial import sampler
from agent.trial.adoption import adopt
from tests.support.example_ledger import NOW
from tests.support.example_models import a_model


def test_it_says_there_what_it_said_before(tmp_path: Path) -> None:
    home, model = Home(tmp_path), a_model(n_kv_head=2, tied=True)
    with Ledger.open(home.ledger) as ledger:
        run = adopt(ledger, home, model, "a folder", NOW)
        assert adopt(ledger, home, model, "elsewhere", NOW) == run
        assert adopt(ledger, home, a_model(seed=1, n_kv_head=2, tied=True), "b", NOW).label == "M2"
    found = sampler.load(run, home.run(run.uid)).model
    assert found.config == model.config
    np.testing.assert_array_equal(found.flat.buffer, model.params.buffer)
    assert engine.load(home.run(run.uid).root).tokenizer.merges == model.tokenizer.merges
