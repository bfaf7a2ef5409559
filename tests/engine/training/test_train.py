"""A run that is stopped and taken up again is the run that never stopped, bit for bit."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.config import EARLIER, LATER, OPTIMIZERS, Config
from engine.errors import CheckpointError, Diverged
from engine.fields import DATA_ORDERS
from engine.model.gpt import GPT, Flat, init_params
from engine.native import NUMPY
from engine.training import checkpoint
from engine.training.evaluate import score_model
from engine.training.pace import default_eval_every
from engine.training.train import (
    DIVERGED_ABOVE,
    RECENT,
    Done,
    Eval,
    Shard,
    Step,
    Texts,
    Trainer,
    seeded,
    training,
)

CONFIG = Config(n_embd=16, n_layer=2, n_head=2, n_hidden=20, vocab_size=257, seq_len=16,
                batch_size=4, lr=0.01)
N_STEPS = 9
OPTIMIZER = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def text(n, seed):
    """Tokens that mostly step up by one, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    return (np.cumsum(1 + (rng.random(n) < 0.1) * rng.integers(0, 50, n)) % 257).astype(np.uint16)


# 300 tokens are 18 windows: with four or eight windows a step, a run of nine meets new epochs.
TEXTS = Texts(text(300, 0), text(100, 1), n_valid_bytes=180)


def trainer(n_steps=N_STEPS, texts=TEXTS, **changes):
    return Trainer(replace(CONFIG, **changes), 3, n_steps, texts)


def state(run):
    """Everything that decides how a run goes on."""
    arrays = {name: array.tobytes() for name, array in run.arrays().items()}
    return arrays, run.scalars() | {"scored": None}, run.evaluate()  # as if just stepped


# --- the loop --------------------------------------------------------------------------------


def test_a_run_yields_every_step_evaluations_and_its_end():
    events = list(training(trainer(), eval_every=4))
    assert [type(event) for event in events] == [
        *[Step] * 4, Eval, *[Step] * 4, Eval, Step, Eval, Done]
    assert [event.step for event in events] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 9, 9]
    assert all(event.tokens == event.step * 64 for event in events)


def test_a_run_without_evaluations_still_ends_with_one():
    events = list(training(trainer(), eval_every=None))
    assert [type(event) for event in events] == [*[Step] * 9, Eval, Done]
    assert events[-1].score == events[-2].score


def test_an_evaluation_due_at_the_last_step_is_made_once():
    events = list(training(trainer(n_steps=8), eval_every=4))
    assert [event.step for event in events if isinstance(event, Eval)] == [4, 8]


@pytest.mark.parametrize(("eval_every", "at"), [(None, [3, 9]), (2, [2, 3, 4, 6, 8, 9]),
                                                (3, [3, 6, 9])])
def test_the_rung_is_evaluated_once_whether_or_not_its_turn_has_come(eval_every, at):
    events = list(training(trainer(), eval_every, rung_step=3))
    assert [event.step for event in events if isinstance(event, Eval)] == at


def test_a_run_taken_up_at_the_rung_evaluates_it_again(tmp_path):
    whole, run = trainer(), trainer()
    wanted = [event for event in training(whole, None, rung_step=3) if isinstance(event, Eval)]
    for _ in range(3):
        run.advance()
    run = resumed(run, tmp_path / "run.npz")
    found = [event for event in training(run, None, rung_step=3) if isinstance(event, Eval)]
    assert found == wanted
    assert state(run) == state(whole)


def test_the_done_event_has_the_score_of_the_parameters_it_leaves():
    run = trainer()
    *_, done = training(run, eval_every=None)
    assert done.score == score_model(GPT(run.config), run.params, TEXTS.valid, 180)
    assert done.score.n_tokens == 99
    assert done.train_loss == run.train_loss


@OPTIMIZER
def test_training_learns(optimizer):
    texts = Texts(text(5000, 0), text(500, 1), n_valid_bytes=500)
    run = trainer(n_steps=120, texts=texts, optimizer=optimizer, lr=3e-3)
    before = run.evaluate().nats
    *_, done = training(run, eval_every=None)
    assert before == pytest.approx(math.log(257), abs=0.1)
    assert done.score.nats < before - 1


