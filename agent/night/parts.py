"""How much of a text is different: what `--unique` asks for, in tokens and as a text of its own."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.ledger import Ledger, part_sha256
from agent.search import study
from engine.errors import ConfigError
from engine.text import TokenSet
from engine.training import n_tokens_of, open_tokens
from strategies.grid import MAX_COUNT, parse_tokens

ALL = "all"
SHOWN = 40  # characters of one that is refused


@dataclass(frozen=True, slots=True)
class Part:
    """The first stories or tokens of a text's fixed shuffle."""

    asked: str | None = None  # 5s are 5 stories, 200k tokens; None: all of the text
    n_tokens: int | None = None  # None: all, or the text is not known yet
    n_stories: int | None = None
    text_sha256: str | None = None  # by which the ledger knows it; None: the text is not known

    @property
    def words(self) -> str:
        """5 stories, 200k tokens."""
        if self.asked is None:
            return "all of the text"
        if not self.asked.endswith("s"):
            return f"{self.asked} tokens"
        return "1 story" if self.asked == "1s" else f"{self.asked[:-1]} stories"


def parse_part(text: str) -> Part:
    """A part of any text. Raises ConfigError where it cannot be read."""
    asked = text.strip().lower()
    if asked == ALL:
        return Part()
    if stories := re.fullmatch(r"(\d{1,18})s", asked):
        n = int(stories[1])
        if not 0 < n <= MAX_COUNT:
            raise ConfigError(f"unique text '{text[:SHOWN]}' has no story that a run could see; "
                              "use 5s or 1000s")
        return Part(f"{n}s", n_stories=n)
    try:
        return Part(asked, n_tokens=parse_tokens(asked))
    except ConfigError as error:
        raise ConfigError(f"unique text '{text[:SHOWN]}' is neither stories nor tokens; use 5s for "
                          "5 stories, 200k for tokens, or all") from error


def parts_of(asked: Sequence[str], found: TokenSet | None) -> list[Part]:
    """The parts of a text, each once: what has no more than all of it is all of it.

    found  None: the text is not known yet, and neither is how long its stories are
    """
    parts = [parse_part(text) for text in asked]
    if found is not None:
        parts = [_of_text(part, found) for part in parts]
    return list(dict.fromkeys(parts))


def wholes_of(asked: Sequence[str], found: TokenSet | None) -> tuple[str, ...]:
    """Those that are not called all and are all of this text, as it has no more."""
    if found is None:
        return ()
    return tuple(text for text in dict.fromkeys(asked) if (part := parse_part(text)).asked
                 and _of_text(part, found).asked is None)


def _of_text(part: Part, found: TokenSet) -> Part:
    whole = Part(text_sha256=found.corpus.sha256)
    if part.asked is None:
        return whole
    n = part.n_tokens
    if part.n_stories is not None:
        tokens = open_tokens(found.paths["train"], found.vocab_size)
        n = n_tokens_of(tokens, int(tokens[0]), part.n_stories)  # a file begins with a separator
    if n is None or n >= found.n_tokens["train"]:
        return whole
    return dataclasses.replace(part, n_tokens=n, text_sha256=part_sha256(found.corpus.sha256, n))


def register_part(ledger: Ledger, found: TokenSet, part: Part, now: str) -> int:
    """The ledger's id of a part of a text, scored as the whole is and by its yardsticks."""
    row = study.corpus_row(found, now)
    if part.asked is None or part.text_sha256 is None:
        return ledger.add_corpus(row)
    return ledger.add_corpus(dataclasses.replace(
        row, name=f"{row.name}, {part.words}", text_sha256=part.text_sha256,
        n_tokens_train=part.n_tokens, n_stories_train=part.n_stories))
