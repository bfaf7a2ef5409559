"""A text on disk: four splits of stories, and token files for any vocabulary.

A corpus is a folder, <name>-<hash>, that is made once: the splits as text, manifest.json written
last, then for each vocabulary a tokenizer, a token file for each split and tokens-<vocabulary>.json
written last. What is not vouched for by such a last file, hash by hash, is made again.
"""

import contextlib
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.config import Config
from engine.errors import CorpusError, NotPrepared, TokenizerError
from engine.files import write_atomically
from engine.text import given
from engine.text.apart import Parts, parted, parted_from
from engine.text.disk import hash_file, only_one, sealed, storage_told, unsealed
from engine.text.download import TINYSTORIES_URL, Fetch, fetch_range, first_stories
from engine.text.given import Found, How
from engine.text.ngram import Yardsticks, yardsticks
from engine.text.splits import (
    RULE,
    SPLITS,
    Stories,
    require_stories,
    split_stories,
    train_tokenizer,
)
from engine.text.stories import STORIES_VERSION, write_stories
from engine.text.sums import SUMS_VERSION, write_sums
from engine.text.textfile import separate
from engine.text.tokenizer import EOT, Progress, Tokenizer

FORMAT = 1  # of the folder: raise it when the splits or the yardsticks of a text change
N_STORIES = 20_000  # of builtin, sums and tinystories
# Texts that are written here, with the version of their text.
WRITERS = {"builtin": (STORIES_VERSION, write_stories), "sums": (SUMS_VERSION, write_sums)}
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Split:
    n_stories: int
    n_bytes: int  # of the stories as UTF-8, without what parts them
    sha256: str  # of the file


