"""A model as one GGUF file, version 3, of the architecture llama: what llama.cpp reads.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. All numbers are little-endian.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from engine.config import Config
from engine.export.layout import EPSILON, Whole, weights
from engine.export.safetensors import Tell
from engine.export.vocabulary import visible_merges, visible_tokens
from engine.model import Array

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # types of values
TENSOR_F32 = 0
NORMAL, CONTROL = 1, 3  # types of tokens

_PARTS = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj":
          "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
          "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
          "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
_ENDS = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight":
         "output_norm.weight", "lm_head.weight": "output.weight"}


def write(file: BinaryIO, model: Whole, name: str, tell: Tell) -> None:
    """Write metadata, tokenizer and float32 tensors of a model called so."""
    values, tensors = metadata(model, name), _tensors(model)
    head = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(values))]
    head += [_string(key) + _typed(*value) for key, value in values.items()]
    start = 0
    for title, tensor in tensors.items():
        shape = tensor.shape[::-1]  # the axis along memory comes first
        head.append(_string(title) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape,
                                                 TENSOR_F32, start))
        start += _padded(4 * tensor.size)
    written = b"".join(head)
    file.write(written + bytes(_padded(len(written)) - len(written)))
    for title, tensor in tensors.items():
        rows = _pairs_adjacent(tensor, model.config.head_size) if (
            ".attn_q." in title or ".attn_k." in title) else tensor
        file.write(np.ascontiguousarray(rows, "<f4").data)
        file.write(bytes(_padded(4 * tensor.size) - 4 * tensor.size))
        tell(4 * tensor.size)


def metadata(model: Whole, name: str) -> dict[str, tuple[int, Any]]:
    """Keys and typed values: the shape under `llama.`, the vocabulary under `tokenizer.ggml.`."""
    tokens = visible_tokens(model.tokenizer)
    end = model.tokenizer.eot_id
    kinds = [CONTROL if i == end else NORMAL for i in range(len(tokens))]
    return {
        "general.architecture": (STRING, "llama"), "general.type": (STRING, "model"),
        "general.name": (STRING, name), "general.file_type": (UINT32, 0),  # all float32
        "general.alignment": (UINT32, ALIGNMENT),
        **{f"llama.{key}": value for key, value in _shape(model.config).items()},
        "tokenizer.ggml.model": (STRING, "gpt2"), "tokenizer.ggml.pre": (STRING, "gpt-2"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, tokens)),
        "tokenizer.ggml.token_type": (ARRAY, (INT32, kinds)),
        "tokenizer.ggml.merges": (ARRAY, (STRING, visible_merges(model.tokenizer, tokens))),
        # Where one is missing, readers take GPT-2's own, 11.
        "tokenizer.ggml.bos_token_id": (UINT32, end), "tokenizer.ggml.eos_token_id": (UINT32, end),
        "tokenizer.ggml.add_space_prefix": (BOOL, False)}


def _shape(config: Config) -> dict[str, tuple[int, Any]]:
    counts = {
        "context_length": config.seq_len, "embedding_length": config.n_embd,
        "block_count": config.n_layer, "feed_forward_length": config.hidden,
        "vocab_size": config.vocab_size, "rope.dimension_count": config.head_size,
        "attention.head_count": config.n_head, "attention.head_count_kv": config.kv_heads}
    return {**{key: (UINT32, value) for key, value in counts.items()},
            "attention.layer_norm_rms_epsilon": (FLOAT32, EPSILON),
            "rope.freq_base": (FLOAT32, config.rope_base)}


def _tensors(model: Whole) -> Mapping[str, Array]:
    """The matrices and gains by their names in the format."""
    found = {}
    for name, tensor in weights(model.config, model.params).items():
        if name in _ENDS:
            found[_ENDS[name]] = tensor
        else:
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            found[f"blk.{layer}.{_PARTS[part]}.weight"] = tensor
    return found


def _pairs_adjacent(rows: Array, head_size: int) -> Array:
    """Rows of queries or keys in the order of llama's rotary pairs there: (0, 1), (2, 3), …

    Here channel i of a head is turned with i + D/2, there with its neighbour.
    """
    halves = rows.reshape(-1, 2, head_size // 2, rows.shape[1])  # (heads, 2, D/2, C)
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _padded(n_bytes: int) -> int:
    return n_bytes + -n_bytes % ALIGNMENT


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(kind: int, value: Any) -> bytes:
    if kind != ARRAY:
        return struct.pack("<I", kind) + _plain(kind, [value])
    inner, values = value
    return struct.pack("<IIQ", ARRAY, inner, len(values)) + _plain(inner, values)


def _plain(kind: int, values: Sequence[Any]) -> bytes:
    if kind == STRING:
        return b"".join(map(_string, values))
    sign = {UINT32: "I", INT32: "i", FLOAT32: "f", BOOL: "?"}[kind]
    return struct.pack(f"<{len(values)}{sign}", *values)
