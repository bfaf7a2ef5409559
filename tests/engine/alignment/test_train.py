"""The trainer of pairs: it learns, tells, and goes on to the same bits from any step."""

from dataclasses import replace

import numpy as np
import pytest

from engine.alignment.measure import Measure
from engine.alignment.objective import Recipe
from engine.alignment.pairs import Pair
from engine.alignment.train import AlignedTrainer, Lesson
from engine.config import Config
from engine.errors import Diverged, Left
from engine.model.gpt import Flat, init_params
from engine.text import Tokenizer
from engine.training.train import Done, Texts, training

TOKENIZER = Tokenizer.train(["yes no"], 257)
CONFIG = Config(n_embd=16, n_layer=1, n_head=1, n_hidden=16, vocab_size=257, seq_len=32,
                batch_size=8, lr=3e-3, weight_decay=0.0)
TEXT = np.arange(400, dtype=np.uint16) % 200
TEXTS = Texts(TEXT, TEXT[:100], 99)
PAIRS = [Pair(f"{i}?", " yes", " no" if i % 2 else " nope") for i in range(24)]
LESSON = Lesson(start=init_params(CONFIG, 0), pairs=PAIRS[:16], held=PAIRS[16:], recipe=Recipe(),
                tokenizer=TOKENIZER)


@pytest.fixture
def trainer():
    made = []

    def make(n=1, n_steps=12, config=CONFIG, **changes):
        made.append(AlignedTrainer(config, 3, n_steps, TEXTS, replace(LESSON, **changes), n))
        return made[-1]

    yield make
    for run in made:
        run.close()


def finished(run):
    *_, done = training(run, None)
    assert isinstance(done, Done)
    return {(one.name, one.step): one for one in run.findings(done.score)}


def test_held_out_pairs_are_told_apart_after_and_not_before(trainer):
    run = trainer(n_steps=30)
    assert run.advance().loss == pytest.approx(np.log(2), abs=1e-5)
    found = finished(run)
    assert found["win rate", 30].value == 1.0
    assert found["margin", 30].low > 0.1
    assert found["KL to the start", 30].value > 0.01
    assert found["loss on the text", 0].value != found["loss on the text", 30].value
    assert found["accuracy change", 30].value == pytest.approx(
        found["accuracy", 30].value - found["accuracy", 0].value)
    told = run.told()
    assert told["train_margin"] > 0.1
    assert told["KL_to_the_start"] == found["KL to the start", 30].value
    assert np.array_equal(run.start.buffer, LESSON.start.buffer)


@pytest.mark.parametrize("n", [1, 3])  # of four pairs a pass: 4; 2 + 1 + 1
@pytest.mark.parametrize("stopped", [0, 5, 12])
def test_a_stop_at_any_step_changes_no_bit(trainer, n, stopped):
    whole, first, second = (trainer(n) for _ in range(3))
    expected = finished(whole)
    for _ in range(stopped):
        first.advance()
    second.restore({name: array.copy() for name, array in first.arrays().items()},
                   first.scalars())
    assert finished(second) == expected
    assert np.array_equal(second.params.buffer, whole.params.buffer)
    assert second.told() == whole.told()


def test_replicas_and_accumulated_passes_learn_what_one_pass_does(trainer):
    alone, shared = trainer(1), trainer(3)
    halves = trainer(1, config=replace(CONFIG, batch_size=4, grad_accum=2))
    for run in (alone, shared, halves):
        for _ in range(3):
            run.advance()
    for other in (shared, halves):
        assert np.abs(other.params.buffer - alone.params.buffer).max() < 1e-4
        assert other.train_loss == pytest.approx(alone.train_loss, abs=1e-5)


def test_examples_are_learnt_without_a_reference(trainer):
    run = trainer(n_steps=30, pairs=[Pair("2+2=", "4"), Pair("1+1=", "2 2")], held=[],
                  recipe=Recipe("nats"),
                  exam=lambda writer, step, leave: [Measure("asked", step, 1.0)])
    losses = [run.advance().loss for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]
    found = finished(run)
    assert [name for name, _ in found] == ["loss on the text", "asked"] * 2
    assert run.reference.size == 0


def test_examples_that_begin_with_easy_ones_do_not_diverge_but_what_leaves_the_text_does(trainer):
    run = trainer(n_steps=30, pairs=[Pair("2+2=", "4"), Pair("1+1=", "2 2")], held=[],
                  recipe=Recipe("nats"))
    run.advance()
    run.first_loss, run.step = 0.02, 25  # of a batch that the model has written itself
    run.advance()
    run.recent.extend([2.5 * run.before[0].value] * run.recent.maxlen)
    with pytest.raises(Diverged, match="is above twice the 5"):
        run.advance()


def test_the_start_may_be_left_while_it_is_measured(trainer):
    run = trainer()
    run.should_leave = lambda done, total: done > 0
    with pytest.raises(Left, match="pairs at step 0 were left"):
        run.advance()
    run.should_leave = lambda done, total: False
    assert run.advance().step == 1


def test_each_is_taken_once_an_epoch(trainer):
    run = trainer(pairs=PAIRS[:7])
    epochs = [run._taken(7 * epoch, 7) for epoch in range(3)]
    assert all(sorted(one) == list(range(7)) for one in epochs)
    assert epochs[0] != epochs[1]
    assert run._taken(10, 9) == [*epochs[1][3:], *epochs[2][:5]]


def test_lessons_of_an_averaging_optimizer_begin_where_the_model_stands(trainer):
    run = trainer(config=replace(CONFIG, optimizer="schedule_free"))
    run.advance()
    assert isinstance(run.evaluation_params(), Flat)
    assert run.before[0].value == pytest.approx(trainer().evaluate().nats, abs=1e-6)