def test_the_loss_reported_is_the_mean_of_the_recent_batches():
    run = trainer(n_steps=RECENT + 5)
    model, grads, losses = GPT(run.config), Flat.empty(run.config), []
    for step in range(RECENT + 5):
        batch = run.batches.take(step * 4, 4)
        losses.append(model.loss_and_gradient(run.params, grads, *batch))
        event = run.advance()
        assert event.loss == pytest.approx(np.mean(losses[-RECENT:]), rel=1e-12)


def test_the_gradient_is_clipped_at_its_norm_and_the_norm_before_is_reported():
    loose, tight = trainer(clip=1e3, optimizer="lion"), trainer(clip=0.01, optimizer="lion")
    norm = loose.advance().grad_norm
    assert tight.advance().grad_norm == norm > 0.01
    m_loose, m_tight = loose.optimizer.slots["m"], tight.optimizer.slots["m"]
    assert np.linalg.norm(m_loose) == pytest.approx(norm * (1 - CONFIG.beta2), rel=1e-5)
    assert np.linalg.norm(m_tight) == pytest.approx(0.01 * (1 - CONFIG.beta2), rel=1e-5)
    assert m_tight / np.linalg.norm(m_tight) == pytest.approx(
        m_loose / np.linalg.norm(m_loose), rel=1e-4, abs=1e-9)


def test_accumulated_passes_make_the_step_of_one_large_batch():
    whole, parts = trainer(batch_size=8), trainer(batch_size=2, grad_accum=4)
    first, second = whole.advance(), parts.advance()
    assert second.loss == pytest.approx(first.loss, rel=1e-6)
    assert second.grad_norm == pytest.approx(first.grad_norm, rel=1e-5)
    assert first.tokens == second.tokens == 128
    for _ in range(4):
        whole.advance()
        parts.advance()
    assert np.max(np.abs(parts.params.buffer - whole.params.buffer)) < 1e-3


def test_seeds_decide_the_run():
    runs = [Trainer(CONFIG, seed, N_STEPS, TEXTS) for seed in (3, 3, 4)]
    losses = [[run.advance().loss for _ in range(5)] for run in runs]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
    assert seeded(3, 100).random() == seeded(3, 100).random()
    assert len({seeded(3, 100).random(), seeded(3, 101).random(), seeded(4, 100).random()}) == 3


# --- other slices ----------------------------------------------------------------------------


@OPTIMIZER
def test_a_shard_scores_as_if_it_were_the_validation_slice(optimizer):
    shards = {"long": Shard(text(333, 5), 600), "short": Shard(text(3, 6), 4)}
    run = trainer(texts=replace(TEXTS, shards=shards), optimizer=optimizer)
    for _ in range(3):
        run.advance()
    own = run.evaluate()
    for name, shard in shards.items():
        alone = trainer(texts=Texts(TEXTS.train, shard.tokens, shard.n_bytes), optimizer=optimizer)
        alone.restore(run.arrays(), run.scalars())
        assert run.evaluate(name) == alone.evaluate()
        assert run.evaluate(name).n_tokens == shard.tokens.size - 1
    assert run.evaluate() == own  # a shorter slice leaves nothing of a longer one behind


def test_a_shard_in_blocks_has_the_same_score_and_tells_each_block():
    tokens = text(333, 5)
    shards = {"whole": Shard(tokens, 600), "blocks": Shard(tokens, 600, (0, 10, 200, 332)),
              "first": Shard(tokens[:11], 20)}
    run = trainer(texts=replace(TEXTS, shards=shards))
    run.advance()
    whole, blocks = run.evaluate("whole"), run.evaluate("blocks")
    assert replace(blocks, block_bits=()) == whole
    assert sum(blocks.block_bits) == pytest.approx(600 * whole.bpb, rel=1e-12)
    assert blocks.block_bits[0] == pytest.approx(20 * run.evaluate("first").bpb, rel=1e-6)
    assert run.evaluate().block_bits == ()


@OPTIMIZER
def test_scoring_shards_on_the_way_changes_no_bit(optimizer):
    texts = replace(TEXTS, shards={"confirm": Shard(text(50, 5), 90)})
    plain, watched = trainer(optimizer=optimizer), trainer(texts=texts, optimizer=optimizer)
    for _ in range(N_STEPS):
        watched.evaluate("confirm")
        assert watched.advance() == plain.advance()
    assert state(watched) == state(plain)


