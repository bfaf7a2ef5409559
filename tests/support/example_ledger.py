"""A small night in a ledger, built through the Ledger's own methods, for tests of what reads it."""

import dataclasses
import functools
import itertools
import tempfile
import uuid
from pathlib import Path
from typing import Any

from agent.ledger.ledger import Ledger
from agent.ledger.records import Metric, NewCalibration, NewCorpus, NewRun, Run
from engine.config import Config

START = "2026-03-24T22:00:00Z"
NOW = "2026-03-24T22:30:20Z"
DEADLINE = "2026-03-25T06:00:00Z"
BUDGET = 2_048_000  # 2,000 steps of the default configuration
BITS_PER_NAT = 0.4636  # bits a byte for a nat a token, on this corpus

PUBLISHED = (
    "ID,Date,Params,Config,Steps,val_loss,vs Unigram,Status,Notes\n"
    "B1,03-24,1.3M,128d/4L Lion lr=3e-5,2000,6.17,-1.3%,Baseline,Plateau at unigram level\n"
    "μ1,03-24,1.3M,128d/4L AdamW lr=3e-4,300,6.37,+1.9%,Micro,AdamW converges 3x faster\n")


def add_corpus(ledger: Ledger, **changes: Any) -> int:
    corpus = NewCorpus(
        name="stories", source="builtin", text_sha256="aa", vocab_size=1024,
        tokenizer_sha256="bb", search_sha256="cc", created_at=START, n_stories_train=19000,
        n_tokens_train=3_100_000, n_tokens_search=104_000, n_bytes_search=311_000,
        uniform_nats=6.931, unigram_nats=5.78, bigram_nats=3.44, trigram_nats=2.86,
        unigram_bpb=5.78 * BITS_PER_NAT, bigram_bpb=3.44 * BITS_PER_NAT,
        trigram_bpb=2.86 * BITS_PER_NAT)
    return ledger.add_corpus(dataclasses.replace(corpus, **changes))


def add_study(ledger: Ledger, corpus_id: int = 1, config: Config | None = None) -> int:
    return ledger.add_calibration(NewCalibration(
        created_at=START, corpus_id=corpus_id, text_sha256="aa", budget_tokens=BUDGET,
        config=(config or Config()).to_dict()))


def queue(ledger: Ledger, config: Config | None = None, **changes: Any) -> Run:
    config = config or Config()
    new = NewRun(uid=uuid.uuid4().hex, created_at=START, strategy="random", config=config, seed=0,
                 budget_tokens=BUDGET, corpus_id=1, calibration_id=1, reason="to see",
                 predicted_mb=173.0)
    return ledger.queue(dataclasses.replace(new, **changes))


def claim(ledger: Ledger, at: str, pid: int | None = 4242) -> Run:
    run = ledger.claim(at, pid)
    assert run is not None
    return run


def log_steps(ledger: Ledger, run: Run, losses: list[float], at: str,
              steps_apart: int = 100) -> None:
    """A training and a validation loss every steps_apart steps, at 20,000 tokens a second."""
    ledger.ingest(run.id, [
        Metric(step, step * 1024, train_loss=loss - 0.05, val_loss=loss,
               val_bpb=loss * BITS_PER_NAT, lr=3e-3, grad_norm=0.8, tok_per_s=20_000.0)
        for step, loss in zip(itertools.count(steps_apart, steps_apart), losses,
                              strict=False)], 0, at)


def finish(ledger: Ledger, run: Run, nats: float, at: str) -> Run:
    return ledger.finish(run.id, "finished", at, steps=2000, tokens=BUDGET, val_loss=nats,
                         val_bpb=nats * BITS_PER_NAT, vs_unigram=nats / 5.78 - 1,
                         train_loss=nats - 0.05, peak_mb=168.4, tok_per_s=20_000.0,
                         duration_s=104.0, device="test board, 2 cores", code_version="0.1.0")


@functools.cache
def filled() -> bytes:
    """The file of a ledger that `fill` has filled; a copy is made faster than another night."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        with Ledger.open(path) as ledger:
            fill(ledger)
        return path.read_bytes()


def fill(ledger: Ledger) -> None:
    """Two published rows; B2 baseline, E1 kept, E2 discarded, E3 running, E4 queued."""
    ledger.import_published(PUBLISHED, START)
    add_corpus(ledger)
    add_study(ledger)
    ledger.event("night", "2,048,000 tokens a run", START, data={
        "started_at": START, "deadline_at": DEADLINE, "max_runs": 20, "max_ram_mb": 3000.0,
        "budget_tokens": BUDGET})
    queue(ledger, strategy="baseline", reason="seed 1 of 3: their spread is the noise")
    baseline = claim(ledger, "2026-03-24T22:00:05Z")
    log_steps(ledger, baseline, [5.0, 3.4, 2.8, 2.55], "2026-03-24T22:04:00Z", 500)
    finish(ledger, baseline, 2.55, "2026-03-24T22:05:00Z")
    ledger.decide(baseline.id, None, "baseline", "rule/1", {"bpb": 1.1822, "seed": 0},
                  "the study's starting point", "2026-03-24T22:05:01Z")

    queue(ledger, Config(lr=2e-3), strategy="learning_rate", parent_id=baseline.id,
          reason="a smaller step, as the curve is rough")
    kept = claim(ledger, "2026-03-24T22:06:00Z")
    log_steps(ledger, kept, [4.9, 3.3, 2.7, 2.5], "2026-03-24T22:10:00Z", 500)
    finish(ledger, kept, 2.5, "2026-03-24T22:11:00Z")
    ledger.decide(kept.id, baseline.id, "kept", "rule/1",
                  {"bpb": 1.159, "head_bpb": 1.1822, "gain_bpb": 0.0232, "n": 1,
                   "s_d": 0.0028, "df": 4},
                  "0.0232 bits/byte better than the head on one seed, with a noise of 0.0028: "
                  "until fresh seeds confirm or refute it",
                  "2026-03-24T22:11:01Z")

    queue(ledger, Config(n_embd=64), strategy="scale_down", parent_id=kept.id)
    discarded = claim(ledger, "2026-03-24T22:12:00Z")
    finish(ledger, discarded, 2.61, "2026-03-24T22:18:00Z")
    ledger.decide(discarded.id, kept.id, "discarded", "rule/1", {"bpb": 1.21},
                  "0.0510 bits/byte worse than the head on one seed, with a noise of 0.0028",
                  "2026-03-24T22:18:01Z")
    ledger.event("guard", "the machine has 190 MB free, under the reserve of 200 MB",
                 "2026-03-24T22:25:20Z", discarded.id)

    queue(ledger, Config(n_embd=160), strategy="scale_up", parent_id=kept.id,
          reason="more width, since more width paid")
    log_steps(ledger, claim(ledger, "2026-03-24T22:28:00Z"), [5.1, 3.5, 2.95, 2.8, 2.7], NOW, 200)
    queue(ledger, Config(seq_len=64), parent_id=kept.id)