@dataclass(frozen=True, slots=True)
class Corpus:
    """A text on disk, split; `sha256` is of all stories of all splits."""

    name: str
    source: str  # builtin (sums, too), tinystories or file
    folder: Path
    sha256: str
    splits: dict[str, Split]
    rule: int = RULE  # by which a validation file was cut into shards
    remarks: tuple[str, ...] = ()  # what was cut or left out when it was made, a sentence each

    @property
    def is_cut_short(self) -> bool:
        """Whether an earlier version left the shards under all claims a remainder."""
        confirm, search = (self.splits[split].n_bytes for split in ("confirm", "search"))
        return self.rule < RULE and 4 * confirm < search

    def stories(self, split: str) -> list[str]:
        return separate(_text_path(self.folder, split).read_bytes().decode())


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A corpus in the tokens of one vocabulary: EOT story EOT story … EOT in each file."""

    corpus: Corpus
    vocab_size: int
    tokenizer_path: Path
    tokenizer_sha256: str
    paths: dict[str, Path]
    n_tokens: dict[str, int]  # in the file, the first EOT included
    n_bytes: dict[str, int]  # of the text behind all tokens but the first; EOT has no bytes
    yardsticks: Yardsticks  # fitted on train, scored on search

    def bpb(self, nats: float) -> float:
        """Bits per byte of the search shard, from nats/token: its bytes, spelt by its tokens."""
        return nats * (self.n_tokens["search"] - 1) / math.log(2) / self.n_bytes["search"]


# --- where texts come from -------------------------------------------------------------------


def resolve(root: Path, what: str, *, n_stories: int | None = None, seed: int = 0,
            valid: Path | None = None, progress: Progress | None = None,
            how: How | None = None, may_make: bool = True) -> Corpus:
    """The corpus that `what` names: builtin, tinystories or the path of a file or a folder.

    NotPrepared where it would have to be made and may not be.
    """
    generated = what in (*WRITERS, "tinystories")
    if generated and how and how.identity():
        raise CorpusError(f"{what} is no JSON; --key and --skip-broken go with a file")
    if generated and valid is not None:
        raise CorpusError(f"{what} holds out its own validation stories; leave out {valid}, or "
                          "give the path of a training file with it")
    if not generated and n_stories is not None:
        raise CorpusError(f"n_stories={n_stories} goes with builtin and tinystories; {what} is "
                          "taken whole")
    if what in WRITERS:
        return builtin(root, N_STORIES if n_stories is None else n_stories, seed, progress,
                       may_make, what)
    if what == "tinystories":
        return tinystories(root, N_STORIES if n_stories is None else n_stories, progress=progress,
                           may_make=may_make)
    return from_file(root, Path(what), valid, progress, how, may_make)


def builtin(root: Path, n_stories: int = N_STORIES, seed: int = 0,
            progress: Progress | None = None, may_make: bool = True,
            name: str = "builtin") -> Corpus:
    """Stories, or what else is written here, the same for a seed on every machine."""
    version, write = WRITERS[name]

    def read(folder: Path) -> Parts:
        require_stories(n_stories, name)
        stories = []
        for story in write(n_stories, seed):
            stories.append(story)
            if progress and (len(stories) % 500 == 0 or len(stories) == n_stories):
                progress("writing stories", len(stories), n_stories)
        return parted(Found(name, stories))

    key = {"version": version, "n_stories": n_stories, "seed": seed}
    return _open(root, name, "builtin", key, read, progress, may_make)


def tinystories(root: Path, n_stories: int = N_STORIES, fetch: Fetch = fetch_range,
                progress: Progress | None = None, may_make: bool = True) -> Corpus:
    """The first stories of TinyStoriesV2 (Eldan and Li 2023, arXiv:2305.07759), downloaded."""

    def read(folder: Path) -> Parts:
        require_stories(n_stories, "tinystories")  # before anything is downloaded
        part = _download_path(folder)
        stories = first_stories(TINYSTORIES_URL, part, n_stories, fetch, progress)
        require_stories(len(stories), TINYSTORIES_URL)
        return parted(Found("tinystories", stories))

    key = {"url": TINYSTORIES_URL, "n_stories": n_stories}
    return _open(root, "tinystories", "tinystories", key, read, progress, may_make)


def from_file(root: Path, path: Path, valid: Path | None = None,
              progress: Progress | None = None, how: How | None = None,
              may_make: bool = True) -> Corpus:
    """A person's own text, a file or a folder, with one of its own for validation or without."""
    how = how or How()
    text = given.look(path, root.parent)
    valid_text = None if valid is None else given.look(valid, root.parent)
    if valid_text is not None and valid_text.sha256 == text.sha256:
        raise CorpusError(f"{valid} holds the very text of {path}, and a model is validated on "
                          "text it was not trained on; name another file, or none: then a part is "
                          "held out")

    def read(folder: Path) -> Parts:
        found = given.read(text, how)
        if valid_text is None:
            return parted(found)
        return parted_from(found, given.read(valid_text, how))

    key: dict[str, Any] = {"suffix": text.suffix, "sha256": text.sha256, **how.identity()}
    if valid_text is not None:
        key |= {"valid_suffix": valid_text.suffix, "valid_sha256": valid_text.sha256}
    name = re.sub(r"[^\w.-]+", "-", text.name).strip("-.")[:40] or "file"
    if valid is None:
        return _open(root, name, "file", key, read, progress, may_make)
    # A study goes on with the shards it began with: no score of it compares with another slice's.
    older = _load(_folder(root, name, "file", key))
    return older or _open(root, name, "file", key | {"rule": RULE}, read, progress,
                          may_make)


def kept(root: Path, sha256: str) -> Corpus | None:
    """The prepared text of a hash, wherever it came from; None where none is here and whole."""
    for manifest in sorted(root.glob(f"*/{MANIFEST}")):
        with contextlib.suppress(OSError):
            if sha256.encode() not in manifest.read_bytes():
                continue  # its stories need no hashing
        found = _load(manifest.parent)
        if found is not None and found.sha256 == sha256:
            return found
    return None


# --- the folder ------------------------------------------------------------------------------


