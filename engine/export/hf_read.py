"""A folder as `transformers` writes it of a Llama, back as a model of this engine.

The files are not trusted: each is bounded, parsed, and held against what this engine computes. What
it does not compute is refused, since it would be left out without a word.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config
from engine.errors import CheckpointError, ConfigError, TokenizerError
from engine.export import safetensors
from engine.export.hf import ARCHITECTURE, BYTE_LEVEL, MODEL_TYPE
from engine.export.layout import EPSILON, Whole, weights
from engine.export.vocabulary import visible_tokens
from engine.model import Array, Flat
from engine.text import Tokenizer

MAX_JSON_BYTES = 32 << 20
WEIGHTS = "model.safetensors"
# Fields here by those of config.json, where both are whole numbers.
COUNTS = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head",
          "intermediate_size": "n_hidden", "vocab_size": "vocab_size",
          "max_position_embeddings": "seq_len"}
# What this engine computes, and so does a Llama whose config.json leaves it out.
FIXED = {"rms_norm_eps": EPSILON, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
         "quantization_config": None, "rope_scaling": None}


def read_hf(folder: Path) -> Whole:
    """The model in a folder; UserError, naming what does not fit, where it is no such Llama."""
    for name in (WEIGHTS, "config.json", "tokenizer.json"):
        if not (folder / name).is_file():  # a pipe would be waited for
            raise CheckpointError(
                f"{folder} holds no file {name}; give a folder of one Llama with {WEIGHTS}, "
                "config.json and tokenizer.json, such as `agent export RUN --to hf` writes")
    config = _config(_json(folder / "config.json"), folder / "config.json")
    tokenizer = _tokenizer(_json(folder / "tokenizer.json"), folder / "tokenizer.json")
    if tokenizer.vocab_size != config.vocab_size:
        raise TokenizerError(f"{folder}: tokenizer.json has {tokenizer.vocab_size} tokens and "
                             f"config.json says vocab_size={config.vocab_size}; take both of one "
                             "model")
    tensors = _tensors(folder / WEIGHTS, config)
    params = Flat.empty(config)
    _fill(weights(config, params), tensors, folder / WEIGHTS)
    if not np.isfinite(params.buffer).all():
        raise CheckpointError(f"{folder / WEIGHTS} holds NaN or infinity, so the model is of no "
                              "use; take another one")
    return Whole(config, params, tokenizer)


def _tensors(path: Path, config: Config) -> dict[str, Array]:
    """What the file holds, where that is about as much as the network has.

    One that holds more is not read, and for a network of more no room is made.
    """
    most = config.n_params + config.vocab_size * config.n_embd  # a tied head may be there twice
    if path.stat().st_size > 4 * most + safetensors.MAX_HEADER_BYTES:
        raise CheckpointError(f"{path} holds {path.stat().st_size:,} bytes, more than the "
                              f"{config.n_params:,} parameters that config.json asks for; take "
                              "both of one model")
    tensors = safetensors.read(path)
    n_given = sum(tensor.size for tensor in tensors.values())
    if n_given < config.n_params:
        raise CheckpointError(f"{path} holds {n_given:,} numbers and config.json asks for "
                              f"{config.n_params:,}; take both of one model")
    return tensors


def _json(path: Path) -> dict[str, Any]:
    """What a JSON file holds; UserError where it is none, or too long to be one."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
        if len(data) > MAX_JSON_BYTES:
            raise ValueError(f"it is longer than {MAX_JSON_BYTES >> 20} MiB")
        value = json.loads(data)
        if not isinstance(value, dict):
            raise ValueError("it is no object")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON of a model: {error}") from error
    return value


def _config(values: Mapping[str, Any], path: Path) -> Config:
    if values.get("model_type") != MODEL_TYPE or values.get("architectures") not in (
            None, [ARCHITECTURE]):
        raise ConfigError(f"{path} describes {_told(values.get('architectures'))} of type "
                          f"{_told(values.get('model_type'))}; only {ARCHITECTURE} is taken in")
    for name, fixed in FIXED.items():
        if values.get(name, fixed) != fixed:
            raise ConfigError(f"{path} says {name}={_told(values[name])}, which this engine does "
                              f"not compute; it computes {_told(fixed)}")
    fields: dict[str, Any] = {ours: _required(values, theirs, path)
                              for theirs, ours in COUNTS.items()}
    fields["n_kv_head"] = values.get("num_key_value_heads")
    fields["tied"] = values.get("tie_word_embeddings", False)
    fields["rope_base"] = _rope_base(values, path)
    try:
        config = Config(**fields)
    except ConfigError as error:
        raise ConfigError(f"{path} describes a model that does not fit: {error}") from error
    if values.get("head_dim") not in (None, config.head_size):
        raise ConfigError(f"{path} says head_dim={_told(values['head_dim'])}; this engine's heads "
                          f"have hidden_size / num_attention_heads = {config.head_size}")
    # As a person would have written it: what is as at first has no value of its own.
    return dataclasses.replace(
        config, n_hidden=None if config.hidden == 4 * config.n_embd else config.hidden,
        n_kv_head=None if config.kv_heads == config.n_head else config.kv_heads)


