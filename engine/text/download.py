"""The first stories of a large text on the web, without the rest of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.errors import CorpusError, StorageError
from engine.text.textfile import decode, separate
from engine.text.tokenizer import EOT, Progress

if TYPE_CHECKING:  # what fetches is heavy, and only imported to fetch
    from http.client import HTTPResponse

TINYSTORIES_URL = ("https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/"
                   "TinyStoriesV2-GPT4-train.txt")
RANGE_BYTES = 2 << 20
TIMEOUT_S = 30.0
ATTEMPTS = 3  # at one range, at once: a phone changes from one network to the next

# (url, start, end) → the bytes from start to before end: fewer than asked where the connection
# was cut or the text ends, none only beyond its end. Raises OSError or HTTPException.
Fetch = Callable[[str, int, int], bytes]


def fetch_range(url: str, start: int, end: int) -> bytes:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-{end - 1}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return _read_range(response, start, end)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # range not satisfiable: start is the end of the text
            return b""
        raise


def _read_range(response: "HTTPResponse", start: int, end: int) -> bytes:
    if response.status == 206:
        sent = response.headers["Content-Range"] or ""
        if not sent.startswith(f"bytes {start}-"):
            raise ConnectionError(f"asked for bytes from {start}, sent {sent or 'no range'}")
        at_end = False
    else:  # the server knows no ranges: pass over what is here already, and stop at end
        for at in range(0, start, RANGE_BYTES):
            response.read(min(RANGE_BYTES, start - at))
        at_end = response.headers["Content-Length"] == str(start)
    data = response.read(end - start)
    if not data and not at_end:
        raise ConnectionError("the connection broke off")
    return data


def first_stories(url: str, part: Path, n_stories: int, fetch: Fetch = fetch_range,
                  progress: Progress | None = None) -> list[str]:
    """The first n_stories of a text with a separator between stories, or all that it has.

    What has come is kept in the file `part`, and the next call goes on behind it. CorpusError
    where the server cannot be reached or sends no such text.
    """
    data = bytearray(part.read_bytes() if part.exists() else b"")
    n_found, end = _count_stories(data, 0)
    while n_found < n_stories:
        if progress:
            progress("downloading", n_found, n_stories)
        chunk = _fetch_next(url, len(data), fetch, f"{n_found} of {n_stories} stories")
        if not chunk:
            end = len(data)
            break
        data += chunk
        _append(part, chunk)
        n_more, end = _count_stories(data, end)
        n_found += n_more
    if progress:
        progress("downloading", n_stories, n_stories)
    del data[end:]  # a story, or even a character, that is not all here
    try:
        stories = separate(decode(bytes(data), url))[:n_stories]
        if not stories:
            raise CorpusError(f"{url} holds no story; use --corpus builtin or a FILE")
    except CorpusError:
        part.unlink(missing_ok=True)
        raise
    return stories


def _count_stories(data: bytearray, start: int) -> tuple[int, int]:
    """How many stories end behind start, and where the last of them ends."""
    *complete, rest = data[start:].split(EOT.encode())
    return sum(1 for story in complete if story.strip()), len(data) - len(rest)


def _fetch_next(url: str, start: int, fetch: Fetch, kept: str) -> bytes:
    from http.client import HTTPException

    n_failed = 0
    while True:
        try:
            return fetch(url, start, start + RANGE_BYTES)
        except (OSError, HTTPException) as error:
            n_failed += 1
            if n_failed == ATTEMPTS:
                raise CorpusError(
                    f"cannot reach {urlsplit(url).hostname}: {error}; {kept} are kept and the "
                    "next start goes on from there, or use --corpus builtin or a FILE") from error


def _append(part: Path, chunk: bytes) -> None:
    try:
        with open(part, "ab") as file:
            file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"cannot write {part} ({len(chunk) / 1e6:.1f} MB more): "
                           f"{error.strerror}; what came is kept, so free some space and start "
                           "again") from error