def _open(root: Path, name: str, source: str, key: Mapping[str, Any],
          read: Callable[[Path], Parts], progress: Progress | None, may_make: bool) -> Corpus:
    """The corpus of this key: found whole, or read, split and written."""
    folder = _folder(root, name, source, key)
    if (found := _load(folder)) is not None:
        return found
    if not may_make:
        raise NotPrepared(f"the text {name} is not prepared yet; `agent run` prepares it")
    with only_one(root):
        if (found := _load(folder)) is not None:  # another process was first
            return found
        parts = read(folder)
        splits, tokenizer = split_stories(parts.train, parts.held, progress)
        return _write(folder, name, source, splits, tokenizer, parts.remarks)


def _folder(root: Path, name: str, source: str, key: Mapping[str, Any]) -> Path:
    text = json.dumps({"format": FORMAT, "source": source, "vocab": Config().vocab_size, **key},
                      sort_keys=True)  # the vocabulary of the reference tokenizer
    return root / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _write(folder: Path, name: str, source: str, stories: Mapping[str, Stories],
           tokenizer: Tokenizer, remarks: tuple[str, ...] = ()) -> Corpus:
    splits = {}
    with storage_told(folder):
        folder.mkdir(exist_ok=True)
    for split in SPLITS:
        data = "".join(f"{story}\n{EOT}\n" for story in stories[split]).encode()
        write_atomically(_text_path(folder, split), data)
        splits[split] = Split(len(stories[split]), sum(len(s.encode()) for s in stories[split]),
                              hashlib.sha256(data).hexdigest())
    tokenizer.save(_tokenizer_path(folder, tokenizer.vocab_size))
    corpus = Corpus(name, source, folder, _hash_splits(splits), splits,
                    remarks=remarks)
    manifest = {"format": FORMAT, "rule": RULE, "name": name, "source": source,
                "sha256": corpus.sha256, "remarks": remarks,
                "splits": {split: asdict(splits[split]) for split in SPLITS}}
    write_atomically(folder / MANIFEST, sealed(manifest))
    _download_path(folder).unlink(missing_ok=True)
    return corpus


def _load(folder: Path) -> Corpus | None:
    """The corpus in a folder, or None where it is not there, not whole or not as it was."""
    try:
        manifest = unsealed((folder / MANIFEST).read_bytes())
        splits = {split: Split(**manifest["splits"][split]) for split in SPLITS}
        whole = (manifest["format"] == FORMAT and manifest["sha256"] == _hash_splits(splits)
                 and all(hash_file(_text_path(folder, split)) == splits[split].sha256
                         for split in SPLITS))
        return Corpus(manifest["name"], manifest["source"], folder, manifest["sha256"], splits,
                      manifest.get("rule", 1),
                      tuple(manifest.get("remarks", ()))) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def reopen(folder: Path) -> Corpus | None:
    """A corpus as it was made, whatever became of its source; None where it is not whole."""
    return _load(folder)


def _hash_splits(splits: Mapping[str, Split]) -> str:
    text = "".join(f"{name} {splits[name].sha256}\n" for name in SPLITS)
    return hashlib.sha256(text.encode()).hexdigest()


def _text_path(folder: Path, split: str) -> Path:
    return folder / f"{split}.txt"


def _download_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".part")


def _tokenizer_path(folder: Path, vocab_size: int) -> Path:
    return folder / f"tokenizer-{vocab_size}.json"


# --- tokens ----------------------------------------------------------------------------------


def prepare_tokens(corpus: Corpus, vocab_size: int, progress: Progress | None = None,
                   may_make: bool = True) -> TokenSet:
    """The corpus in the tokens of a vocabulary trained on it, with its yardsticks.

    Raises TokenizerError where the text does not support the vocabulary, StorageError where the
    disk is full, NotPrepared where they would have to be made and may not be.
    """
    if (found := _load_tokens(corpus, vocab_size)) is not None:
        return found
    if not may_make:
        raise NotPrepared(f"the text {corpus.name} is not prepared in a vocabulary of {vocab_size} "
                          "yet; `agent run` prepares it")
    with only_one(corpus.folder.parent):
        if (found := _load_tokens(corpus, vocab_size)) is not None:
            return found
        return _write_tokens(corpus, vocab_size, progress)


