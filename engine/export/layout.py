"""What a model is to other programs: a Llama, field by field and matrix by matrix; or it is not.

Axes: C channels, H heads of queries and K of keys and values, D head size, F hidden, V vocabulary.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from engine.config import Config
from engine.errors import ConfigError
from engine.model import Array, Flat
from engine.text import Tokenizer

EPSILON = 1e-6  # of every RMSNorm here: layers.rms_norm

# What the architecture called Llama has a word for, and what training alone reads. Any other field
# changes the network, or may: one that was added later, too, until somebody has looked.
SAID = frozenset(("n_embd", "n_layer", "n_head", "n_hidden", "vocab_size", "seq_len", "tied",
                  "rope_base", "n_kv_head"))
OF_TRAINING = frozenset(("batch_size", "grad_accum", "optimizer", "lr", "schedule", "warmup_frac",
                         "decay_frac", "min_lr_frac", "weight_decay", "beta1", "beta2", "clip",
                         "cautious_decay", "scheduled_decay", "data_order", "shuffle_stories"))


class Whole(NamedTuple):
    """A model with all that another program needs of it."""

    config: Config
    params: Flat
    tokenizer: Tokenizer


def require_llama(config: Config, title: str) -> None:
    """ConfigError, naming the field, where this network is none that a Llama's format describes.

    title  of the format, as people call it
    """
    for field in dataclasses.fields(config):
        value: Any = getattr(config, field.name)
        if field.name not in SAID | OF_TRAINING and value != field.default and (
                field.name not in config.unused):
            raise ConfigError(f"{title} has no word for {field.name}={value}, and its programs "
                              "would compute another network; --to npz writes this one as it is")
    expected = dict(_shapes(config))
    strange = {name: shape for name, shape in config.shapes().items()
               if expected.pop(name, None) != shape}
    for name in (*strange, *expected):
        raise ConfigError(f"{title} has no place for the parameter {name}, and its programs would "
                          "compute another network; --to npz writes this one as it is")


def _shapes(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every parameter of a Llama by its name here."""
    c, f, v = config.n_embd, config.hidden, config.vocab_size
    yield "embed", (v, c)
    if not config.tied:
        yield "head", (v, c)
    for i in range(config.n_layer):
        yield f"block{i}.attn.qkv", (c + 2 * config.kv_width, c)
        yield f"block{i}.attn.proj", (c, c)
        yield f"block{i}.mlp.gate_up", (2 * f, c)
        yield f"block{i}.mlp.down", (f, c)
        yield f"block{i}.norm1.gain", (c,)
        yield f"block{i}.norm2.gain", (c,)
    yield "norm.gain", (c,)


def weights(config: Config, params: Flat) -> dict[str, Array]:
    """Every matrix and gain of a Llama by its name at Hugging Face, as views into the parameters.

    There a matrix is (out, in): projections back into the residual stream are stored here as
    (in, out). A view may be written into as well. The head is left out where it is the embedding.
    """
    p, c, e, f = params.views, config.n_embd, config.kv_width, config.hidden
    found = {"model.embed_tokens.weight": p["embed"]}
    for i in range(config.n_layer):
        own, there = f"block{i}", f"model.layers.{i}"
        qkv, gate_up = p[f"{own}.attn.qkv"], p[f"{own}.mlp.gate_up"]
        found |= {
            f"{there}.input_layernorm.weight": p[f"{own}.norm1.gain"],
            f"{there}.self_attn.q_proj.weight": qkv[:c],
            f"{there}.self_attn.k_proj.weight": qkv[c : c + e],
            f"{there}.self_attn.v_proj.weight": qkv[c + e :],
            f"{there}.self_attn.o_proj.weight": p[f"{own}.attn.proj"].T,
            f"{there}.post_attention_layernorm.weight": p[f"{own}.norm2.gain"],
            f"{there}.mlp.gate_proj.weight": gate_up[:f],
            f"{there}.mlp.up_proj.weight": gate_up[f:],
            f"{there}.mlp.down_proj.weight": p[f"{own}.mlp.down"].T}
    found["model.norm.weight"] = p["norm.gain"]
    if not config.tied:
        found["lm_head.weight"] = p["head"]
    return found