def _required(values: Mapping[str, Any], name: str, path: Path) -> Any:
    if name not in values:
        raise ConfigError(f"{path} lacks {name}; take it from the model's folder again")
    return values[name]


def _rope_base(values: Mapping[str, Any], path: Path) -> Any:
    """From where newer versions say it, or older ones; scaled rotations are refused."""
    rope = values.get("rope_parameters")
    if rope is None:
        return _required(values, "rope_theta", path)
    if not isinstance(rope, dict) or rope.get("rope_type", "default") != "default" or (
            rope.keys() - {"rope_type", "rope_theta"}):
        raise ConfigError(f"{path} says rope_parameters={_told(rope)}, and only those of type "
                          "default with a rope_theta are computed here")
    found = rope.get("rope_theta", values.get("rope_theta"))
    if "rope_theta" in values and values["rope_theta"] != found:
        raise ConfigError(f"{path} says rope_theta={_told(values['rope_theta'])} and "
                          f"{_told(found)} in rope_parameters; leave one of them")
    return found


def _tokenizer(values: Mapping[str, Any], path: Path) -> Tokenizer:
    """The merges of a byte-level tokenizer whose ids are numbered as here."""
    pieces = values.get("pre_tokenizer")
    plain = {name: BYTE_LEVEL[name] for name in ("type", "add_prefix_space", "use_regex")}
    model = values.get("model")
    if values.get("normalizer") is not None or not isinstance(pieces, dict) or any(
            pieces.get(name, True) != wanted for name, wanted in plain.items()):
        raise TokenizerError(f"{path} cuts texts otherwise than this program; only ByteLevel "
                             "without a prefix space and without a normalizer is taken in")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or not isinstance(
            model.get("vocab"), dict) or not isinstance(model.get("merges"), list):
        raise TokenizerError(f"{path} holds no byte-pair encoding with a vocab and merges")
    ids = model["vocab"]
    found: dict[str, Any] = {"format": "phi-auto tokenizer", "version": 1,
                             "merges": [_pair(merge, ids, path) for merge in model["merges"]]}
    tokenizer = Tokenizer.parse(json.dumps(found).encode(), str(path))
    if ids != {token: i for i, token in enumerate(visible_tokens(tokenizer))}:
        raise TokenizerError(f"{path} numbers its tokens otherwise than this program: end of text, "
                             "256 bytes, then one for each merge in its order")
    return tokenizer


def _pair(merge: Any, ids: Mapping[str, Any], path: Path) -> list[Any]:
    """The ids of a merge, which older versions write as one text with a space."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(
            isinstance(part, str) and part in ids for part in parts):
        raise TokenizerError(f"{path} merges {_told(merge)}, where two of its tokens belong")
    return [ids[part] for part in parts]


def _fill(places: Mapping[str, Array], tensors: dict[str, Array], path: Path) -> None:
    """Copy tensors to where they belong; CheckpointError for one too few, too many or misshapen."""
    if "lm_head.weight" not in places:  # some programs write a tied head twice
        head = tensors.pop("lm_head.weight", None)
        if head is not None and not np.array_equal(head, tensors.get("model.embed_tokens.weight",
                                                                     head)):
            raise CheckpointError(f"{path} holds a head that is not its embedding, where "
                                  "config.json says tie_word_embeddings=true; take both of one "
                                  "model")
    for name, place in places.items():
        if name not in tensors:
            raise CheckpointError(f"{path} lacks the tensor {name}; take the model again")
        if tensors[name].shape != place.shape:
            raise CheckpointError(f"{path} has {name} of shape {tensors[name].shape} and "
                                  f"config.json asks for {place.shape}; take both of one model")
    strange = sorted(tensors.keys() - places.keys())
    if strange:
        raise CheckpointError(f"{path} holds the tensor {strange[0]:.60}, which has no place in "
                              "this engine's network; it would compute another one without")
    for name, place in places.items():
        place[...] = tensors[name]


def _told(value: Any) -> str:
    return f"{json.dumps(value):.60}"
