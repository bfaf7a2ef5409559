"""How long runs will take on this device, of any configuration and in no study.

By what the device has run and measured; where that is nothing, by a measurement that needs neither
a text nor a home and leaves nothing.
"""

import tempfile
from pathlib import Path

import numpy as np

from agent.home import Home
from agent.ledger import Queries
from agent.machine import machine
from agent.search import feasible, study
from agent.trial import Spawn
from engine.config import Config
from engine.text import Tokenizer, TokenSet, Yardsticks, corpus

LEAST_TOKENS = 2**16  # of a text of nothing: some batches of most configurations


def known(ledger: Queries, n_replicas: int) -> feasible.StepTime | None:
    """What this device's runs of all studies tell; None where it has none and measured none."""
    corpora = {one.id: one for one in ledger.corpora()}
    timings = study.timings_of(ledger.timed_runs(
        machine.device(), machine.cores(), feasible.MAX_TIMINGS), corpora)
    measured = next((one for one in ledger.studies() if one.device == machine.device()), None)
    if measured:
        timings.insert(0, feasible.timing_of_study(
            measured, n_replicas, corpora[measured.corpus_id].n_tokens_search))
    found = [timing for timing in timings if timing]
    return feasible.learn(found) if found else None


def measured(config: Config, n_replicas: int, spawn: Spawn,
             look: study.Look = lambda seconds: None) -> feasible.StepTime:
    """The same by a worker that trains some seconds on ids drawn by chance, which take as long as
    any.
    """
    with tempfile.TemporaryDirectory(prefix="phi-auto-") as folder:
        home = Home(Path(folder))
        speed = study.measure(home, any_tokens(home, config), config, n_replicas, spawn,
                              look=look)
    return feasible.learn([feasible.Timing(config, n_replicas, speed.step_s, speed.eval_token_s)])


def any_tokens(home: Home, config: Config) -> TokenSet:
    """Token files of some batches of nothing."""
    home.data.mkdir(parents=True)
    n = max(LEAST_TOKENS, 4 * config.tokens_per_step, 4 * config.seq_len)
    ids = np.random.default_rng(0).integers(config.vocab_size, size=n).astype(np.uint16)
    path, tokenizer = home.data / "any.npy", Tokenizer([])
    np.save(path, ids)
    tokenizer.save(home.data / "tokenizer.json")
    return TokenSet(
        corpus.Corpus("any", "file", home.data, "", {}), config.vocab_size,
        home.data / "tokenizer.json", tokenizer.sha256,
        dict.fromkeys(("train", "search"), path), {"search": n}, {"search": n},
        Yardsticks(0.0, 0.0, 0.0, 0.0))
