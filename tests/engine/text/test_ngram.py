"""The yardsticks are textbook Kneser–Ney: checked by hand, by dictionaries and on TinyStories."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engine.errors import CorpusError
from engine.text import ngram
from engine.text.ngram import KneserNey, Yardsticks, yardsticks

DATA = Path(__file__).parents[4] / "shared" / "data"
END = "<|endoftext|>"


def ids(*tokens):
    return np.array(tokens, dtype=np.uint16)


def fit(train, order, vocab_size):
    counts = [ngram.count_ngrams(train, n, vocab_size) for n in range(1, order + 1)]
    lower = [ngram.count_predecessors(counts[n], n, vocab_size) for n in range(1, order)]
    return KneserNey([*lower, counts[-1]], vocab_size)


def over_vocabulary(model, *context):
    """p(w | context) for every w of the vocabulary."""
    rows = np.array([[*context, w] for w in range(model.vocab_size)], dtype=np.uint16)
    return model.probabilities(rows)[:, -1]


def zipf(n, vocab_size, seed):
    """A text with frequent and rare tokens, each depending on the one before."""
    steps = np.random.default_rng(seed).zipf(1.5, n) % vocab_size
    return (np.cumsum(steps) % vocab_size).astype(np.uint16)


class Dictionaries:
    """Chen and Goodman's modified Kneser–Ney, one token at a time, with nothing but dicts."""

    def __init__(self, text, order, vocab_size):
        text, self.vocab_size, self.counts = [int(t) for t in text], vocab_size, {}
        for n in range(1, order + 1):
            grams = [tuple(text[i:i + n]) for i in range(len(text) - n + 1)]
            longer = {tuple(text[i:i + n + 1]) for i in range(len(text) - n)}
            self.counts[n] = Counter(grams if n == order else [g[1:] for g in longer])

    def discount(self, n, count):
        have = Counter(self.counts[n].values())
        try:
            y = have[1] / (have[1] + 2 * have[2])
            d = [i - (i + 1) * y * have[i + 1] / have[i] for i in (1, 2, 3)]
        except ZeroDivisionError:
            d = [0, 0, 0]
        if not all(0 < d[i - 1] < i for i in (1, 2, 3)):
            d = [0.5, 1.0, 1.5]
        return d[min(count, 3) - 1]

    def p(self, gram):
        if not gram:
            return 1 / self.vocab_size
        n, shorter = len(gram), self.p(gram[1:])
        siblings = {g: c for g, c in self.counts[n].items() if g[:-1] == gram[:-1]}
        if not siblings:
            return shorter
        total, own = sum(siblings.values()), siblings.get(gram, 0)
        kept = own - self.discount(n, own) if own else 0
        left = sum(self.discount(n, c) for c in siblings.values())
        return kept / total + left / total * shorter


@pytest.mark.parametrize("n_train", [40, 400, 1500])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_probability_equals_that_of_the_dictionaries(order, n_train):
    train, valid = zipf(n_train, 23, seed=1), zipf(150, 23, seed=2)
    slow = Dictionaries(train, order, 23)
    text = valid.tolist()
    expected = [slow.p(tuple(text[max(0, i - order + 1):i + 1])) for i in range(1, len(text))]
    found = fit(train, order, 23).probabilities(valid)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


def test_the_corpora_above_take_both_the_estimated_and_the_fallback_discounts():
    estimated = ngram._discounts(ngram.count_ngrams(zipf(1500, 23, seed=1), 3, 23)[1])
    fallback = ngram._discounts(ngram.count_ngrams(zipf(1500, 23, seed=1), 1, 23)[1])
    assert fallback.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert 0 < estimated[1] < 1 < 3 * estimated[1]
    assert estimated.tolist() != fallback.tolist()


def test_discounts_follow_the_counts_of_counts():
    counts = np.repeat([1, 2, 3, 4, 9], [40, 15, 8, 5, 7])
    y = 40 / (40 + 2 * 15)
    expected = [0, 1 - 2 * y * 15 / 40, 2 - 3 * y * 8 / 15, 3 - 4 * y * 5 / 8]
    np.testing.assert_allclose(ngram._discounts(counts), expected, rtol=1e-15)


