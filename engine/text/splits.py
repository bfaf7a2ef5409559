"""Which stories are trained on and which judge: four splits that never share a story.

train is trained on; search decides what is kept, confirm confirms it, test decides nothing. They
part between stories, so they are the same bytes for every vocabulary:

- Where a validation file is given, all of the other file is train; of a few long documents the ends
  are held out (apart.py, which also keeps copies of a story on one side). Otherwise stories are
  held out of the text: as many as hold HELD_OUT_BYTES, at most every tenth, at least 3. They are
  taken at even distances, because a text may be sorted and its end may differ from its beginning.
  Both are dealt out in the order 0 4 8 … 2 6 10 … 1 5 9 … 3 7 11 …, so that every shard comes from
  all of what is held out: two chapters, or two plays, are not equally hard.
- search is the first of them, up to SEARCH_TOKENS tokens of the reference tokenizer, which is
  trained on train with the vocabulary of Config's defaults, or the largest that train supports;
  and no more than half of the stories. confirm and test halve the rest, so that each has a quarter
  of a short text, never a remainder: what is claimed rests on these two.
"""

from collections.abc import Callable, Sequence

from engine.config import Config
from engine.errors import CorpusError, TokenizerError
from engine.text.tokenizer import EOT, MIN_VOCAB, Progress, Tokenizer

SPLITS = ("train", "search", "confirm", "test")
SEARCH_TOKENS = 100_000
# At the 3 to 4 bytes a token of English that is 100,000 tokens to search and over 70,000 each to
# confirm and to test.
HELD_OUT_BYTES = 1_000_000
# Of the shards of a validation file: under rule 1 search took its tokens however little was left.
RULE = 2

Stories = Sequence[str]


def split_stories(stories: Stories, valid: Stories | None,
                  progress: Progress | None = None) -> tuple[dict[str, Stories], Tokenizer]:
    """The stories of every split, and the reference tokenizer.

    There must be as many as require_stories or require_validation ask for.
    """
    train, held = hold_out(stories) if valid is None else (stories, valid)
    tokenizer = _reference_tokenizer(train, progress)
    shards = shard(held, tokenizer.encode)
    return dict(zip(SPLITS, (train, *shards), strict=True)), tokenizer


# --- what is enough --------------------------------------------------------------------------


def require_stories(n: int, name: str) -> None:
    if n == 1:
        raise CorpusError(f"{name} is one story, so none can be held out for validation; put "
                          f"{EOT} between its stories")
    if n < 4:
        raise CorpusError(f"{name} has {n} stories, and at least 4 are needed: one to train on, "
                          "and one each to search, confirm and test; give more")


def require_validation(n: int, name: str) -> None:
    if n < 3:
        raise CorpusError(f"{name} has {n} stories, and validation needs at least 3, one each to "
                          f"search, confirm and test; give more, with {EOT} between them")


# --- the rule --------------------------------------------------------------------------------


def hold_out(stories: Stories) -> tuple[Stories, Stories]:
    """Training stories, and those held out of them in the order of the module's docstring."""
    n = len(stories)
    n_bytes = sum(len(story.encode()) for story in stories)
    n_held = max(3, min(n // 10, -(-HELD_OUT_BYTES * n // n_bytes)))
    at = [(2 * i + 1) * n // (2 * n_held) for i in range(n_held)]
    held = set(at)
    return ([story for i, story in enumerate(stories) if i not in held],
            dealt([stories[i] for i in at]))


def dealt(stories: Stories) -> Stories:
    """0 4 8 … 2 6 10 … 1 5 9 … 3 7 11 …: whoever takes a part of them has some from all over."""
    return [story for phase in (0, 2, 1, 3) for story in stories[phase::4]]


def shard(stories: Stories,
          encode: Callable[[str], Sequence[int]]) -> tuple[Stories, Stories, Stories]:
    """search, confirm and test of three validation stories or more."""
    n_search, n_tokens, n_most = 0, 0, len(stories) - 2 * max(1, len(stories) // 4)
    while n_tokens < SEARCH_TOKENS and n_search < n_most:
        n_tokens += len(encode(stories[n_search]))
        n_search += 1
    middle = (n_search + len(stories) + 1) // 2
    return stories[:n_search], stories[n_search:middle], stories[middle:]


def _reference_tokenizer(train: Stories, progress: Progress | None) -> Tokenizer:
    """The tokenizer of the default vocabulary, or of the largest that a short text supports."""
    wanted = Config().vocab_size
    try:
        return train_tokenizer(train, wanted, progress)
    except TokenizerError:
        best = Tokenizer.train(train, MIN_VOCAB)  # bytes alone: every text supports them
        low, high = MIN_VOCAB + 1, wanted - 1
        while low <= high:
            middle = (low + high) // 2
            try:
                best, low = Tokenizer.train(train, middle), middle + 1
            except TokenizerError:
                high = middle - 1
        return best


def train_tokenizer(train: Stories, vocab_size: int, progress: Progress | None) -> Tokenizer:
    """Tokenizer.train, with one progress from 0 to 100."""

    def report(stage: str, done: int, total: int) -> None:
        if progress:  # counting words is the first half, merging them the second
            half = 50 * done // total if total else 0
            progress("training tokenizer", half + (50 if stage == "merges" else 0), 100)

    return Tokenizer.train(train, vocab_size, report)
