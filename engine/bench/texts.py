"""The tokenizer beside the `tokenizers` package on one text, and making a whole corpus."""

import contextlib
import hashlib
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.bench.clock import Peer, seconds
from engine.config import Config
from engine.errors import TokenizerError, UserError
from engine.text import N_STORIES, Tokenizer, builtin, parse, prepare_tokens, read_bytes
from engine.text.stories import write_stories

VOCAB = Config().vocab_size
N_SMALL = 4_000  # built-in stories where no text is given: 4.4 MB


def read_stories(path: Path | None) -> list[str]:
    """The stories of a text, or some of our own."""
    if path is None:
        return list(write_stories(N_SMALL, 0))
    if not path.exists():
        raise UserError(f"there is no file {path}; give the path of a text, or leave --text out to "
                        "measure on built-in stories")
    return parse(read_bytes(path), path)


def tokenizer_rows(stories: Sequence[str], rounds: int, with_peer: bool) -> list[dict[str, Any]]:
    """Training and encoding: seconds of each, ours in one process, the peer's on all cores.

    Every turn encodes with a new tokenizer: neither has met the text. UserError where the ids of
    the two differ.
    """
    try:
        merges = Tokenizer.train(stories, VOCAB).merges
    except TokenizerError as error:
        raise UserError(f"the text is too short for the {VOCAB:,} tokens measured here; give one "
                        "of some 100 kB or more") from error
    ours: dict[str, Callable[[], object]] = {
        "train": lambda: Tokenizer.train(stories, VOCAB),
        "encode": lambda: Tokenizer(merges).encode_stories(stories)}
    times: dict[tuple[str, bool], list[float]] = {(name, is_peer): []
                                                  for name in ours for is_peer in (False, True)}
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(_peer(stories, stack)) if with_peer else None
        if peer and peer.ask("ids") != ids_hash(Tokenizer(merges), stories):
            raise UserError("our ids are not those of the tokenizers package on this text; "
                            "please report the text")
        for _ in range(rounds):
            for name, work in ours.items():
                times[name, False].append(seconds(work))
                if peer:
                    times[name, True].append(peer.ask(name))
    n_bytes = sum(len(story.encode()) for story in stories)
    return [_row(f"tokenizer {name}, vocabulary {VOCAB:,}, {n_bytes / 1e6:.1f} MB",
                 times[name, False], times[name, True]) for name in ours]


def _row(name: str, ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    spent = statistics.median(ours)
    row: dict[str, Any] = {"config": name, "seconds": spent, "turns": len(ours)}
    if theirs:
        peer_spent = statistics.median(theirs)
        row |= {"peer_seconds": peer_spent, "ratio_tokenizers": peer_spent / spent}
    return row


def _peer(stories: Sequence[str], stack: contextlib.ExitStack) -> Peer:
    text = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "stories.json"
    text.write_text(json.dumps(list(stories)), encoding="utf-8")
    return Peer("tokenizers_peer.py", "tokenizers", str(text), str(VOCAB))


def ids_hash(tokenizer: Tokenizer, stories: Sequence[str]) -> str:
    """SHA-256 of the ids of every story, as JSON: what the peer answers, too."""
    return hashlib.sha256(json.dumps([tokenizer.encode(s) for s in stories]).encode()).hexdigest()


def preparation_row() -> dict[str, Any]:
    """Everything the first night prepares: stories, tokenizer, tokens, yardsticks; once."""
    with tempfile.TemporaryDirectory() as folder:
        spent = seconds(lambda: prepare_tokens(builtin(Path(folder)), VOCAB))
    return {"config": f"corpus of {N_STORIES:,} built-in stories", "seconds": spent, "turns": 1}
