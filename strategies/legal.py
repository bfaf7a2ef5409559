"""Sizes that a model may have: the legal one nearest to what a change would like."""

import math

from engine.config import BOUNDS

HEAD_SIZES = (16, 64)  # smaller heads see little, larger ones leave few of them


def legal_width(n: float) -> int:
    """The width nearest n that splits into even heads: multiples of 16, of 8 below 32."""
    step = 8 if n < 32 else 16
    low, high = BOUNDS["n_embd"]
    return int(min(max(round(n / step) * step, low), high))


def legal_heads(n_embd: int, preferred: float) -> int:
    """The head count nearest to preferred; n_embd is even, and so is every head's size.

    Heads of 16 to 64 features come first, whatever was preferred.
    """
    counts = range(1, min(n_embd // 2, int(BOUNDS["n_head"][1])) + 1)
    legal = [n for n in counts if n_embd % (2 * n) == 0]

    def distance(n: int) -> tuple[bool, float]:
        is_odd_size = not HEAD_SIZES[0] <= n_embd // n <= HEAD_SIZES[1]
        return is_odd_size, abs(math.log(n / max(preferred, 1)))

    return min(legal, key=distance)


def legal_kv_heads(n_head: int, preferred: float) -> int:
    """The number of key heads nearest to preferred that n_head is a multiple of.

    Where they are to be shared, they are: fewer than n_head.
    """
    legal = [n for n in range(1, n_head + 1) if n_head % n == 0]
    if preferred < n_head > 1:
        legal.remove(n_head)
    return min(legal, key=lambda n: abs(math.log(n / max(preferred, 1))))


def legal_hidden(n: float) -> int:
    """The nearest multiple of 8, which vector units like; below 8 the nearest whole number."""
    return round(n / 8) * 8 if n >= 8 else max(1, round(n))
