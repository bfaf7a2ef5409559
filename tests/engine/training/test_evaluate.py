"""The yardstick counts every token of the slice once, whatever the window."""

import math

import numpy as np
import pytest

from engine.config import EVAL_TOKENS, Config
from engine.model.gpt import GPT, init_params
from engine.training.evaluate import (
    Score,
    nats_in,
    score,
    score_model,
    score_of,
    sum_blocks,
    sum_nats,
    windows,
)

SEQ_LENS = pytest.mark.parametrize("seq_len", [4, 7, 128, 999, 1024, 1500, 2500, 5000])
SLICE = np.arange(2500, dtype=np.uint16)  # every token names its own place


def uniform(ids, targets):
    return np.full(targets.size, math.log(256))


@SEQ_LENS
def test_a_uniform_model_over_bytes_scores_eight_bits(seq_len):
    text = np.random.default_rng(0).integers(0, 256, 2500).astype(np.uint16)
    got = score(uniform, text, text.size - 1, seq_len)
    assert got.bpb == pytest.approx(8.0, rel=1e-14)
    assert got.nats == pytest.approx(math.log(256), rel=1e-14)
    assert got.n_tokens == 2499


def test_bits_are_shared_by_all_the_bytes_that_the_tokens_spell():
    assert score(uniform, SLICE, 2 * 2499, 128).bpb == pytest.approx(4.0, rel=1e-14)


@SEQ_LENS
def test_every_token_but_the_first_is_scored_once_after_the_one_before(seq_len):
    pairs = []

    def losses(ids, targets):
        pairs.extend(zip(ids.ravel().tolist(), targets.ravel().tolist(), strict=True))
        return np.zeros(targets.size)

    score(losses, SLICE, 1, seq_len)
    assert sorted(pairs) == [(i, i + 1) for i in range(2499)]


@SEQ_LENS
def test_no_pass_is_larger_than_memory_was_planned_for(seq_len):
    shapes = []

    def losses(ids, targets):
        shapes.append(ids.shape)
        return np.zeros(targets.size)

    score(losses, SLICE, 1, seq_len)
    assert max(rows * length for rows, length in shapes) <= max(EVAL_TOKENS, seq_len)
    assert max(length for _, length in shapes) == min(seq_len, 2499)


@SEQ_LENS
def test_a_model_without_context_scores_the_same_in_every_window(seq_len):
    nats = np.random.default_rng(0).exponential(5.0, 2500)
    got = score(lambda ids, targets: nats[targets].ravel(), SLICE, 9000, seq_len)
    assert got.nats == pytest.approx(np.mean(nats[1:]), rel=1e-13)
    assert got.bpb == pytest.approx(np.sum(nats[1:]) / math.log(2) / 9000, rel=1e-13)


@SEQ_LENS
@pytest.mark.parametrize("n_tokens", [2, 5, 128, 129, 2500])
def test_windows_follow_each_other_without_a_gap(seq_len, n_tokens):
    found = windows(n_tokens, seq_len)
    ends = [start + n_rows * n_time for start, n_rows, n_time in found]
    assert [start for start, _, _ in found] == [0, *ends[:-1]]
    assert ends[-1] == n_tokens - 1
    assert min(min(window[1:]) for window in found) > 0


def test_windows_scored_in_any_order_by_anyone_make_the_same_score():
    nats = np.random.default_rng(0).exponential(5.0, 2500)
    totals = {window: sum_nats(nats_in(lambda ids, targets: nats[targets].ravel(), SLICE, window))
              for window in reversed(windows(2500, 128))}
    in_order = [totals[window] for window in windows(2500, 128)]
    assert len(in_order) == 4  # three passes of eight rows or fewer, and the rest
    assert score_of(in_order, 2500, 9000) == score(
        lambda ids, targets: nats[targets].ravel(), SLICE, 9000, 128)


@SEQ_LENS
@pytest.mark.parametrize("edges", [[0, 2499], [0, 1, 2, 2499], [0, 700, 1024, 1025, 2000, 2499],
                                   list(range(0, 2500, 17))], ids=len)
def test_blocks_are_the_same_text_whatever_the_window(seq_len, edges):
    nats = np.random.default_rng(0).exponential(5.0, 2500).astype(np.float32)
    by_block = [sum_blocks(nats[1:][window[0] : window[0] + window[1] * window[2]], window, edges)
                for window in windows(2500, seq_len)]
    found = score_of([0.0], 2500, 9000, np.array(by_block)).block_bits
    expected = [math.fsum(nats[start + 1 : end + 1].tolist()) / math.log(2)
                for start, end in zip(edges[:-1], edges[1:], strict=True)]
    assert found == pytest.approx(expected, rel=1e-13)


def test_losses_are_summed_in_double_precision():
    tenth = np.float32(0.1)
    text = np.zeros(100_001, np.uint16)
    got = score(lambda ids, targets: np.full(targets.size, tenth), text, 1, 128)
    assert got.nats == pytest.approx(float(tenth), rel=1e-12)


@pytest.mark.parametrize("n_tokens", [2, 3, 16, 17, 18])
def test_a_slice_around_one_window_is_scored_whole(n_tokens):
    text = SLICE[:n_tokens]
    got = score(lambda ids, targets: targets.ravel().astype(float), text, 1, 16)
    assert got.n_tokens == n_tokens - 1
    assert got.nats == pytest.approx(sum(range(1, n_tokens)) / (n_tokens - 1))


def test_a_model_is_scored_as_its_windows_one_by_one():
    config = Config(n_embd=16, n_layer=2, n_head=2, vocab_size=300, seq_len=16)
    text = np.random.default_rng(0).integers(0, 300, 16 * 3 + 6).astype(np.uint16)
    model, params = GPT(config), init_params(config, 0)
    sums = [len(text[a + 1 : b + 1]) * model.loss(params, text[None, a:b].astype(np.int32),
                                                  text[None, a + 1 : b + 1].astype(np.int32))[0]
            for a, b in [(0, 16), (16, 32), (32, 48), (48, 53)]]
    got = score_model(model, params, text, n_bytes=100)
    assert isinstance(got, Score)
    assert got.nats == pytest.approx(sum(sums) / 53, rel=1e-6)
    assert got.bpb == pytest.approx(sum(sums) / math.log(2) / 100, rel=1e-6)
