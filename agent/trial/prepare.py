"""Texts and token files, made in a child process so that the daemon stays small.

    python -m agent.trial.prepare '{"root": …, "what": "builtin", "vocab_size": 1024}'

The child prints JSON lines: progress, then an error or the end. All it makes is cached on disk by
content; the parent then opens the cache.
"""

import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.machine import guard, machine
from agent.words import one_line
from engine.config import BOUNDS, Config
from engine.errors import (
    CorpusError,
    NotPrepared,
    StorageError,
    TokenizerError,
    UserError,
    VocabularyTooLarge,
)
from engine.text import How, TokenSet, corpus

LOOK_S = 0.25
PIECE_BYTES = 65_536
Progress = Callable[[str, int, int], None]

TEXT_SHARE = 10  # of free memory: as many times its bytes a text takes while it is prepared


class ShortOfMemory(CorpusError):
    """A text could not be prepared in the memory there was, as for too large a vocabulary."""


# What a child's error is raised as, by the name it is handed over with; others are CorpusError.
KINDS: dict[str, type[UserError]] = {"storage": StorageError, "tokenizer": TokenizerError,
                                     "memory": ShortOfMemory}


@dataclass(frozen=True, slots=True)
class Source:
    """Which text a night works on."""

    root: str  # folder of prepared texts
    what: str = "builtin"  # builtin, tinystories, a file or a folder
    valid: str | None = None  # a file of its own for validation
    n_stories: int | None = None
    seed: int = 0
    key: str | None = None  # of the text in JSON and .parquet
    skip_broken: bool = False  # lines of JSON
    sha256: str | None = None  # of the text as a study knows it, whatever `what` holds by now

    def open(self, vocab_size: int, progress: Progress | None,
             folder: str | None = None, *, may_make: bool = True) -> TokenSet:
        """Token files of this text, made here where they are not cached and may be made.

        folder  where it was made before: what is whole there is taken, whatever became of the
                file it came from
        """
        found = corpus.reopen(Path(folder)) if folder else None
        found = found or self._text(progress, may_make=may_make)
        return corpus.prepare_tokens(found, vocab_size, progress=progress, may_make=may_make)

    def find(self, vocab_size: int) -> TokenSet | None:
        """Token files that are there already; None where they are not. It writes nothing."""
        try:
            return self.open(vocab_size, None, may_make=False)
        except NotPrepared:
            return None

    def _text(self, progress: Progress | None, *, may_make: bool) -> corpus.Corpus:
        if self.sha256 is None:
            return self._resolve(progress, may_make=may_make)
        if (kept := corpus.kept(Path(self.root), self.sha256)) is not None:
            return kept
        where = f"no copy of it is in {self.root}"
        try:
            found = self._resolve(progress, may_make=may_make)
        except NotPrepared:
            raise
        except CorpusError as error:
            raise CorpusError(f"the text of the study is gone: {where}, and {error}; give it with "
                              "--corpus, or another text, which opens a new study") from error
        if found.sha256 != self.sha256:
            raise CorpusError(f"the text of the study is gone: {where}, and {self.what} is another "
                              "text now; --corpus with it opens a new study")
        return found

    def _resolve(self, progress: Progress | None, *, may_make: bool) -> corpus.Corpus:
        free_mb = guard.free_mb()
        how = How(self.key, self.skip_broken,
                  None if free_mb is None else int(1e6 * free_mb / TEXT_SHARE))
        return corpus.resolve(Path(self.root), self.what, n_stories=self.n_stories,
                              seed=self.seed, valid=Path(self.valid) if self.valid else None,
                              progress=progress, how=how, may_make=may_make)


class Stopped(KeyboardInterrupt):
    """What Ctrl-C is, asked for in another way: nothing that was begun is taken further."""


def token_files(source: Source, vocab_size: int, progress: Progress, folder: str | None = None,
                look: Callable[[], None] = lambda: None) -> TokenSet:
    """Make the token files in a child, telling its progress; raises what it met, in its words.

    `look` is called every LOOK_S; what it raises ends the child, and what that has finished is
    kept.
    """
    request = json.dumps({**dataclasses.asdict(source), "vocab_size": vocab_size,
                          "folder": folder})
    try:
        status, printed = _follow(request, progress, look)
    except OSError as error:
        raise CorpusError(f"no process to prepare {source.what} can be had: {error}") from error
    if status == -signal.SIGKILL:
        raise ShortOfMemory(f"preparing {source.what} was killed by the system; was memory short? "
                            "Start again, what was finished is kept")
    if status != 0:
        why = f": {one_line(printed[-1])}" if printed else ""
        raise CorpusError(f"preparing {source.what} ended with status {status}{why} (start again, "
                          "what was finished is kept)")
    return source.open(vocab_size, None, folder)


