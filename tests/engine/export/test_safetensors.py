"""The file of tensors: what is written can be read by its documentation, what is wrong is told."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import CheckpointError
from engine.export import safetensors

TENSORS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([7.5])}


def file_of(header: Any, data: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: list[int], first: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}


def read(tmp_path: Path, data: bytes) -> dict[str, Any]:
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    return safetensors.read(path)


def test_what_is_written_is_what_the_format_says() -> None:
    file, told = io.BytesIO(), []
    safetensors.write(file, {"t": TENSORS["a"].T, "b": TENSORS["b"]}, told.append)
    data = file.getvalue()
    length = struct.unpack_from("<Q", data)[0]
    assert json.loads(data[8 : 8 + length]) == {
        "__metadata__": {"format": "pt"}, "t": entry([3, 2], 0, 24), "b": entry([1], 24, 28)}
    assert (8 + length) % 8 == 0
    assert struct.unpack("<7f", data[8 + length :]) == (0, 3, 1, 4, 2, 5, 7.5)
    assert told == [24, 4]


def test_half_precision_is_read_exactly(tmp_path: Path) -> None:
    values = np.float32([1.5, -2.0, 0.0, 3.140625])
    upper = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    found = read(tmp_path, file_of({"h": entry([4], 0, 8, "F16"), "b": entry([2, 2], 8, 16, "BF16")
                                    }, values.astype("<f2").tobytes() + upper))
    np.testing.assert_array_equal(found["h"], values)
    np.testing.assert_array_equal(found["b"], values.reshape(2, 2))
    assert found["b"].dtype == np.float32


DATA = bytes(28)
GOOD = {"a": entry([2, 3], 0, 24), "b": entry([1], 24, 28)}


@pytest.mark.parametrize(("data", "said"), [
    (b"", "its header of 0 bytes does not fit into its 0"),
    (file_of(GOOD, DATA, 1 << 62), "does not fit into its"),
    (file_of(b"[1]", b""), "its header is no JSON object"),
    (file_of(b"[" * 100_000, b""), "its header"),
    (file_of(b"\xff{}", b""), "is no whole .safetensors file"),
    (file_of(b'{"a": 1, "a": 2}', b""), "a name stands twice in its header"),
    (file_of(GOOD, DATA[:-1]), "its tensors take 28 bytes and it holds 27"),
    (file_of(GOOD, DATA + b"x"), "its tensors take 28 bytes and it holds 29"),
    (file_of({"a": entry([2, 3], 0, 24), "b": entry([1], 20, 24)}, DATA),
     "tensor 'b' begins at byte 20 where 24 is due"),
    (file_of({"a": entry([2, 3], 0, 20)}, DATA), "of shape [2, 3] takes 24 bytes, not 20"),
    (file_of({"a": entry([2, -3], 0, 24)}, DATA), "has the shape [2, -3]"),
    (file_of({"a": entry([True], 0, 4)}, DATA), "has the shape [True]"),
    (file_of({"a": entry([2**40, 2**40], 0, 4)}, DATA), "takes"),
    (file_of({"a": entry([1], -4, 0)}, DATA), "has the offsets [-4, 0]"),
    (file_of({"a": entry([1], 0, 4) | {"more": 1}}, DATA), "lacks dtype, shape or data_offsets"),
    (file_of({"a": entry([1], 0, 8, "F64")}, DATA), "is of type 'F64', and F32, F16, BF16 are"),
    (file_of({"a": entry([1], 0, 4, ["F32"])}, DATA), "is of type ['F32']"),  # type: ignore[arg-type]
])
def test_a_file_that_is_wrong_is_told_in_one_sentence(
        tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path, data)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/m.safetensors is no whole .safetensors file: ")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read .*: No such file or directory"):
        safetensors.read(tmp_path / "none")
