"""A model as `transformers` loads it: a Llama with a tokenizer of its own, every file in JSON.

Names and layout: `LlamaForCausalLM` of the package transformers; `tokenizer.json` is that of the
package tokenizers.
"""

import json
from typing import Any

from engine.config import Config
from engine.export.layout import EPSILON
from engine.export.vocabulary import visible_merges, visible_tokens
from engine.text import Tokenizer

ARCHITECTURE, MODEL_TYPE = "LlamaForCausalLM", "llama"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
              "use_regex": True}


def texts(config: Config, tokenizer: Tokenizer) -> dict[str, str]:
    """Every file but the weights, by name."""
    end = visible_tokens(tokenizer)[tokenizer.eot_id]
    special = {"bos_token": end, "eos_token": end, "unk_token": end}
    ends = {"bos_token_id": tokenizer.eot_id, "eos_token_id": tokenizer.eot_id}
    return {name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in {
        "config.json": config_json(config, ends),
        "generation_config.json": {"_from_model_config": True, **ends},
        "tokenizer.json": tokenizer_json(tokenizer),
        # A tokenizer of class Llama would drop spaces, and say nothing of it.
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", **special,
            "model_max_length": config.seq_len, "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"]},
        "special_tokens_map.json": special}.items()}


def config_json(config: Config, ends: dict[str, int]) -> dict[str, Any]:
    """The network in the words of LlamaConfig, of older versions and of newer ones."""
    return {
        "architectures": [ARCHITECTURE], "model_type": MODEL_TYPE,
        "vocab_size": config.vocab_size, "hidden_size": config.n_embd,
        "intermediate_size": config.hidden, "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head, "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size, "hidden_act": "silu",
        "max_position_embeddings": config.seq_len, "rms_norm_eps": EPSILON,
        "rope_theta": config.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
        "tie_word_embeddings": config.tied, "attention_bias": False, "mlp_bias": False,
        "attention_dropout": 0.0, "use_cache": True, "dtype": "float32", **ends}


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The vocabulary in the words of the package tokenizers."""
    tokens = visible_tokens(tokenizer)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": tokenizer.eot_id, "content": tokens[tokenizer.eot_id],
                          "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "normalizer": None, "pre_tokenizer": BYTE_LEVEL, "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: i for i, token in enumerate(tokens)},
                  "merges": visible_merges(tokenizer, tokens)}}
