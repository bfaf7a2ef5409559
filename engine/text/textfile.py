"""Stories out of a file a person gives: .txt with a separator between stories, or .jsonl."""

import json
from pathlib import Path

from engine.errors import CorpusError
from engine.text.tokenizer import EOT

SUFFIXES = (".txt", ".jsonl")


def read_bytes(path: Path) -> bytes:
    """The file as it is; CorpusError where it cannot be read or is of an unknown kind."""
    if path.exists() and path.suffix.lower() not in SUFFIXES:
        raise CorpusError(f"{path} is not a .txt with {EOT} between stories nor a .jsonl with "
                          '{"text": …} on each line; use one of them, builtin or tinystories')
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CorpusError(f"there is no file {path}; give the path of a .txt or .jsonl, or use "
                          "builtin or tinystories") from None
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}") from error


def parse(data: bytes, path: Path) -> list[str]:
    """The stories in a file's bytes, without the space around them and without empty ones.

    A separator within the "text" of a .jsonl parts stories too. CorpusError says where the file
    is not what it should be, or that it holds no story.
    """
    text = decode(data, path.name)
    texts = _json_texts(text, path.name) if path.suffix.lower() == ".jsonl" else [text]
    stories = [story for text in texts for story in separate(text)]
    if not stories:
        raise CorpusError(f"{path} holds no story; put text into it, with {EOT} between stories")
    return stories


def separate(text: str) -> list[str]:
    return [story for part in text.split(EOT) if (story := part.strip())]


def decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")  # the mark some editors begin with
    except UnicodeDecodeError as error:
        raise CorpusError(f"{name} is not UTF-8: byte 0x{data[error.start]:02x} at offset "
                          f"{error.start}; save it as UTF-8") from error


def _json_texts(text: str, name: str) -> list[str]:
    return [_json_text(line, f"{name} line {number}")
            for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _json_text(line: str, where: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise CorpusError(f'{where} is not JSON: {reason}; write {{"text": …}} on each line'
                          ) from error
    text = value.get("text") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise CorpusError(f'{where} has no "text" that is a string; write {{"text": …}} on each '
                          "line")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"{where} holds the lone surrogate {text[error.start]!a}, which no "
                          "UTF-8 can store; remove it") from error
    return text
