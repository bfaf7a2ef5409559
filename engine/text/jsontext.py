"""Stories out of JSON: one object a line, or one list of them."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engine.errors import CorpusError

T = TypeVar("T")
KEY = "text"
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of such bytes
PASS_OVER = "or pass it over with --skip-broken"
MOST_KEYS = 8  # that are named where the one asked for is missing


@dataclass(slots=True)
class Broken:
    """What was passed over: how many lines, and the first in words."""

    n: int = 0
    first: str = ""

    def add(self, what: str) -> None:
        self.n += 1
        self.first = self.first or what


@dataclass(frozen=True, slots=True)
class JsonText:
    """How the text is taken out of JSON."""

    key: str | None = None  # None is KEY
    skip_broken: bool = False
    broken: Broken = field(default_factory=Broken)

    def lines(self, data: bytes, name: str,
              decode: Callable[[bytes, str], str]) -> Iterator[str]:
        """The text of each line that is not blank; CorpusError at the first that is broken."""
        return self.each(data, name, decode, self.of, f'{{"{self.key or KEY}": …}}')

    def each(self, data: bytes, name: str, decode: Callable[[bytes, str], str],
             take: Callable[[Any, str], T], form: str) -> Iterator[T]:
        """What is taken of the value of each line that is not blank, given where it stands.

        form  what a line is to look like, for who has written another
        """
        try:
            text = decode(data, name)
        except CorpusError as error:
            if not self.skip_broken:
                raise CorpusError(f"{error}, {PASS_OVER}") from error
            text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        for number, line in enumerate(text.split("\n"), 1):
            try:
                if line.strip():
                    where = f"{name} line {number}"
                    yield take(_value(line, where, form), where)
            except CorpusError as error:
                self._pass_over(error)

    def listed(self, text: str, name: str) -> Iterator[str]:
        """The text of each item of one JSON list."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{name} is not JSON: {_why(error)}; give a list of objects, or one "
                              "object on each line") from error
        if not isinstance(values, list):
            raise CorpusError(f"{name} is no list of objects; give one, or one object on each line")
        for number, value in enumerate(values, 1):
            where = f"{name} item {number}"
            try:
                yield self.of(value if isinstance(value, dict) else {KEY: value}
                              if isinstance(value, str) and self.key is None else value, where)
            except CorpusError as error:
                self._pass_over(error)

    def of(self, value: object, where: str) -> str:
        """The text of one value."""
        found, key = value, self.key or KEY
        for part in [key] if isinstance(value, dict) and key in value else key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, str):
            raise CorpusError(f'{where} has no "{key}" that is a string; {_keys(value)}write '
                              f'{{"{key}": …}} on each line')
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(f"{where} holds the lone surrogate {found[error.start]!a}, which no "
                              "UTF-8 can store; remove it") from error
        return found

    def _pass_over(self, error: CorpusError) -> None:
        if not self.skip_broken:
            raise CorpusError(f"{error}, {PASS_OVER}") from error
        self.broken.add(str(error).partition("; ")[0])


def _value(line: str, where: str, form: str) -> Any:
    if _NOT_UTF8.search(line):
        raise CorpusError(f"{where} is not UTF-8")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where} is not JSON: {_why(error)}; write {form} on each line"
                          ) from error


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _keys(value: object) -> str:
    """The keys that would do, for who asked for another."""
    if not isinstance(value, dict):
        return ""
    names = [name for name in value if isinstance(value[name], str)][:MOST_KEYS]
    return f"it has {', '.join(map(_quoted, names))}: name one with --key, or " if names else ""


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=True) if len(name) < 40 else f'"{name[:36]!a}…"'
