"""Stories out of a file a person gives: plain text with a separator between stories, or JSON."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path

from engine.errors import CorpusError
from engine.text import unpack
from engine.text.jsontext import JsonText
from engine.text.tokenizer import EOT

PLAIN = (".txt", ".text", ".md", ".markdown", ".rst", ".org", ".tex", ".adoc",
         ".py", ".c", ".h", ".cc", ".cpp", ".hpp", ".java", ".js", ".ts", ".go", ".rs", ".rb",
         ".sh", ".lua", ".pl", ".php", ".swift", ".kt", ".scala", ".hs", ".ml", ".lisp", ".el",
         ".sql", ".r", ".jl", ".css")
LINES = (".jsonl", ".ndjson")
JSON = (*LINES, ".json")
# Text that lies in something else, by the suffix: what brings it out.
_PANDOC = "pandoc -t plain {name} -o {stem}.txt"
WRAPPED = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), "w3m -dump {name} > {stem}.txt"),
    ".pdf": "pdftotext {name} {stem}.txt",
    **dict.fromkeys((".epub", ".mobi", ".fb2", ".docx", ".odt", ".rtf"), _PANDOC),
    ".doc": "catdoc {name} > {stem}.txt",
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar"), "unpack it, and give the folder")}
_MARKS = (("utf-32", codecs.BOM_UTF32_LE), ("utf-32", codecs.BOM_UTF32_BE),
          ("utf-16", codecs.BOM_UTF16_LE), ("utf-16", codecs.BOM_UTF16_BE))
_MAGIC = {b"%PDF": "a PDF", b"PK\x03\x04": "a zip, as .epub and .docx are", b"\x1f\x8b": "a .gz",
          b"\x28\xb5\x2f\xfd": "a .zst", b"PAR1": "a .parquet", b"SQLite": "a database"}
MOST_NULS = 0.1  # of a text: more are another encoding, or no text


def require_kind(path: Path) -> None:
    """CorpusError where the suffix is of nothing that holds stories, with what to do."""
    inner = unpack.inner(path)
    suffix = inner.suffix.lower()
    if suffix in WRAPPED:
        how = WRAPPED[suffix].format(name=path.name, stem=inner.stem)
        raise CorpusError(f"{path} is no plain text; take its text out first: {how}")
    if suffix not in (*PLAIN, *JSON, ".parquet"):
        raise CorpusError(f"{path} is not a .txt with {EOT} between stories nor a .jsonl with "
                          '{"text": …} on each line; use one of them, a .md, .json, .parquet or '
                          "source code, one of them packed as .gz, a folder, builtin or "
                          "tinystories")


def read_bytes(path: Path, most_bytes: int | None = None) -> bytes:
    """What is in the file, unpacked; CorpusError where it cannot be read or is of no known kind."""
    if path.exists():
        require_kind(path)
    return unpack.read(path, most_bytes)


def parse(data: bytes, path: Path, how: JsonText | None = None) -> list[str]:
    """The stories in a file's bytes, without the space around them and without empty ones.

    A separator within the text of JSON parts stories too. CorpusError says where the file is not
    what it should be, is empty, or holds no story.
    """
    stories = [story for text in _texts(data, unpack.inner(path), how or JsonText())
               for story in separate(text)]
    if not stories and not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise CorpusError(f"{path} {'holds only white space' if data else 'is empty'}; put "
                          "text into it, or name another file")
    if not stories:
        why = ""
        if how and how.broken.n:
            why = f", {how.broken.n:,} broken ones passed over, the first: {how.broken.first}"
        raise CorpusError(f"{path} holds no story{why}; put text into it, with {EOT} between "
                          "stories")
    return stories


def separate(text: str) -> list[str]:
    return [story for part in text.split(EOT) if (story := part.strip())]


def decode(data: bytes, name: str) -> str:
    """Text as UTF-8, or as what a byte order mark says; CorpusError where it is neither."""
    encoding = next((encoding for encoding, mark in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        what = next((what for magic, what in _MAGIC.items() if data.startswith(magic)), None)
        if what:
            raise CorpusError(f"{name} is {what} and no plain text; take its text out first"
                              ) from error
        raise CorpusError(
            f"{name} is not {encoding.upper()}: byte 0x{data[error.start]:02x} at offset "
            f"{error.start}; save it as UTF-8, such as with iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    if text.count("\0") > MOST_NULS * len(text):
        raise CorpusError(f"{name} is {text.count(chr(0)) / len(text):.0%} zero bytes: UTF-16 "
                          "without its mark, or no text; save it as UTF-8, such as with iconv -f "
                          "UTF-16LE -t UTF-8")
    return text.removeprefix("\ufeff")  # the mark some editors begin with


def _texts(data: bytes, path: Path, how: JsonText) -> Iterator[str]:
    suffix = path.suffix.lower()
    if suffix not in JSON:
        yield decode(data, path.name)
    elif suffix in LINES:
        yield from how.lines(data, path.name, decode)
    else:
        yield from _json(data, path.name, how)


def _json(data: bytes, name: str, how: JsonText) -> Iterator[str]:
    """Of a .json, which may be one list, one object, or an object a line."""
    text = decode(data, name)
    if text.lstrip().startswith("["):
        yield from how.listed(text, name)
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield from how.lines(data, name, decode)
    else:
        yield how.of(value, name)
