"""A text while it is written: whole characters only, and an end before a text that stops it."""

import codecs
from collections.abc import Sequence

from engine.errors import ConfigError
from engine.text import Tokenizer


class Spoken:
    """The text of tokens that come one by one.

    stop  texts before the first of which it ends; ConfigError for an empty one

    text         all that is certain so far; without the stop
    has_stopped  whether a stop has come, after which tokens are passed over
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        if not all(stop):
            raise ConfigError("a text to stop at is empty; give at least one character")
        self.text, self.has_stopped = "", False
        self._tokenizer, self._stop, self._held = tokenizer, stop, ""
        # Bytes that are no UTF-8 become U+FFFD, as in Tokenizer.decode.
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def add(self, token: int) -> str:
        """The characters that this token makes certain; often none."""
        return self._take(self._decode(self._tokenizer.token_bytes[token]))

    def end(self) -> str:
        """The characters that waited for more; no token comes any more."""
        piece = self._take(self._decode(b"", True))
        rest, self._held = self._held, ""
        self.text += rest
        return piece + rest

    def _take(self, new: str) -> str:
        if self.has_stopped:
            return ""
        held = self._held + new
        found = [at for stop in self._stop if (at := held.find(stop)) >= 0]
        if found:
            self.has_stopped = True
            n_certain, self._held = min(found), ""
        else:
            n_certain = len(held) - max((_overlap(held, stop) for stop in self._stop), default=0)
            self._held = held[n_certain:]
        self.text += held[:n_certain]
        return held[:n_certain]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text may be the beginning of a stop."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)