def _follow(request: str, progress: Progress, look: Callable[[], None]) -> tuple[int, list[str]]:
    """The child's exit status, and what it printed of its end."""
    with tempfile.TemporaryFile() as said, subprocess.Popen(
            machine.child("agent.trial.prepare", request),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, bufsize=0,
            env=machine.worker_environment(), start_new_session=True) as child:
        assert child.stdout is not None  # asked for just above
        try:
            for line in _lines(child.stdout.fileno(), look):
                message = json.loads(line)
                if "error" in message:
                    raise KINDS.get(message["kind"], CorpusError)(message["error"])
                progress(message["stage"], message["done"], message["total"])
        except KeyboardInterrupt:
            child.kill()
            raise
        status = child.wait()
        said.seek(0)
        return status, said.read().decode(errors="replace").split("\n")[:-1]


class Texts:
    """Token files by vocabulary size: made or checked once, and again where they have changed.

    Somebody may clear or spoil the folder they lie in during a night.
    """

    def __init__(self, make: Callable[[int, str | None], TokenSet]) -> None:
        self._make = make  # from a vocabulary size, and the folder the text was made in before
        self._folder: str | None = None
        self._known: dict[int, tuple[TokenSet, list[object]]] = {}

    def __call__(self, vocab_size: int) -> TokenSet:
        """CorpusError where the text they came from is gone, or is another by now."""
        known = self._known.get(vocab_size)
        if known and _looks(known[0]) == known[1]:
            return known[0]
        found = self._make(vocab_size, self._folder)
        if known and (found.corpus.sha256, found.tokenizer_sha256) != (
                known[0].corpus.sha256, known[0].tokenizer_sha256):
            raise CorpusError(f"the text {found.corpus.name} is another than this night began "
                              "with; put the old one back, or start again to study the new one")
        self._known[vocab_size] = found, _looks(found)
        self._folder = str(found.corpus.folder)
        return found


def _looks(tokens: TokenSet) -> list[object]:
    """Size, time and number of each file, by which a change shows without reading it."""
    found: list[object] = []
    for path in (tokens.tokenizer_path, *tokens.paths.values()):
        try:
            stat = path.stat()
        except OSError as error:
            found.append(error.errno)
        else:
            found.append((stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return found


def _lines(pipe: int, look: Callable[[], None]) -> Iterator[bytes]:
    """Whole lines from a pipe until its other end closes, with a look at times."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if selector.select(LOOK_S):
                piece = os.read(pipe, PIECE_BYTES)
                if not piece:
                    return
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines
            look()


def main(arguments: list[str]) -> int:
    """The child: make everything, print progress."""
    request = json.loads(arguments[0])
    vocab_size, folder = request.pop("vocab_size"), request.pop("folder")
    try:
        Source(**request).open(vocab_size, _print, folder)
    except MemoryError as error:
        _write({"error": f"no memory to prepare it: {error}", "kind": "memory"})
        return 1
    except UserError as error:
        kind = next((name for name, kind in KINDS.items() if isinstance(error, kind)), None)
        _write({"error": _in_words(error, vocab_size), "kind": kind})
        return 1
    return 0


def _in_words(error: UserError, vocab_size: int) -> str:
    """The sentence, with what to type where that is known."""
    if isinstance(error, VocabularyTooLarge):
        return (f"vocab_size={vocab_size} is too large for this text, which supports at most "
                f"{error.most}: give --set vocab_size={error.most}, or more text")
    return str(error)


def require_windows(tokens: TokenSet, config: Config) -> None:
    """CorpusError, with what to type, where a text is shorter than the windows it is cut into."""
    n = tokens.n_tokens["train"]
    if n < 2 * config.seq_len:
        low = int(BOUNDS["seq_len"][0])
        fits = 2 ** (max(2, n // 2).bit_length() - 1)
        remedy = (f"give --set seq_len={max(low, fits)}, or more text" if n >= 2 * low
                  else "give more text")
        raise CorpusError(f"the {n} training tokens of {tokens.corpus.name} are too few for "
                          f"windows of seq_len={config.seq_len}: {remedy}")


def _print(stage: str, done: int, total: int) -> None:
    _write({"stage": stage, "done": done, "total": total})


def _write(message: dict[str, object]) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the agent is gone; what is made here is the next one's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
