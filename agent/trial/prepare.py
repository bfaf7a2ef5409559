"""Texts and token files, made in a child process so that the daemon stays small.

    python -m agent.trial.prepare '{"root": …, "what": "builtin", "vocab_size": 1024}'

The child prints JSON lines: progress, then an error or the end. All it makes is cached on disk by
content; the parent then opens the cache.
"""

import dataclasses
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.machine import machine
from engine.config import BOUNDS, Config
from engine.errors import CorpusError, StorageError, UserError, VocabularyTooLarge
from engine.text import TokenSet, corpus

LOOK_S = 0.25
PIECE_BYTES = 65_536
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Which text a night works on."""

    root: str  # folder of prepared texts
    what: str = "builtin"  # builtin, tinystories or a file
    valid: str | None = None  # a file of its own for validation
    n_stories: int | None = None
    seed: int = 0

    def open(self, vocab_size: int, progress: Progress | None, *,
             may_make: bool = True) -> TokenSet:
        """Token files of this text, made here where they are not cached and may be made."""
        found = corpus.resolve(Path(self.root), self.what, n_stories=self.n_stories,
                               seed=self.seed, valid=Path(self.valid) if self.valid else None,
                               progress=progress, may_make=may_make)
        return corpus.prepare_tokens(found, vocab_size, progress=progress, may_make=may_make)

    def find(self, vocab_size: int) -> TokenSet | None:
        """Token files that are there already; None where they are not. It writes nothing."""
        try:
            return self.open(vocab_size, None, may_make=False)
        except corpus.NotPrepared:
            return None


class Stopped(KeyboardInterrupt):
    """What Ctrl-C is, asked for in another way: nothing that was begun is taken further."""


def token_files(source: Source, vocab_size: int, progress: Progress,
                look: Callable[[], None] = lambda: None) -> TokenSet:
    """Make the token files in a child, telling its progress; raises what it met, in its words.

    `look` is called every LOOK_S; what it raises ends the child, and what that has finished is
    kept.
    """
    request = json.dumps({**dataclasses.asdict(source), "vocab_size": vocab_size})
    with subprocess.Popen([sys.executable, "-m", "agent.trial.prepare", request],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0,
                          env=machine.worker_environment(), start_new_session=True) as child:
        assert child.stdout is not None  # asked for just above
        try:
            for line in _lines(child.stdout.fileno(), look):
                message = json.loads(line)
                if "error" in message:
                    kind = StorageError if message["is_storage"] else CorpusError
                    raise kind(message["error"])
                progress(message["stage"], message["done"], message["total"])
        except KeyboardInterrupt:
            child.kill()
            raise
    if child.returncode != 0:
        raise CorpusError(f"preparing {source.what} ended with status {child.returncode}; "
                          "was memory short? Start again, what was finished is kept")
    return source.open(vocab_size, None)


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
    vocab_size = request.pop("vocab_size")
    try:
        Source(**request).open(vocab_size, _print)
    except UserError as error:
        _write({"error": _in_words(error, vocab_size),
                "is_storage": isinstance(error, StorageError)})
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
