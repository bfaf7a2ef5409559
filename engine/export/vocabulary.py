"""The vocabulary as GPT-2's programs spell it: each byte one visible character.

Source: the encoder published with Radford et al. 2019, "Language Models are Unsupervised Multitask
Learners": bytes that are visible in Latin-1 stand for themselves, the others for the characters
from U+0100 on, in their order.
"""

from collections.abc import Sequence

from engine.errors import TokenizerError
from engine.text import Tokenizer

_VISIBLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = tuple(byte for byte in range(0x100) if byte not in _VISIBLE)
SIGN_OF = {**{byte: chr(byte) for byte in _VISIBLE},
           **{byte: chr(0x100 + i) for i, byte in enumerate(_OTHERS)}}


def visible_tokens(tokenizer: Tokenizer) -> list[str]:
    """The tokens in the order of their ids; the first, which ends a text, is written out.

    TokenizerError where two are spelt alike: such a vocabulary has no place in a dictionary.
    """
    end, *others = tokenizer.token_bytes
    tokens = [end.decode(), *("".join(map(SIGN_OF.__getitem__, data)) for data in others)]
    if len(set(tokens)) < len(tokens):
        twin = next(token for token in tokens if tokens.count(token) > 1)
        raise TokenizerError(f"two tokens of the vocabulary are spelt '{twin:.60}', which other "
                             "programs cannot tell apart; --to npz writes both")
    return tokens


def visible_merges(tokenizer: Tokenizer, tokens: Sequence[str]) -> list[str]:
    """The merges in the order they are applied: two tokens with a space, which no token has."""
    return [f"{tokens[left]} {tokens[right]}" for left, right in tokenizer.merges]
