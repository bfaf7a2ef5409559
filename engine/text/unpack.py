"""The bytes of a file, unpacked and bounded: a small file may hold more than memory does."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from engine.errors import CorpusError

PACKED = (".gz", ".bz2", ".xz", ".zst")
MOST_BYTES = 4_000_000_000  # where memory is unknown
BLOCK_BYTES = 1 << 20


class TooLarge(CorpusError):
    """A text is larger than what memory can prepare."""


def too_large(path: Path, most_bytes: int) -> TooLarge:
    return TooLarge(f"{path} holds over {most_bytes / 1e6:,.0f} MB of text, the most that the "
                    "free memory here can prepare; give a part of it")


def inner(path: Path) -> Path:
    """The path without the suffix of its packing."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def read(path: Path, most_bytes: int | None = None) -> bytes:
    """All bytes of a file as they were before it was packed.

    CorpusError where it cannot be read, is cut off or damaged, or holds more than most_bytes.
    """
    most = MOST_BYTES if most_bytes is None else most_bytes
    blocks, n_bytes = [], 0
    try:
        with _opener(path)(path) as file:
            while block := file.read(BLOCK_BYTES):
                blocks.append(block)
                n_bytes += len(block)
                if n_bytes > most:
                    raise too_large(path, most)
    except FileNotFoundError:
        raise CorpusError(f"there is no file {path}; give the path of a .txt or .jsonl, or use "
                          "builtin or tinystories") from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise CorpusError(f"{path} cannot be unpacked: {error}; fetch or pack it anew") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise CorpusError(f"cannot read {path}: {why}") from error
    return b"".join(blocks)


def _opener(path: Path) -> Callable[[Path], IO[bytes]]:
    packings: dict[str, Callable[[Path], Any]] = {
        ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _open_zst}
    return packings.get(path.suffix.lower(), lambda plain: open(plain, "rb"))


def _open_zst(path: Path) -> Any:
    """Python 3.14 unpacks it by itself; an older one where the package zstandard is there."""
    try:
        from compression import zstd
    except ImportError:
        pass
    else:
        return _Told(zstd.open(path), zstd.ZstdError)
    try:
        import zstandard
    except ImportError:
        raise CorpusError(f"{path} needs Python 3.14 or the package zstandard: pip install "
                          "'phi-auto[zst]', or unpack it with zstd -d") from None
    return _Told(zstandard.open(path), zstandard.ZstdError)


class _Told:
    """A file whose own kind of error is one that everybody knows."""

    def __init__(self, file: Any, error: type[Exception]) -> None:
        self._file, self._error = file, error

    def read(self, n_bytes: int) -> bytes:
        try:
            return bytes(self._file.read(n_bytes))
        except self._error as error:
            raise EOFError(str(error)) from error

    def __enter__(self) -> "_Told":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