def test_windows_that_were_scored_of_another_text_do_not_count():
    """A slice of the same length is not the same slice."""
    run, other = trainer(), trainer(texts=replace(TEXTS, valid=text(100, 9)))
    for one in (run, other):
        one.advance()
    right = other.evaluate()
    run.evaluate()
    saved = run.arrays(), run.scalars()
    assert saved[1]["scored"]["windows"]
    other.restore(*saved)
    assert other.evaluate() == right != run.evaluate()


def test_an_older_checkpoint_without_scored_windows_is_scored_anew():
    run, again = trainer(), trainer()
    run.advance()
    scalars = run.scalars()
    del scalars["scored"]
    again.restore(run.arrays(), scalars)
    assert again.evaluate() == run.evaluate()


# --- stopping and resuming -------------------------------------------------------------------


def resumed(run, path):
    """A new trainer that took up what the other wrote to a checkpoint."""
    checkpoint.save(path, run.arrays(), run.scalars())
    other = Trainer(run.config, run.seed, run.n_steps, run.texts)
    other.restore(*checkpoint.load_newest(path))
    return other


@OPTIMIZER
@pytest.mark.parametrize("stop", range(N_STEPS + 1))
def test_stopping_at_any_step_changes_no_bit(optimizer, stop, tmp_path):
    changes = {"optimizer": optimizer, "grad_accum": 2, "batch_size": 2, "warmup_frac": 0.3}
    whole = trainer(**changes)
    events = list(training(whole, eval_every=3))
    run = trainer(**changes)
    before = [run.advance() for _ in range(stop)]
    run = resumed(run, tmp_path / "run.npz")
    after = list(training(run, eval_every=3))
    steps = [event for event in events if isinstance(event, Step)]
    assert before + [event for event in after if isinstance(event, Step)] == steps
    assert after == events[len(events) - len(after):]
    assert state(run) == state(whole)


@OPTIMIZER
def test_stopping_after_every_step_changes_no_bit(optimizer, tmp_path):
    whole, run = trainer(optimizer=optimizer), trainer(optimizer=optimizer)
    for _ in range(N_STEPS):
        assert run.advance() == whole.advance()
        run = resumed(run, tmp_path / "run.npz")
    assert state(run) == state(whole)


@OPTIMIZER
def test_evaluations_on_the_way_change_no_bit(optimizer):
    plain, watched = trainer(optimizer=optimizer), trainer(optimizer=optimizer)
    steps = [event for event in training(plain, eval_every=None) if isinstance(event, Step)]
    watched_steps = [event for event in training(watched, eval_every=1) if isinstance(event, Step)]
    assert watched_steps == steps
    assert state(watched) == state(plain)


def test_schedule_free_is_evaluated_at_its_average():
    run = trainer(optimizer="schedule_free", warmup_frac=0.0)
    z, x = [], init_params(run.config, 3).buffer.astype(np.float64)
    for n in range(1, N_STEPS + 1):
        run.advance()
        z.append(run.optimizer.slots["z"].astype(np.float64))
        x += (z[-1] - x) / n  # with one learning rate throughout, x is the plain mean of all z
    average = run.evaluation_params()
    assert average.views.keys() == run.params.views.keys()
    assert np.max(np.abs(average.buffer - x)) < 1e-6
    assert np.max(np.abs(average.buffer - run.params.buffer)) > 1e-3
    at_average = Flat.over(run.config, x.astype(np.float32))
    assert run.evaluate().nats == pytest.approx(
        score_model(GPT(run.config), at_average, TEXTS.valid, 180).nats, rel=1e-5)


def test_the_data_position_is_that_of_the_next_window():
    run = trainer(grad_accum=2, batch_size=2)
    run.advance()
    assert run.scalars()["data_position"] == 4


def test_a_checkpoint_older_than_a_field_goes_on_with_its_default():
    run, scalars = trainer(**EARLIER), trainer().scalars()
    old = scalars | {"config": {k: v for k, v in scalars["config"].items() if k not in LATER}}
    run.restore(run.arrays(), old)
    shared = trainer(n_kv_head=1, **EARLIER)
    with pytest.raises(CheckpointError, match="n_kv_head is None, this run's is 1"):
        shared.restore(shared.arrays(), old)


