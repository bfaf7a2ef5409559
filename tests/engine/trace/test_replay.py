"""The way back to a failure: the same numbers, sizes before it, and what an update made."""

import numpy as np
import pytest

from engine.config import Config
from engine.trace.failure import failure_of, remains, sequences, worst
from engine.trace.judge import judge
from engine.trace.replay import begin, checksum, replay
from engine.training import Texts, Trainer

CONFIG = Config(n_embd=16, n_layer=2, n_head=2, vocab_size=300, seq_len=8, batch_size=3, lr=1e-2,
                grad_accum=2)
TOKENS = (np.arange(900) * 7 % 299).astype(np.uint16)


def a_trainer(steps: int = 6) -> Trainer:
    run = Trainer(CONFIG, 0, 20, Texts(TOKENS, TOKENS, 300))
    for _ in range(steps):
        run.advance()
    return run


def test_the_same_steps_lead_to_the_same_numbers_with_sizes_before_the_end() -> None:
    run = a_trainer()
    past = replay(run, None, 6, checksum(run.params), worst(run)[0], lambda done, total: True)
    assert (past.began_at, past.is_same, past.made, past.odd) == (0, True, None, [])
    assert [step for step, _ in past.sizes] == [0, 2, 4, 5, 6]
    assert [one.step for one in past.moves] == [1, 2, 3, 4, 5, 6]
    run.params.views["head"][0, 0] += 1e-3
    assert replay(run, None, 6, checksum(run.params), worst(run)[0],
                  lambda done, total: True).is_same is False


def test_an_update_that_makes_weights_of_a_bad_moment_ends_the_way() -> None:
    run = a_trainer(2)
    run.optimizer.slots["v"][5] = np.nan
    saved = {name: array.copy() for name, array in run.arrays().items()}, run.scalars()
    past = replay(run, saved, 6, 0, worst(run)[0], lambda done, total: True)
    assert [one.tensor for one in past.odd] == ["optimizer.v of embed"]
    assert past.made is not None
    assert past.made[0] == 3
    assert [one.tensor for one in past.made[1]] == ["embed"]


def test_the_start_is_that_of_another_run_of_the_seed() -> None:
    run, fresh = a_trainer(), a_trainer(0)
    assert begin(run, None).odd == []
    assert np.array_equal(run.params.buffer, fresh.params.buffer)
    assert run.advance() == fresh.advance()


# --- the failing step itself -----------------------------------------------------------------


def test_every_sequence_of_the_batch_is_looked_at() -> None:
    run = a_trainer(1)
    found = sequences(run, 1)
    assert len(found) == CONFIG.batch_size * CONFIG.grad_accum
    ids = run.batches.take(6, 6)[0]
    assert np.array_equal(np.stack([one for one, _ in found]), ids)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_sequence_with_a_token_that_breaks_is_found_with_the_token() -> None:
    run = a_trainer(1)
    sets = [set(ids.tolist()) for ids, _ in sequences(run, 1)]
    alone = next(iter(sets[4] - set().union(*sets[:4], *sets[5:])))
    run.params.views["embed"][alone] = np.nan
    window, common = worst(run)
    assert alone in window[0]
    assert alone in common
    now = failure_of(run)
    assert now.step == 2
    assert [one.token for one in now.odd] == [alone]
    assert not now.seen[0].is_finite


def test_what_a_pass_left_is_told_in_the_order_of_computation() -> None:
    run = a_trainer(1)
    assert remains(run) == []
    run.model.workspace.at("block1")("gate_up", 128, 24)[3, 3] = np.inf
    run.grads[0].views["block1.attn.qkv"][0, 0] = np.nan
    run.grads[0].views["head"][0, 0] = np.nan
    assert remains(run) == [(1, "mlp.gate_up"), (None, "gradient of head"),
                            (1, "gradient of attn.qkv")]


def test_where_all_is_right_the_rate_is_the_likeliest() -> None:
    run = a_trainer(3)
    now = failure_of(run)
    past = replay(run, None, 3, now.checksum, now.window, lambda done, total: True)
    found = judge(CONFIG, now, past)
    assert [cause.partition(":")[0] for cause in found.causes] == ["learning rate"]
    assert found.what.startswith("grew most, ")
    assert found.growth[0][0] == 0
