"""Prompts of a file: a line each, and what is no such file told by its line."""

import pytest

from agent.trial.prompts import MOST, prompts_of
from engine.errors import UserError


def test_lines_are_prompts_with_the_space_in_them() -> None:
    assert prompts_of("\ufeffThe dog \r\n\n  \n  A\tcat\n".encode(), "p.txt") == [
        "The dog ", "  A\tcat"]


def test_lines_of_json_hold_what_a_line_of_text_cannot() -> None:
    data = b'"a\\nb"\n{"prompt": "c", "text": "d"}\n{"text": "e"}\n'
    assert prompts_of(data, "P.JSONL") == ["a\nb", "c", "e"]
    assert prompts_of(b'"a"\n', "p.txt") == ['"a"']


@pytest.mark.parametrize(("data", "name", "said"), [
    (b"", "p.txt", "p.txt holds no prompt; write one on each line"),
    (b"a\nb\xff\n", "p.txt", "p.txt is no UTF-8 text in line 2; save it as UTF-8"),
    (b'"a"\n{b\n', "p.jsonl", "p.jsonl, line 2 is no JSON ("),
    (b"[" * 100_000, "p.jsonl", "p.jsonl, line 1 is no JSON ("),
    (b'{"prompt": 1}', "p.jsonl", "p.jsonl, line 1 holds no prompt; write"),
    (b'{"words": "a"}', "p.jsonl", "p.jsonl, line 1 holds no prompt; write"),
    (b"a\n" * (MOST + 1), "p.txt", "p.txt holds 10,001 prompts, and at most 10,000 are taken"),
])
def test_what_is_no_such_file_is_told(data: bytes, name: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        prompts_of(data, name)
    assert str(caught.value).startswith(said)
