"""Named, reusable buffers: the memory of a training step, allocated once."""

import contextlib
import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.native import NUMPY, Kernels, usual

Array = NDArray[Any]

HUGE_PAGE = 2 << 20
CHUNK = 64 << 20  # address space asked for at once; only what is written to becomes memory
LINE = 64  # pieces start on a cache line
SMALL = 1 << 16  # pieces below are left to numpy


class Workspace:
    """Buffers by name; asking again for a name gives the same memory, so nothing grows.

    A layer asks the scope it is handed: `buf("y", n, c)`. Scopes made by `at` share one store.
    Contents are whatever was there before: every taker fills what it takes.
    """

    __slots__ = ("_arena", "_flats", "_prefix", "_scopes", "_views", "dtype", "kernels")

    def __init__(self, dtype: DTypeLike = np.float32, kernels: Kernels | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.kernels = (usual().kernels if kernels is None else kernels) or None  # None: numpy's
        self._prefix = ""
        self._scopes: dict[str, Workspace] = {}
        self._flats: dict[str, Array] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Array] = {}
        self._arena = _Arena()

    def at(self, scope: str) -> "Workspace":
        """The same store, with names below `scope`."""
        inner = self._scopes.get(scope)
        if inner is None:
            inner = self._scopes[scope] = Workspace(self.dtype, self.kernels or NUMPY)
            inner._prefix = f"{self._prefix}{scope}."
            inner._flats, inner._views, inner._arena = self._flats, self._views, self._arena
        return inner

    def __call__(self, name: str, *shape: int) -> Array:
        key = (self._prefix + name, shape)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = self._take(key[0], shape)
        return view

    def _take(self, name: str, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape)
        flat = self._flats.get(name)
        if flat is None or flat.size < size:
            # Views of the smaller buffer would go on pointing at memory nobody shares any more.
            for key in [key for key in self._views if key[0] == name]:
                del self._views[key]
            if flat is not None:
                self._arena.give_back(flat)
            flat = self._flats[name] = self._arena.take(size, self.dtype)
        return flat[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        return sum(flat.nbytes for flat in self._flats.values())

    def held(self) -> dict[str, Array]:
        """Every buffer by its full name as it was left, in the order of their first use."""
        return dict(self._flats)


class _Arena:
    """Pieces of memory one after the other, on huge pages where the system has them to give.

    A step walks through hundreds of buffers of 0.1 to 8 MB. On pages of 4 kB it misses the
    processor's table of pages all the time; on 2 MB it gains some 4 % (DEVLOG, optimization log).
    """

    def __init__(self) -> None:
        self._chunks: list[tuple[int, mmap.mmap]] = []  # address and memory
        self._rest = np.empty(0, np.uint8)

    def take(self, size: int, dtype: np.dtype[Any]) -> Array:
        n_bytes = size * dtype.itemsize
        if n_bytes < SMALL:
            return np.empty(size, dtype)
        if self._rest.size < n_bytes:
            self._rest = self._chunk(max(CHUNK, n_bytes))
        piece = self._rest[:n_bytes].view(dtype)
        self._rest = self._rest[-(-n_bytes // LINE) * LINE :]
        return piece

    def give_back(self, piece: Array) -> None:
        """Let the system have the whole pages of a piece again; nothing may use it any more."""
        start = piece.ctypes.data
        for address, memory in self._chunks:
            first = -(-(start - address) // mmap.PAGESIZE) * mmap.PAGESIZE
            last = (start + piece.nbytes - address) // mmap.PAGESIZE * mmap.PAGESIZE
            if 0 <= first < last <= len(memory):
                memory.madvise(mmap.MADV_DONTNEED, first, last - first)

    def _chunk(self, n_bytes: int) -> Array:
        memory = mmap.mmap(-1, n_bytes + HUGE_PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(memory, np.uint8)
        self._chunks.append((whole.ctypes.data, memory))
        return whole[-whole.ctypes.data % HUGE_PAGE :]
