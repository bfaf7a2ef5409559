"""A compiled library of kernels as Python calls it, or numpy in its place."""

import ctypes
import functools
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np

NAME = "numpy"  # of the path without a library
LOG2_E_REST = 2.0355273740931033e-17  # log₂ e less the double next to it
ARRAY, INT, REAL = ctypes.py_object, ctypes.c_longlong, ctypes.c_double

# Arguments of each kernel in kernels.c: how many arrays, whole numbers and reals, in order.
SHAPES: dict[str, str] = {
    "rms_norm": "aaaaa ii r i", "rms_norm_backward": "aaaaaaa ii", "swiglu": "aaaa i rr",
    "swiglu_backward": "aaaaaaa i", "cross_entropy": "aaaa ii rr i rr", "rotate": "aaa iii rr",
    "powers": "aaa iiiii rrr", "slopes": "aaaa iiiii rrr", "weigh": "aaaaa iiii",
    "turn": "aa iiiiiiiiii", "embedding_backward": "aaa iii", "add_squares": "aa ii",
    "adamw": "aaaa i rrrrrr i", "lion": "aaa i rrrrr i", "schedule_free": "aaaa i rrrrrrrr i",
    "momentum": "aaa i rr", "descend": "aa i rr i"}
KINDS = {"a": ARRAY, "i": INT, "r": REAL}
# Of how kernels are called: a library that an older or a newer version built may be another's.
INTERFACE = hashlib.sha256(repr(sorted(SHAPES.items())).encode()).hexdigest()[:8]


class Foreign(Exception):
    """A library that is none of ours, or arrays that do not lie as it reads them."""


class Kernels:
    """The kernels of one library by dtype: kernels["f"].rms_norm(…); none where it is numpy's path.

    name  what a run's row says: numpy, or c11- and a part of the key it was compiled under
    """

    def __init__(self, name: str, path: Path | None = None) -> None:
        self.name = name
        self._by_kind: dict[str, Any] = {}
        if path is not None:
            library = _opened(path)
            self._by_kind = {np.dtype(dtype).char: _Functions(library, suffix)
                             for dtype, suffix in ((np.float32, "_f32"), (np.float64, "_f64"))}

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def __getitem__(self, kind: str) -> Any:
        return self._by_kind[kind]

    def __repr__(self) -> str:
        return f"Kernels({self.name!r})"


class _Functions:
    """One function a kernel, for one dtype."""

    def __init__(self, library: ctypes.CDLL, suffix: str) -> None:
        for name, shape in SHAPES.items():
            function = getattr(library, name + suffix)
            function.argtypes = [KINDS[letter] for letter in shape if letter != " "]
            function.restype = REAL if name == "add_squares" else None
            setattr(self, name, function)


NUMPY = Kernels(NAME)


def _opened(path: Path) -> ctypes.CDLL:
    """The library, told where numpy keeps the address of an array's entries.

    That place is part of numpy's interface: its header's PyArray_DATA reads it in every extension.
    It is looked at all the same, for another Python may lay its objects out otherwise.
    """
    try:
        library = ctypes.CDLL(str(path))
        library.set_head.argtypes, library.set_head.restype = [INT], None
        library.address.argtypes, library.address.restype = [ARRAY], INT
        library.set_head(object.__basicsize__)
    except (OSError, AttributeError) as error:
        raise Foreign(str(error)) from error
    for array in (np.zeros(3, np.float32), np.zeros((2, 5))[1:, 2:]):
        if library.address(array) != array.ctypes.data:
            raise Foreign("this Python does not keep an array's address where numpy's header "
                          "says")
    return library


@functools.lru_cache(maxsize=16)
def doublings(nats: float, kind: str) -> tuple[float, float]:
    """How often a unit of so many nats doubles, as two numbers of a dtype that add up to it."""
    whole = 1.0 if nats == math.log(2.0) else nats / math.log(2.0)
    if kind == "f":
        high = float(np.float32(whole))
        return high, whole - high
    return whole, 0.0 if whole == 1.0 else nats * LOG2_E_REST
