"""Numbers a block: what they are of, and that they change nothing of a training."""

import dataclasses
import math

import numpy as np

from engine.config import Config
from engine.native import exponential
from engine.trace import Gauge
from engine.training import Texts, Trainer

CONFIG = Config(n_embd=16, n_layer=2, n_head=4, n_kv_head=2, vocab_size=300, seq_len=8,
                batch_size=2, lr=1e-2)
TOKENS = (np.arange(300) * 7 % 300).astype(np.uint16)


def trained(config: Config = CONFIG, *, watched: bool = True,
            n_replicas: int = 1) -> tuple[Trainer, Gauge]:
    run = Trainer(config, 0, 9, Texts(TOKENS, TOKENS, 300), n_replicas)
    gauge = Gauge(config)
    run.watch = gauge if watched else None
    for _ in range(3):
        run.advance()
    run.close()
    return run, gauge


def test_a_gauge_changes_nothing_of_a_training() -> None:
    runs = [trained(watched=watched)[0] for watched in (True, False)]
    assert np.array_equal(runs[0].params.buffer, runs[1].params.buffer)
    assert runs[0].recent == runs[1].recent


def test_the_numbers_of_a_step_are_those_of_each_block() -> None:
    run, gauge = trained()
    rows = gauge.rows(run.grads[0])
    own = np.concatenate([view.ravel() for name, view in run.grads[0].views.items()
                          if name.startswith("block1.")])
    assert np.isclose(rows["grad_rms"][1] or 0, np.sqrt(np.mean(own**2)))
    assert all(value is not None and value > 0 for value in rows["act_rms"])
    assert all(value is not None and 0.9 < value <= 1.0 for value in rows["entropy"])
    assert rows["dead_gates"] == [0.0, 0.0]


def test_scores_and_entropy_are_those_of_the_softmax() -> None:
    gauge, rng = Gauge(CONFIG), np.random.default_rng(0)
    q, k = rng.standard_normal((1, 4, 4, 8)), rng.standard_normal((1, 2, 4, 8))
    gauge("block0", "attn.q", q)
    gauge("block0", "attn.k", k)
    s = np.matmul(q[0].swapaxes(1, 2), np.repeat(k[0], 2, axis=0)) * exponential.NATS
    seen = np.tril(np.ones((8, 8), bool))
    assert math.isclose(gauge.max_score[0], np.max(np.abs(s[:, seen])), rel_tol=1e-6)
    p = np.exp(np.where(seen, s, -np.inf))
    p /= np.sum(p, axis=2, keepdims=True)
    nats = -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0), axis=2)
    assert math.isclose(gauge.entropy[0], np.mean(nats[:, 1:] / np.log(np.arange(2, 9))),
                        rel_tol=1e-6)


def test_shut_gates_are_counted_and_what_is_not_finite_is_unknown() -> None:
    gauge, h = Gauge(CONFIG), np.ones((4, 16))
    h[0] = 0.0
    gauge("block0", "mlp.swiglu", h)
    gauge("block0", "residual2", np.full((16, 16), np.inf))
    run, _ = trained()
    rows = gauge.rows(run.grads[0])
    assert rows["dead_gates"] == [0.25, None]
    assert rows["act_rms"] == [None, None]


def test_rwkv_tells_the_largest_entry_of_its_states() -> None:
    run, gauge = trained(dataclasses.replace(CONFIG, mixer="rwkv", n_kv_head=None), n_replicas=2)
    rows = gauge.rows(run.grads[0])
    assert all(value is not None and value > 0 for value in rows["max_score"])
    assert rows["entropy"] == [None, None]
