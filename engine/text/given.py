"""What a person gives as a text: one file, or a folder of them.

A folder is taken with all below it, in the order of names: every file that is text, as one document
each. Left out are what is hidden, what is no text, and links to folders, so that no circle is
walked; how many of each is said.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import CorpusError
from engine.text import parquet, textfile, unpack
from engine.text.jsontext import JsonText

HEAD_BYTES = 8_192  # of a file, which tell whether it is text
FEW_FILES = 30  # of a folder: with fewer a tenth of them would be no sample of it


@dataclass(frozen=True, slots=True)
class How:
    """How stories are taken out of what is given."""

    key: str | None = None  # of JSON and .parquet; None: text
    skip_broken: bool = False  # lines of JSON
    most_bytes: int | None = None  # of all text; None: what is the most anywhere

    def identity(self) -> dict[str, object]:
        """What of it makes another text of the same files."""
        return ({} if self.key is None else {"key": self.key}) | (
            {"skip_broken": True} if self.skip_broken else {})


@dataclass(frozen=True, slots=True)
class Given:
    """Files, and the hash of all that they hold."""

    path: Path
    files: tuple[Path, ...]
    is_folder: bool
    sha256: str
    skipped: tuple[tuple[str, int], ...] = ()  # of a folder: why, and how many

    @property
    def name(self) -> str:
        return self.path.name if self.is_folder else unpack.inner(self.path).stem

    @property
    def suffix(self) -> str:
        """Of the file, with that of its packing; a folder's is a stroke."""
        inner = unpack.inner(self.path)
        return "/" if self.is_folder else self.path.name[len(inner.stem) :]


@dataclass(frozen=True, slots=True)
class Found:
    """The stories of what was given; few ones are documents, to be cut."""

    name: str  # as it was given
    stories: list[str]
    is_folder: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def few(self) -> int:
        """With fewer stories than that they are cut."""
        return FEW_FILES if self.is_folder else 0

    @property
    def title(self) -> str:
        return Path(self.name).name


def look(path: Path, home: Path | None = None) -> Given:
    """What there is at a path, hashed; CorpusError where that is nothing that can be read.

    home  of the agent, whose files change while it works
    """
    if path.is_dir():
        return _folder(path, home)
    if path.exists() and not path.is_file():
        raise CorpusError(f"{path} is neither a file nor a folder; save what it gives in a file "
                          "and name that")
    if path.exists():
        textfile.require_kind(path)
    return Given(path, (path,), False, _hash(path))


def read(given: Given, how: How) -> Found:
    """The stories of all files; CorpusError where a file is broken, or no file of a folder good."""
    most = unpack.MOST_BYTES if how.most_bytes is None else how.most_bytes
    json_text = JsonText(how.key, how.skip_broken)
    skipped, stories, n_files = Counter(dict(given.skipped)), [], 0
    for path in given.files:
        try:
            found = list(_stories(path, json_text, most))
        except unpack.TooLarge:
            raise
        except CorpusError as error:
            if not given.is_folder:
                raise
            skipped[_why(error)] += 1
            continue
        stories += found
        n_files += 1
        most -= sum(len(story) for story in found)
    if not stories:
        raise CorpusError(f"{given.path} holds no file of text{_in_all(skipped)}; give one that "
                          "holds .txt or source code")
    remarks = []
    if given.is_folder:
        remarks.append(f"{given.name}/: {counted(n_files, 'file')} of text{_in_all(skipped)}")
    if json_text.broken.n:
        n_broken = counted(json_text.broken.n, "broken line")
        remarks.append(f"{given.name}: {n_broken} passed over, the first: {json_text.broken.first}")
    return Found(str(given.path), stories, given.is_folder, tuple(remarks))


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with what it counts."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _stories(path: Path, how: JsonText, most_bytes: int) -> Iterator[str]:
    if path.suffix.lower() == ".parquet":
        for text in parquet.texts(path, how.key, most_bytes):
            yield from textfile.separate(text)
    else:
        yield from textfile.parse(unpack.read(path, most_bytes), path, how)


def _why(error: CorpusError) -> str:
    said = str(error)
    if any(told in said for told in ("holds no story", "is empty", "only white space")):
        return "empty"
    return "without that key" if "that is a string" in said else "no text"


def _in_all(skipped: "Counter[str]") -> str:
    n = skipped.total()
    each = ", ".join(f"{skipped[why]:,} {why}" for why in sorted(skipped) if skipped[why])
    return f"; left out {n:,}: {each}" if n else ""


# --- a folder --------------------------------------------------------------------------------


def _folder(path: Path, home: Path | None) -> Given:
    if home is not None and _is_same(path, home):
        raise CorpusError(f"{path} is the agent's home, whose files change while it works; give "
                          "another folder, or another --home")
    skipped: Counter[str] = Counter()
    files, digest = [], hashlib.sha256()
    for file in _walk(path, home, skipped):
        why = _why_not(file)
        if why:
            skipped[why] += 1
            continue
        files.append(file)
        digest.update(f"{os.fsencode(file.relative_to(path)).hex()} {_hash(file)}\n".encode())
    if not files:
        raise CorpusError(f"{path} holds no file of text{_in_all(skipped)}; give one that holds "
                          ".txt or source code")
    return Given(path, tuple(files), True, digest.hexdigest(), tuple(sorted(skipped.items())))


def _walk(path: Path, home: Path | None, skipped: "Counter[str]") -> Iterator[Path]:
    """Files below a folder in the order of names, without what is hidden; each folder once."""

    def note(_: OSError) -> None:
        skipped["unreadable"] += 1

    for root, folders, names in os.walk(path, onerror=note):
        kept = []
        for name in sorted(folders):
            folder = Path(root, name)
            why = ("hidden" if name.startswith(".") else "linked" if folder.is_symlink()
                   else "of the agent's home" if home and _is_same(folder, home)
                   else "compiled" if name == "__pycache__" else "")
            if why:
                skipped[why] += 1
            else:
                kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            if name.startswith("."):
                skipped["hidden"] += 1
            else:
                yield Path(root, name)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _why_not(path: Path) -> str:
    """Why a file of a folder is no text, by its name and its head; empty where it is."""
    suffix = unpack.inner(path).suffix.lower()
    if not path.is_file():
        return "no file"
    if suffix in textfile.WRAPPED:
        return suffix
    if suffix == ".parquet" or path.suffix.lower() in unpack.PACKED:
        return ""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return "unreadable"
    if not head.strip():
        return "empty"
    if _is_text(head):
        return ""
    # A novel in an older encoding has no zero bytes; a picture or a program has.
    return "no text" if b"\0" in head else f"not UTF-8 (iconv mends {path.name})"


def _is_text(head: bytes) -> bool:
    """Whether the beginning of a file is one of a text; its last character may be cut."""
    for n_cut in range(4):
        try:
            textfile.decode(head[: len(head) - n_cut], "")
        except CorpusError:
            if len(head) < HEAD_BYTES:
                return False
        else:
            return True
    return False


def _hash(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise CorpusError(f"there is no file {path}; give the path of a .txt or .jsonl, or use "
                          "builtin or tinystories") from None
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}") from error
