"""What is learnt of a model's answers: right ones, and those explained with the answer given."""

import numpy as np
import pytest

from engine.alignment import worked
from engine.errors import Left
from engine.text import sums


class Pupil:
    """Stands for a model: it knows one digit, and explains what it is told, but for some words."""

    def __init__(self):
        self.known = {one.question: one for one in sums.problems(
            4000, np.random.default_rng([1, 5, 0]), range(1, 4))}
        self.asked = []

    def __call__(self, writer, prompts):
        self.asked.append(list(prompts))
        return [self.answer(prompt) for prompt in prompts]

    def answer(self, prompt):
        one = self.known.get(prompt.rpartition(") ")[2])
        if one is None or "one" in one.answer:
            return " nonsense"
        is_hinted = prompt.startswith("(")
        return one.solution if is_hinted or one.digits == 1 else f" so{sums.ENDING}7 7 7 7 7"


@pytest.fixture
def pupil(monkeypatch):
    found = Pupil()
    monkeypatch.setattr(worked, "written", found)
    return found


def test_right_answers_are_kept_and_wrong_ones_explained_from_the_answer(pupil):
    found = worked.right_answers(None, 64, 1, 0)
    first, second = pupil.asked
    assert len(first) == 64
    assert all(prompt.startswith("( ") for prompt in second)
    at_once = [prompt for prompt in first if pupil.known[prompt].digits == 1
               and "one" not in pupil.known[prompt].answer]
    assert len(first) - len(second) == len(at_once) > 10
    assert {one.prompt for one in found} == {
        prompt for prompt in first if "one" not in pupil.known[prompt].answer}
    assert all(one.rejected is None and "(" not in one.prompt + one.chosen for one in found)
    assert worked.right_answers(None, 64, 1, 0) == found
    assert len(worked.right_answers(None, 70, 1, 1)) <= 6  # the rest of 70


def test_plain_answers_are_those_a_text_would_have():
    found = worked.plain_answers(20, 3)
    assert len(found) == 20
    assert all(sums.ENDING in one.chosen for one in found)


def test_the_exam_asks_the_same_held_out_problems_every_time(pupil, monkeypatch):
    monkeypatch.setattr(worked, "MOST_DIGITS", 2)

    def ask(leave):
        return worked.sums_exam(None, 9, leave, n=70)

    def leave(done, total, what):
        if done == 1:
            raise Left(f"{done} of {total} {what}")

    found = ask(lambda *_: None)
    assert [(one.name, one.step, one.n) for one in found] == [
        ("right of 1 digits", 9, 70), ("right of 2 digits", 9, 70)]
    assert [len(prompts) for prompts in pupil.asked] == [64, 6, 64, 6]
    assert not {prompt for prompts in pupil.asked for prompt in prompts} & pupil.known.keys()
    assert found[0].values == [0.0] * 70
    with pytest.raises(Left, match="1 of 2 problems"):
        ask(leave)