@pytest.mark.parametrize("n_with_count", [
    (0, 0, 0, 50),  # regular text: every count is high
    (10, 4, 10, 2),  # D(2) = −2.2 would add to what it should reduce
    (40, 15, 8, 0),  # D(3) = 3 would leave a count of 3 nothing
])
def test_discounts_fall_back_where_they_cannot_be_estimated(n_with_count):
    assert ngram._discounts(np.repeat([1, 2, 3, 4], n_with_count)).tolist() == [0, 0.5, 1, 1.5]


def test_bigram_worked_by_hand():
    # 0 1 0 2 0 1 0: bigrams 01 twice, 10 twice, 02 and 20 once; so few that the discounts are
    # 1/2, 1 and 3/2. Token 0 has two predecessors, 1 and 2 have one, 3 none: of 4 the unigram
    # keeps 1, 1/2 and 1/2, leaving 2/4 · 1/4 to each of the four.
    model = fit(ids(0, 1, 0, 2, 0, 1, 0), 2, 4)
    unigram = np.array([1, 1 / 2, 1 / 2, 0]) / 4 + 1 / 8
    np.testing.assert_allclose(over_vocabulary(model, 3), unigram, rtol=1e-15)  # 3 never seen
    after_0 = np.array([0, 2 - 1, 1 - 1 / 2, 0]) / 3 + (1 + 1 / 2) / 3 * unigram
    np.testing.assert_allclose(over_vocabulary(model, 0), after_0, rtol=1e-15)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("context", [(0, 0), (1, 2), (5, 5), (22, 3), (30, 31), (30, 4), (4, 30)])
def test_probabilities_sum_to_one_after_seen_and_unseen_contexts(order, context):
    model = fit(zipf(600, 23, seed=3), order, 32)  # 23 to 31 never occur
    p = over_vocabulary(model, *context)
    assert p.min() > 0
    assert p.sum() == pytest.approx(1, abs=1e-13)


def test_first_scored_token_of_a_trigram_backs_off_to_the_bigram():
    train = zipf(600, 23, seed=4)
    model = fit(train, 3, 23)
    unseen = [23 - 1, 5]  # a longer context than the text holds leaves the lower level as it is
    assert not np.isin(22 * 23 + 5, ngram.count_ngrams(train, 2, 23)[0])
    backed_off = over_vocabulary(model, *unseen)
    np.testing.assert_array_equal(over_vocabulary(model, 5), backed_off)


def test_every_order_is_averaged_over_the_same_positions():
    train, valid = zipf(500, 23, seed=5), zipf(50, 23, seed=6)
    found = yardsticks(train, valid, 23)
    for order, loss in enumerate((found.unigram, found.bigram, found.trigram), start=1):
        p = fit(train, order, 23).probabilities(valid)
        assert p.shape == (49,)
        assert loss == -np.mean(np.log(p))


def test_two_tokens_are_enough_to_score():
    found = yardsticks(ids(0, 1, 2), ids(0, 1), 4)
    assert all(math.isfinite(loss) for loss in found.to_dict().values())


def test_a_text_that_repeats_is_learnt_by_the_order_that_sees_enough():
    cycle = np.tile(ids(0, 0, 1, 0, 2), 4000)  # two tokens decide the next, one does not
    found = yardsticks(cycle, cycle[:1000], 4)
    assert found.trigram < 0.01
    assert found.bigram > 0.5
    assert found.unigram > found.bigram


def test_nothing_is_learnt_from_independent_uniform_tokens():
    rng = np.random.default_rng(7)
    train, valid = (rng.integers(0, 32, n).astype(np.uint16) for n in (400_000, 50_000))
    found = yardsticks(train, valid, 32)
    assert found.uniform == math.log(32)
    assert found.unigram == pytest.approx(math.log(32), abs=0.001)
    assert found.bigram == pytest.approx(math.log(32), abs=0.005)  # 1,024 estimated numbers
    assert math.log(32) < found.trigram < math.log(32) + 0.06  # 32,768 of them, 12 tokens each


