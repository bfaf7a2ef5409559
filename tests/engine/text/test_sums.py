"""Sums whose answers can be checked, and operands that no text has."""

import numpy as np

from engine.text import corpus
from engine.text.sums import DIGITS, NAMES, problems, write_sums

BACK = {name: str(i) for i, name in enumerate(NAMES)} | {"plus": "+", "is": "="}


def read(question):
    """(a, sign, b) of a question in digits or words."""
    parts = [BACK.get(part, part) for part in question.split(" ")]
    at = next(i for i, part in enumerate(parts) if part in ("+", "or"))
    return (int("".join(parts[:at])), parts[at],
            int("".join(part for part in parts[at + 1 :] if part.isdigit())))


def of(n, held_out=False, digits=range(1, 5)):
    return problems(n, np.random.default_rng(3), digits, held_out=held_out)


def test_every_answer_is_that_of_python_and_every_step_adds_up():
    for one in of(400):
        a, sign, b = read(one.question)
        answer = int("".join(BACK.get(word, word) for word in one.answer.split(" ")))
        assert answer == (a + b if sign == "+" else max(a, b))
        assert len(str(a)) == len(str(b)) == one.digits
        assert one.is_right(one.solution)
        assert not one.is_right(one.solution + " 1")
        assert not one.is_right(f" {one.answer}")
        for step in one.solution.partition(" . So ")[0].split(" , "):
            left, equals, right = " ".join(BACK.get(word, word) for word in step.split()).partition(
                " = ")
            if "+" in left:
                assert equals
                assert sum(map(int, left.split(" + "))) == int(right.replace(" ", ""))


def test_no_text_has_operands_that_are_held_out():
    given = {frozenset((a, b)) for a, _, b in (read(one.question) for one in of(3000))}
    held = {frozenset((a, b)) for a, _, b in (read(one.question) for one in of(300, True))}
    assert not given & held
    assert 5 < sum(max(pair) < 10 for pair in held) < 20  # a fifth of 55


def test_a_seed_writes_the_same_text_everywhere():
    assert list(write_sums(3, 1)) == list(write_sums(5, 1))[:3]
    assert next(write_sums(1, 2)) != next(write_sums(1, 1))
    hinted = [text for text in write_sums(500, 0) if text.startswith("( ")]
    assert 70 < len(hinted) < 130
    assert {one.digits for one in of(200, digits=range(1, DIGITS + 1))} == {1, 2, 3}


def test_it_is_a_corpus_like_any_other(tmp_path):
    found = corpus.resolve(tmp_path, "sums", n_stories=400)
    assert (found.name, found.source) == ("sums", "builtin")
    tokens = corpus.prepare_tokens(found, 280)
    assert tokens.n_tokens["train"] > 2000
