"""Packed files are unpacked within bounds, and damaged ones told in a sentence."""

import bz2
import gzip
import lzma
import sys
from pathlib import Path
from types import ModuleType

import pytest

from engine.errors import CorpusError
from engine.text.unpack import TooLarge, inner, read

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
TEXT = bytes(range(32, 127)) * 50


@pytest.mark.parametrize("suffix", PACK)
def test_what_was_packed_comes_out(tmp_path, suffix):
    path = tmp_path / f"tales.txt{suffix}"
    path.write_bytes(PACK[suffix](TEXT))

    assert read(path) == TEXT
    assert inner(path).name == "tales.txt"


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: b"x" + data,
                                   lambda data: data[:-9] + bytes(9), lambda data: b"plain text"])
def test_what_is_cut_off_or_damaged_is_refused(tmp_path, suffix, spoil):
    path = tmp_path / f"tales.txt{suffix}"
    path.write_bytes(spoil(PACK[suffix](TEXT)))
    with pytest.raises(CorpusError, match=r"tales\.txt\.\w+ cannot be unpacked: |cannot read "):
        read(path)


@pytest.mark.parametrize("suffix", ["", *PACK])
def test_a_small_file_that_holds_more_than_memory_is_left_before_it_is_read_whole(tmp_path,
                                                                                 suffix):
    path = tmp_path / f"bomb.txt{suffix}"
    path.write_bytes(PACK.get(suffix, bytes)(bytes(30_000_000)))
    with pytest.raises(TooLarge, match=r"bomb\.txt.* holds over 5 MB of text, the most that the "
                                       "free memory here can prepare; give a part of it"):
        read(path, 5_000_000)


def test_a_zst_without_its_package_names_what_brings_it(tmp_path, monkeypatch):
    for name in ("compression", "compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CorpusError, match=r"a\.txt\.zst needs Python 3\.14 or the package "
                                          r"zstandard: pip install 'phi-auto\[zst\]', or unpack"):
        read(tmp_path / "a.txt.zst")


@pytest.mark.parametrize("is_built_in", [True, False])
def test_a_zst_is_read_by_python_or_by_the_package(tmp_path, monkeypatch, is_built_in):
    class ZstdError(Exception):
        pass

    class File:
        def __init__(self, path):
            self.left = [Path(path).read_bytes(), b""]

        def read(self, n_bytes):
            if self.left[0] == b"torn":
                raise ZstdError("no frame")
            return self.left.pop(0)

        def close(self):
            pass

    stand_in = ModuleType("zstd")
    stand_in.open, stand_in.ZstdError = File, ZstdError
    package = ModuleType("compression")
    package.zstd = stand_in
    monkeypatch.setitem(sys.modules, "compression", package if is_built_in else None)
    monkeypatch.setitem(sys.modules, "compression.zstd", stand_in if is_built_in else None)
    monkeypatch.setitem(sys.modules, "zstandard", None if is_built_in else stand_in)
    path = tmp_path / "a.txt.zst"
    path.write_bytes(b"Once")
    torn = tmp_path / "b.txt.zst"
    torn.write_bytes(b"torn")

    assert read(path) == b"Once"
    with pytest.raises(CorpusError, match="cannot be unpacked: no frame"):
        read(torn)