@pytest.mark.parametrize("changes", [
    {"n_kv_head": 1}, {"cautious_decay": True, "scheduled_decay": True, "optimizer": "muon"},
    {"mixer": "rwkv", "optimizer": "muon"}], ids=str)
def test_a_run_with_fields_that_came_later_resumes_to_the_same_bits(changes, tmp_path):
    whole = trainer(**changes)
    for _ in range(4):
        whole.advance()
    half = resumed(whole, tmp_path / "c.npz")
    for run in (whole, half):
        list(training(run, eval_every=None))
    assert state(half) == state(whole)


@pytest.mark.parametrize(("other", "words"), [
    (Trainer(replace(CONFIG, lr=0.02), 3, N_STEPS, TEXTS),
     "the checkpoint's lr is 0.02, this run's is 0.01; "),
    (Trainer(CONFIG, 4, N_STEPS, TEXTS), "the checkpoint's seed is 4, this run's is 3; "),
    (Trainer(CONFIG, 3, 10, TEXTS), "the checkpoint's n_steps is 10, this run's is 9; "),
])
def test_the_checkpoint_of_another_run_is_refused(other, words):
    run = trainer()
    before = state(run)
    with pytest.raises(CheckpointError) as caught:
        run.restore(other.arrays(), other.scalars())
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith("; it belongs to another run")
    assert state(run) == before


@pytest.mark.parametrize("spoilt", [
    {}, {"optimizer.m": np.zeros(3, np.float32)},
    {"optimizer.m": np.zeros(CONFIG.n_params, np.float64)},
], ids=["missing", "short", "float64"])
def test_a_checkpoint_with_the_wrong_arrays_is_refused(spoilt):
    run = trainer()
    before = state(run)
    arrays = {name: array + 1 for name, array in run.arrays().items() if name != "optimizer.m"}
    with pytest.raises(CheckpointError) as caught:
        run.restore(arrays | spoilt, run.scalars())
    assert str(caught.value) == ("the checkpoint's array 'optimizer.m' is missing or of another "
                                 "shape; delete the checkpoint to start the run again")
    assert state(run) == before


# --- divergence ------------------------------------------------------------------------------


@OPTIMIZER
@pytest.mark.parametrize("changes", [{}, {"weight_decay": 10.0, "warmup_frac": 0.0, "clip": 1e3}],
                         ids=["large", "absurd"])
def test_a_learning_rate_that_is_far_too_large_ends_as_diverged(optimizer, changes):
    run = trainer(n_steps=100, optimizer=optimizer, lr=1.0, **changes)
    with pytest.raises(Diverged) as caught:
        list(training(run, eval_every=10))
    assert "loss" in str(caught.value)
    assert f"at step {run.step + 1}" in str(caught.value)


def test_a_loss_above_its_start_after_warm_up_is_named_with_both():
    run = trainer(n_steps=100, lr=1e-8)
    for _ in range(RECENT):
        run.advance()
    run.first_loss = run.train_loss / DIVERGED_ABOVE / 1.001
    with pytest.raises(Diverged) as caught:
        run.advance()
    assert str(caught.value) == (f"training loss {run.train_loss:.2f} at step {RECENT + 1} is "
                                 f"above the {run.first_loss:.2f} it started from")


def test_a_loss_that_only_wavers_at_its_start_is_not_divergence():
    run = trainer(n_steps=100, lr=1e-8)
    for _ in range(60):
        run.advance()
    assert run.step == 60


def test_warm_up_may_rise_above_the_start():
    run = trainer(n_steps=100, lr=1e-8, warmup_frac=0.5)
    run.advance()
    run.first_loss = 0.1
    for _ in range(49):
        run.advance()
    with pytest.raises(Diverged, match="at step 51 is above the 0.10 it started from"):
        run.advance()


@pytest.mark.parametrize(("name", "poison", "words"), [
    ("block0.attn.proj", math.nan, r"^loss nan, gradient norm nan at step 2$"),
    ("block0.attn.proj", math.inf, r"^loss nan, gradient norm nan at step 2$"),
    ("head", 1e30, r"^loss \S*e\+\d\d, gradient norm inf at step 2$"),
])
def test_a_loss_or_gradient_that_is_not_finite_ends_as_diverged_and_moves_nothing(
        name, poison, words):
    run = trainer()
    run.advance()
    run.params.views[name][:3, :3] = poison
    before = run.params.buffer.tobytes()
    with pytest.raises(Diverged, match=words):
        run.advance()
    assert run.params.buffer.tobytes() == before
    assert run.step == 1