def test_nothing_is_counted_on_the_validation_text():
    upwards = np.tile(np.arange(16, dtype=np.uint16), 500)
    downwards = upwards[::-1]  # as regular, but without one bigram or trigram of the training text
    assert yardsticks(upwards, upwards, 16).trigram < 0.01
    found = yardsticks(upwards, downwards, 16)
    assert found.trigram >= math.log(16)
    assert found.bigram >= math.log(16)


def test_keys_of_the_largest_vocabulary_stay_apart():
    top = 32_767
    keys, counts = ngram.count_ngrams(ids(top, top - 1, top, top - 1, top), 3, top + 1)
    assert keys.tolist() == [((top - 1) << 30) + (top << 15) + top - 1,
                             (top << 30) + ((top - 1) << 15) + top]
    assert counts.tolist() == [1, 2]


def test_yardsticks_round_trip_through_plain_values():
    found = yardsticks(zipf(300, 23, seed=8), zipf(50, 23, seed=9), 23)
    values = found.to_dict()
    assert list(values) == ["uniform", "unigram", "bigram", "trigram"]
    assert {type(value) for value in values.values()} == {float}
    assert Yardsticks.from_dict(values | {"vocab_size": 23}) == found


@pytest.mark.parametrize(("train", "valid", "message"), [
    (ids(), ids(0, 1), "the training text is too short for n-grams, n_tokens=0; give at least 3"),
    (ids(0, 1), ids(0, 1), "the training text is too short for n-grams, n_tokens=2; "
     "give at least 3"),
    (ids(0, 1, 2), ids(0), "the validation text is too short for n-grams, n_tokens=1; "
     "give at least 2"),
    (ids(0, 1, 4), ids(0, 1), "the training text holds token 4, outside a vocabulary of 4; "
     "encode it with the same tokenizer"),
    (ids(0, 1, 2), ids(0, 9), "the validation text holds token 9, outside a vocabulary of 4; "
     "encode it with the same tokenizer"),
])
def test_bad_input_is_refused_in_one_sentence(train, valid, message):
    with pytest.raises(CorpusError) as error:
        yardsticks(train, valid, 4)
    assert str(error.value) == message


@pytest.fixture(scope="module")
def tinystories():
    """Ids of both splits from the tokenizers package: EOT story EOT story … EOT."""
    if not (DATA / "tinystories-train.txt").exists():
        pytest.skip("no ../shared/data/tinystories-train.txt beside the checkout")
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    splits = []
    for name in ("train", "valid"):
        text = (DATA / f"tinystories-{name}.txt").read_text(encoding="utf-8")
        splits.append([story.strip() for story in text.split(END) if story.strip()])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(splits[0], trainers.BpeTrainer(
        vocab_size=1024, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    end = [tokenizer.token_to_id(END)]
    return [
        np.array([*end, *(i for story in tokenizer.encode_batch(split) for i in story.ids + end)],
                 dtype=np.uint16)
        for split in splits
    ]


def test_yardsticks_of_tinystories(tinystories):
    found = yardsticks(*tinystories, 1024)
    assert found.uniform == pytest.approx(6.93, abs=0.02)
    assert found.unigram == pytest.approx(5.78, abs=0.02)
    assert found.bigram == pytest.approx(3.44, abs=0.02)
    assert found.trigram == pytest.approx(2.81, abs=0.01)


def test_trigram_of_the_design_is_the_one_that_backs_off_to_a_plain_bigram(tinystories):
    # DESIGN's 2.86 comes back when the bigram below the trigram counts occurrences, as a bigram
    # of its own does. Counting predecessors there, as Kneser–Ney asks, is the harder opponent.
    train, valid = tinystories
    counts = [ngram.count_ngrams(train, order, 1024) for order in (1, 2, 3)]
    predecessors = ngram.count_predecessors(counts[1], 1, 1024)
    plain = KneserNey([predecessors, counts[1], counts[2]], 1024)
    loss = -np.mean(np.log(plain.probabilities(valid)))
    assert loss == pytest.approx(2.86, abs=0.02)
    assert yardsticks(train, valid, 1024).trigram < loss - 0.03
