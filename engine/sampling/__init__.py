"""From a model to text: the next token by temperature, top-k and top-p, with a cache.

In come a model, its parameters and prompts as token ids, out come new token ids. It uses `model`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.sampling.generate import Sampling as Sampling
    from engine.sampling.generate import Writing as Writing
    from engine.sampling.generate import continuations as continuations

__all__, __getattr__ = doors(__name__, {
    "generate": ("Sampling", "Writing", "continuations"),
})
