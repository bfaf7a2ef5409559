"""Texts and token files, made in a child process so that the daemon stays small.

    python -m agent.trial.prepare '{"root": …, "what": "builtin", "vocab_size": 1024}'

The child prints JSON lines: progress, then an error or the end. All it makes is cached on disk by
content; the parent then opens the cache.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.machine import machine
from engine.errors import CorpusError, StorageError, UserError
from engine.text import TokenSet, corpus

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Which text a night works on."""

    root: str  # folder of prepared texts
    what: str = "builtin"  # builtin, tinystories or a file
    valid: str | None = None  # a file of its own for validation
    n_stories: int | None = None
    seed: int = 0
    sha256: str | None = None  # of the text as a study knows it, whatever `what` holds by now

    def open(self, vocab_size: int, progress: Progress | None) -> TokenSet:
        """Token files of this text, made here where they are not cached."""
        return corpus.prepare_tokens(self._text(progress), vocab_size, progress=progress)

    def _text(self, progress: Progress | None) -> corpus.Corpus:
        if self.sha256 is None:
            return self._resolve(progress)
        if (kept := corpus.kept(Path(self.root), self.sha256)) is not None:
            return kept
        where = f"no copy of it is in {self.root}"
        try:
            found = self._resolve(progress)
        except CorpusError as error:
            raise CorpusError(f"the text of the study is gone: {where}, and {error}; give it with "
                              "--corpus, or another text, which opens a new study") from error
        if found.sha256 != self.sha256:
            raise CorpusError(f"the text of the study is gone: {where}, and {self.what} is another "
                              "text now; --corpus with it opens a new study")
        return found

    def _resolve(self, progress: Progress | None) -> corpus.Corpus:
        return corpus.resolve(Path(self.root), self.what, n_stories=self.n_stories,
                              seed=self.seed, valid=Path(self.valid) if self.valid else None,
                              progress=progress)


def token_files(source: Source, vocab_size: int, progress: Progress) -> TokenSet:
    """Make the token files in a child, telling its progress; raises what it met, in its words."""
    request = json.dumps({**dataclasses.asdict(source), "vocab_size": vocab_size})
    with subprocess.Popen([sys.executable, "-m", "agent.trial.prepare", request],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          env=machine.worker_environment(), start_new_session=True) as child:
        assert child.stdout is not None  # asked for just above
        try:
            for line in child.stdout:
                message = json.loads(line)
                if "error" in message:
                    kind = StorageError if message["is_storage"] else CorpusError
                    raise kind(message["error"])
                progress(message["stage"], message["done"], message["total"])
        except KeyboardInterrupt:
            child.kill()  # what it has finished is kept
            raise
    if child.returncode != 0:
        raise CorpusError(f"preparing {source.what} ended with status {child.returncode}; "
                          "was memory short? Start again, what was finished is kept")
    return source.open(vocab_size, None)


def main(arguments: list[str]) -> int:
    """The child: make everything, print progress."""
    request = json.loads(arguments[0])
    vocab_size = request.pop("vocab_size")
    try:
        Source(**request).open(vocab_size, _print)
    except UserError as error:
        _write({"error": str(error), "is_storage": isinstance(error, StorageError)})
        return 1
    return 0


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