def _write_tokens(corpus: Corpus, vocab_size: int, progress: Progress | None) -> TokenSet:
    tokenizer = _load_tokenizer(corpus, vocab_size)
    if tokenizer is None:
        tokenizer = train_tokenizer(corpus.stories("train"), vocab_size, progress)
        tokenizer.save(_tokenizer_path(corpus.folder, vocab_size))
    ids = {split: _encode(corpus, split, tokenizer, progress) for split in SPLITS}
    hashes = {}
    for split in SPLITS:
        file = io.BytesIO()
        np.save(file, ids[split], allow_pickle=False)
        write_atomically(_tokens_path(corpus, vocab_size, split), file.getvalue())
        hashes[split] = hashlib.sha256(file.getvalue()).hexdigest()
    if progress:
        progress("yardsticks", 0, 1)
    yards = yardsticks(ids["train"], ids["search"], vocab_size)
    if progress:
        progress("yardsticks", 1, 1)
    record = {"format": FORMAT, "corpus_sha256": corpus.sha256, "vocab_size": vocab_size,
              "tokenizer_sha256": tokenizer.sha256,
              "n_tokens": {split: ids[split].size for split in SPLITS},
              "n_bytes": {split: corpus.splits[split].n_bytes for split in SPLITS},
              "sha256": hashes, "yardsticks": yards.to_dict()}
    write_atomically(_record_path(corpus, vocab_size), sealed(record))
    return _token_set(corpus, record)


def _encode(corpus: Corpus, split: str, tokenizer: Tokenizer,
            progress: Progress | None) -> NDArray[np.uint16]:
    total = sum(part.n_stories for part in corpus.splits.values())
    before = sum(corpus.splits[name].n_stories for name in SPLITS[:SPLITS.index(split)])

    def report(stage: str, done: int, of_split: int) -> None:
        if progress:
            progress("encoding", before + done, total)

    return tokenizer.encode_stories(corpus.stories(split), report)


def _load_tokenizer(corpus: Corpus, vocab_size: int) -> Tokenizer | None:
    try:
        found = Tokenizer.load(_tokenizer_path(corpus.folder, vocab_size))
    except TokenizerError:
        return None
    return found if found.vocab_size == vocab_size else None


def _load_tokens(corpus: Corpus, vocab_size: int) -> TokenSet | None:
    """The tokens in the folder, or None where they are not there, not whole or not as they were."""
    try:
        record = unsealed(_record_path(corpus, vocab_size).read_bytes())
        tokenizer = _load_tokenizer(corpus, vocab_size)
        whole = (record["format"] == FORMAT and record["corpus_sha256"] == corpus.sha256
                 and record["vocab_size"] == vocab_size and tokenizer is not None
                 and record["tokenizer_sha256"] == tokenizer.sha256
                 and all(hash_file(_tokens_path(corpus, vocab_size, split))
                         == record["sha256"][split] for split in SPLITS))
        return _token_set(corpus, record) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _token_set(corpus: Corpus, record: Mapping[str, Any]) -> TokenSet:
    vocab_size = record["vocab_size"]
    return TokenSet(
        corpus, vocab_size, _tokenizer_path(corpus.folder, vocab_size),
        record["tokenizer_sha256"],
        {split: _tokens_path(corpus, vocab_size, split) for split in SPLITS},
        record["n_tokens"], record["n_bytes"], Yardsticks.from_dict(record["yardsticks"]))


def _tokens_path(corpus: Corpus, vocab_size: int, split: str) -> Path:
    return corpus.folder / f"tokens-{vocab_size}-{split}.npy"


def _record_path(corpus: Corpus, vocab_size: int) -> Path:
    return corpus.folder / f"tokens-{vocab_size}.json"
