"""Named, reusable buffers: the memory of a training step, allocated once."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


class Workspace:
    """Buffers by name; asking again for a name gives the same memory, so nothing grows.

    A layer asks the scope it is handed: `buf("y", n, c)`. Scopes made by `at` share one store.
    Contents are whatever was there before: every taker fills what it takes.
    """

    __slots__ = ("_flats", "_prefix", "_scopes", "_views", "dtype")

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self.dtype = np.dtype(dtype)
        self._prefix = ""
        self._scopes: dict[str, Workspace] = {}
        self._flats: dict[str, Array] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Array] = {}

    def at(self, scope: str) -> "Workspace":
        """The same store, with names below `scope`."""
        inner = self._scopes.get(scope)
        if inner is None:
            inner = self._scopes[scope] = Workspace(self.dtype)
            inner._prefix = f"{self._prefix}{scope}."
            inner._flats, inner._views = self._flats, self._views
        return inner

    def __call__(self, name: str, *shape: int) -> Array:
        key = (self._prefix + name, shape)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = self._take(key[0], shape)
        return view

    def _take(self, name: str, shape: tuple[int, ...]) -> Array:
        size = int(np.prod(shape))
        flat = self._flats.get(name)
        if flat is None or flat.size < size:
            # Views of the smaller buffer would go on pointing at memory nobody shares any more.
            for key in [key for key in self._views if key[0] == name]:
                del self._views[key]
            flat = self._flats[name] = np.empty(size, self.dtype)
        return flat[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        return sum(flat.nbytes for flat in self._flats.values())
