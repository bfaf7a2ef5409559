"""The files of the hf folder, against the package tokenizers and the words of LlamaConfig."""

import json

import pytest
import tokenizers

from engine.export import hf
from tests.support.example_models import a_model, texts, tokenizer


@pytest.mark.parametrize("vocab_size", [257, 1024])
def test_the_package_tokenizers_finds_the_same_ids(vocab_size: int) -> None:
    ours = tokenizer(vocab_size)
    theirs = tokenizers.Tokenizer.from_str(json.dumps(hf.tokenizer_json(ours)))
    for text in texts():
        assert theirs.encode(text).ids == ours.encode(text), repr(text)
        assert theirs.decode(ours.encode(text)) == text
    assert theirs.encode("<|endoftext|>").ids == [0]
    assert theirs.get_vocab_size() == vocab_size


def test_the_configuration_is_told_in_older_words_and_in_newer_ones() -> None:
    model = a_model(n_kv_head=2, n_hidden=37, tied=True, rope_base=500.0)
    found = {name: json.loads(text) for name, text in hf.texts(*model[::2]).items()}
    assert found["config.json"] == {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 300,
        "hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "hidden_act": "silu",
        "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 500.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "attention_dropout": 0.0, "use_cache": True, "dtype": "float32", "bos_token_id": 0,
        "eos_token_id": 0}
    assert found["tokenizer_config.json"]["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert found["generation_config.json"]["bos_token_id"] == 0
