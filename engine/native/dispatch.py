"""How a call of a layer comes to its kernel: thinly, and by the Workspace it is handed."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from engine.native import layers

P = ParamSpec("P")
R = TypeVar("R")

SPACES = ("tmp", "buf")  # names of a Workspace among a layer's arguments


def kernel(numpy_path: Callable[P, R]) -> Callable[P, R]:
    """A layer that is computed by the kernel of its name where its Workspace has kernels.

    engine/native/layers.py has a function of that name and of the same arguments, which must be
    given by their places up to the Workspace.
    """
    names = list(inspect.signature(numpy_path).parameters)
    at = next(names.index(name) for name in SPACES if name in names)
    by_kernel: Callable[P, R] = getattr(layers, numpy_path.__name__.lstrip("_"))

    @functools.wraps(numpy_path)
    def either(*args: P.args, **kwargs: P.kwargs) -> R:
        space = args[at] if at < len(args) else None
        chosen = by_kernel if getattr(space, "kernels", None) else numpy_path
        return chosen(*args, **kwargs)

    return either
