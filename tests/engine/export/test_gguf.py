"""The GGUF file, read again by a parser that knows the format and nothing of this program."""

import io
import struct
from typing import Any, NamedTuple

import numpy as np

from engine.export import Whole, gguf
from engine.export.vocabulary import visible_tokens
from engine.model import Array
from tests.support.example_models import a_model

KINDS = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q"}


class Parsed(NamedTuple):
    values: dict[str, Any]
    tensors: dict[str, Array]


class Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found[0] if len(found) == 1 else found

    def text(self) -> str:
        n = self.take("<Q")
        self.at += n
        return self.data[self.at - n : self.at].decode()

    def value(self, kind: int) -> Any:
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, n = self.take("<I"), self.take("<Q")
            return [self.value(inner) for _ in range(n)]
        return self.take(KINDS[kind])


def parse(data: bytes) -> Parsed:
    """By docs/gguf.md of the repository ggml."""
    cursor = Cursor(data)
    assert (cursor.take("<4s"), cursor.take("<I")) == (b"GGUF", 3)
    n_tensors, n_values = cursor.take("<QQ")
    values = {cursor.text(): cursor.value(cursor.take("<I")) for _ in range(n_values)}
    heads = []
    for _ in range(n_tensors):
        name, n_axes = cursor.text(), cursor.take("<I")
        shape = [cursor.take("<Q") for _ in range(n_axes)]
        heads.append((name, shape[::-1], cursor.take("<I"), cursor.take("<Q")))
    start, tensors = -(-cursor.at // 32) * 32, {}
    for name, shape, kind, offset in heads:
        assert kind == 0
        assert offset % 32 == 0
        size = int(np.prod(shape))
        tensors[name] = np.frombuffer(data, "<f4", size, start + offset).reshape(shape)
    assert len(data) == start + heads[-1][3] + -(-4 * size // 32) * 32
    return Parsed(values, tensors)


def written(model: Whole) -> bytes:
    file = io.BytesIO()
    gguf.write(file, model, "a name", lambda _: None)
    return file.getvalue()


def test_the_file_says_what_the_model_is() -> None:
    model = a_model(n_kv_head=2, n_hidden=37, rope_base=500.0)
    values = parse(written(model)).values
    tokens, merges = values.pop("tokenizer.ggml.tokens"), values.pop("tokenizer.ggml.merges")
    assert tokens == visible_tokens(model.tokenizer)
    assert [merge.replace(" ", "") for merge in merges] == tokens[257:]
    assert values.pop("tokenizer.ggml.token_type") == [3] + [1] * 299
    assert values.pop("llama.attention.layer_norm_rms_epsilon") == np.float32(1e-6)
    assert values == {
        "general.architecture": "llama", "general.type": "model", "general.name": "a name",
        "general.file_type": 0, "general.alignment": 32, "llama.context_length": 64,
        "llama.embedding_length": 32, "llama.block_count": 2, "llama.feed_forward_length": 37,
        "llama.vocab_size": 300, "llama.rope.dimension_count": 8, "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2, "llama.rope.freq_base": 500.0,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.add_space_prefix": False}


def test_a_head_that_is_the_embedding_is_left_out() -> None:
    tied, untied = (set(parse(written(a_model(tied=tied))).tensors) for tied in (True, False))
    assert untied - tied == {"output.weight"}


def test_rotary_pairs_are_neighbours_and_all_else_stays_in_its_place() -> None:
    model = a_model(n_kv_head=2, n_hidden=37)
    tensors, p = parse(written(model)).tensors, model.params.views
    qkv, gate_up = p["block1.attn.qkv"], p["block1.mlp.gate_up"]
    head = [0, 4, 1, 5, 2, 6, 3, 7]  # of eight channels, of which i and i + 4 are turned together
    order = [8 * h + i for h in range(4) for i in head]
    expected = {
        "attn_q": qkv[order], "attn_k": qkv[32:48][order[:16]], "attn_v": qkv[48:],
        "attn_output": p["block1.attn.proj"].T, "ffn_gate": gate_up[:37], "ffn_up": gate_up[37:],
        "ffn_down": p["block1.mlp.down"].T, "attn_norm": p["block1.norm1.gain"],
        "ffn_norm": p["block1.norm2.gain"]}
    for name, tensor in expected.items():
        np.testing.assert_array_equal(tensors[f"blk.1.{name}.weight"], tensor)
    np.testing.assert_array_equal(tensors["output_norm.weight"], p["norm.gain"])
    assert len(tensors) == 3 + 2 * len(expected)
