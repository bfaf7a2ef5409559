"""Families of shapes: a rule each from a parameter count to a model of about so many.

    of_size("deep", 1_000_000, Config()) → Config(n_embd=96, n_layer=7, n_head=3, n_kv_head=1, …)

A count is met within NEAR_SIZE by the shape whose width a layer is nearest to the family's, all
else as in the base: vocabulary, ratio of the hidden width, recipe.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from engine.config import BOUNDS, Config
from engine.errors import ConfigError
from strategies.base import repaired, resized, shown_size
from strategies.legal import HEAD_SIZES, legal_width

NEAR_SIZE = 0.15  # a size asked for by its parameters is met within this part
UNLIKED = math.log(8)  # so much further off are proportions taken for a width that computes well
MAX_LAYERS = 24  # of what is not deep, where the count can be met so
MOST_LAYERS = int(BOUNDS["n_layer"][1])


@dataclass(frozen=True, slots=True)
class Family:
    """A rule of proportions."""

    about: str
    aspect: float  # width to layers
    max_layers: int = MAX_LAYERS
    off_weight: float = 4.0  # of a count that is off beside proportions that are, in logs
    queries: int | None = None  # heads of queries a head of keys; None: as in the base
    fields: tuple[tuple[str, Any], ...] = ()  # that all of its models have


# deep: Liu et al. 2024 (MobileLLM), arXiv:2402.14905: at 125M to 1B parameters 30 to 54 layers at
# widths of 576 to 1280, three queries a key. rwkv: Peng et al. 2024, arXiv:2404.05892.
FAMILIES = {
    "balanced": Family("as the default shape, 128d/4L", 32),
    "deep": Family("deep and thin, three query heads a key head", 22, MOST_LAYERS, 2.0, 3,
                   fields=(("mixer", "attention"),)),
    "wide": Family("few wide layers", 128),
    "gqa4": Family("four query heads a key head, tied", 32, queries=4,
                   fields=(("mixer", "attention"), ("tied", True))),
    "rwkv": Family("RWKV time mixing, as balanced", 32,
                   fields=(("mixer", "rwkv"), ("n_kv_head", None))),
}
Shape = tuple[int, int]


def of_size(name: str, target: float, base: Config, said: str | None = None) -> Config:
    """The base in the family's shape of about `target` parameters; a pure function of these.

    The learning rate goes by the width rule (base.py). Raises ConfigError where no shape has so few
    or so many, with the nearest, which for few is the least that the vocabulary leaves possible.

    said  how the count was written
    """
    family = FAMILIES[name]
    # What vector units like; any even width where that will not do, or is of other proportions.
    found = [(_cost(family, shape, n / target) + (UNLIKED if is_fine else 0.0), shape)
             for is_fine in (False, True) for shape, n in _near(name, target, base, is_fine)]
    if found:
        return shaped(name, *min(found)[1], base)
    nearest = min((shaped(name, width, layers, base) for width, layers in (
        (_widths(name, is_fine=True)[0], 1), (_widths(name, is_fine=True)[-1], MOST_LAYERS))),
        key=lambda config: abs(config.n_params - target))
    least = "" if target > nearest.n_params else (
        f", the least of {name} models with a vocabulary of {base.vocab_size:,}")
    raise ConfigError(
        f"size '{said or shown_size(int(target))}' is not within {NEAR_SIZE:.0%} of any shape; the "
        f"nearest is {nearest.n_embd}d/{nearest.n_layer}L with {shown_size(nearest.n_params)} "
        f"parameters{least}")


def shaped(name: str, width: int, layers: int, base: Config) -> Config:
    """The base in a family at this width and depth."""
    family = FAMILIES[name]
    fields: dict[str, Any] = dict(family.fields) | resized(base, width, layers)
    if family.queries is not None:
        heads = _grouped_heads(width, family.queries, base.head_size)
        fields |= {"n_head": heads, "n_kv_head": heads // family.queries}
    return repaired(base, fields)


def _grouped_heads(width: int, queries: int, head_size: int) -> int:
    """The number of heads, a multiple of `queries`, whose size is nearest to that of the base."""
    counts = [n for n in range(queries, int(BOUNDS["n_head"][1]) + 1, queries)
              if width % (2 * n) == 0]
    return min(counts, key=lambda n: (not HEAD_SIZES[0] <= width // n <= HEAD_SIZES[1],
                                      abs(math.log(width / n / head_size))))


def _near(name: str, target: float, base: Config,
          is_fine: bool) -> Iterator[tuple[Shape, int]]:
    """Every shape of the family that meets the count, with its parameters.

    Those of a width are a first layer with all around the layers, and as many for each further.
    """
    most = MOST_LAYERS if is_fine else FAMILIES[name].max_layers
    for width in _widths(name, is_fine):
        config = shaped(name, width, 1, base)
        first = config.n_params
        if config.n_params_embedding > (1 + NEAR_SIZE) * target:
            return
        each = dataclasses.replace(config, n_layer=2).n_params - first
        shallowest = math.ceil(((1 - NEAR_SIZE) * target - first) / each) + 1
        deepest = math.floor(((1 + NEAR_SIZE) * target - first) / each) + 1
        for layers in range(max(1, shallowest), min(most, deepest) + 1):
            yield (width, layers), first + (layers - 1) * each


def _cost(family: Family, shape: Shape, met: float) -> float:
    """How far proportions and count are from what they should be; met is the part of the count."""
    width, layers = shape
    return abs(math.log(width / layers / family.aspect)) + family.off_weight * abs(met - 1)


@cache
def _widths(name: str, is_fine: bool) -> tuple[int, ...]:
    """Widths that split into the family's heads, from the smallest on."""
    queries = FAMILIES[name].queries or 1
    low, high = (int(end) for end in BOUNDS["n_embd"])
    heads = (width for width in range(low, high + 1) if width % (2 * queries) == 0)
    return tuple(width for width in heads if is_fine or _is_liked(width, queries))


def _is_liked(width: int, queries: int) -> bool:
    """By vector units: multiples of 16, of 8 below 32; of 12 where three heads share."""
    return width % 12 == 0 if queries == 3 else legal_width(width) == width