def test_a_last_score_that_is_not_finite_ends_as_diverged():
    run = trainer()
    events = training(run, eval_every=None)
    steps = [next(events) for _ in range(N_STEPS)]
    run.params.buffer[...] = math.nan
    last = next(events)
    assert (steps[-1].step, math.isnan(last.score.nats)) == (N_STEPS, True)
    with pytest.raises(Diverged) as caught:
        next(events)
    assert str(caught.value) == "validation loss nan after the last step"


# --- how often to evaluate -------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [1, 7, 100, 2000, 12345])
@pytest.mark.parametrize("n_valid", [1000, 100_000])
@pytest.mark.parametrize("batch_size", [1, 8, 32])
def test_evaluations_cost_about_a_tenth_at_most_20_and_at_least_one(n_steps, n_valid, batch_size):
    config = replace(Config(), batch_size=batch_size)
    every = default_eval_every(config, n_steps, n_valid)
    n_evals = math.ceil(n_steps / every)
    share = n_evals * n_valid / (3 * n_steps * config.tokens_per_step)
    assert 1 <= every <= n_steps
    assert 1 <= n_evals <= 20
    assert share <= 0.1 or n_evals == 1


def test_a_long_run_has_twenty_points_on_its_curve():
    assert default_eval_every(Config(), 2000, 1000) == 100


# --- runs that began before the text had another order ----------------------------------------

# tests/reference/before_data_order.npz: what 163df0e saved of this run after 20 of 40 steps. Then
# came these training losses.
BEFORE = Path(__file__).parents[2] / "reference" / "before_data_order.npz"
THEN = [
    4.955791115760803, 4.898366369307041, 4.888481497764587, 4.870240345597267, 4.975423768162727,
    4.816193088889122, 4.799330428242683, 4.820353165268898, 4.799878872931004, 4.7737996727228165,
    4.813066743314266, 4.830472432076931, 4.775933586061001, 4.726505763828754, 4.706788547337055,
    4.718974970281124, 4.842967465519905, 4.680037744343281, 4.712318547070026, 4.696681894361973]


def begun_before(**changes):
    fields = checkpoint.load(BEFORE)[1]["config"]
    assert "data_order" not in fields
    return Trainer(replace(Config.from_dict(fields), **changes), 3, 40, TEXTS, kernels=NUMPY)


def test_a_run_of_an_earlier_version_goes_on_as_it_was():
    run = begun_before()
    run.restore(*checkpoint.load(BEFORE))
    assert run.config.data_order == "linear"
    for _ in range(20):
        run.advance()
    assert list(run.recent) == pytest.approx(THEN, rel=2e-6)  # the rounding of another BLAS
    whole = begun_before()
    for _ in range(40):
        whole.advance()
    began = state(whole)[1]["first_loss"]
    assert began == pytest.approx(state(run)[1]["first_loss"], rel=2e-6)
    assert state(whole)[1] == state(run)[1] | {"recent": list(whole.recent), "first_loss": began}
    assert list(whole.recent) == pytest.approx(THEN, rel=2e-6)


def test_a_run_of_an_earlier_version_does_not_go_on_in_another_order():
    with pytest.raises(CheckpointError, match="data_order is linear, this run's is circular"):
        begun_before(data_order="circular").restore(*checkpoint.load(BEFORE))


@pytest.mark.parametrize("order", DATA_ORDERS)
def test_shuffled_stories_resume_bit_for_bit(order):
    stories = replace(TEXTS, separator=int(TEXTS.train[7]))
    whole, first, second = (trainer(texts=stories, data_order=order, shuffle_stories=True)
                            for _ in range(3))
    for _ in range(N_STEPS):
        whole.advance()
    for _ in range(5):
        first.advance()
    second.restore({name: array.copy() for name, array in first.arrays().items()},
                   json.loads(json.dumps(first.scalars())))
    for _ in range(N_STEPS - 5):
        second.advance()
    assert state(second) == state(whole)
    assert state(whole)[0] != state(_advanced(trainer(texts=stories, data_order=order)))[0]


def _advanced(run):
    for _ in range(N_STEPS):
        run.advance()
    return run
