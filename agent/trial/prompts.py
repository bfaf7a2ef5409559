"""Prompts out of a file: one a line, as text or as JSON."""

import json
from collections.abc import Iterator
from typing import Any

from engine.errors import UserError

MOST = 10_000
LINES = (".jsonl", ".ndjson")
KEYS = ("prompt", "text")  # of an object, the first that is there


def prompts_of(data: bytes, name: str) -> list[str]:
    """The prompts in a file's bytes; lines without a sign are passed over.

    name  of the file; where it ends in .jsonl a line is a JSON text, or an object with a prompt

    UserError, naming the line, for what is no such file.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name} is no UTF-8 text in line {line}; save it as UTF-8, such as by "
                        "iconv -f CP1252 -t UTF-8") from error
    found = list(_prompts(text, name))
    if not found:
        raise UserError(f"{name} holds no prompt; write one on each line")
    if len(found) > MOST:
        raise UserError(f"{name} holds {len(found):,} prompts, and at most {MOST:,} are taken; "
                        "part it into several files")
    return found


def _prompts(text: str, name: str) -> Iterator[str]:
    is_json = name.lower().endswith(LINES)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _of_json(line, f"{name}, line {number}") if is_json else line.removesuffix("\r")


def _of_json(line: str, place: str) -> str:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is no JSON ({error}); write \"Once upon\" or "
                        '{"prompt": "Once upon"} on each line') from error
    if isinstance(value, dict):
        value = next((value[key] for key in KEYS if key in value), None)
    if not isinstance(value, str):
        raise UserError(f'{place} holds no prompt; write "Once upon" or {{"prompt": "Once upon"}} '
                        "on each line")
    return value
