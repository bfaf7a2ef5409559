"""A folder taken back: the same model; and what is no such folder, refused in one sentence."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import UserError
from engine.export import Whole, export, read_hf, safetensors
from engine.model import GPT
from tests.support.example_models import a_model


@pytest.fixture(scope="module")
def model() -> Whole:
    return a_model(n_kv_head=2, n_hidden=37, tied=True)


@pytest.fixture
def folder(model: Whole, tmp_path: Path) -> Path:
    export(model, "hf", tmp_path / "m", "", "m")
    return tmp_path / "m"


def change(path: Path, edit: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_hf(folder)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("fields", [
    {}, {"tied": True, "n_kv_head": 1, "rope_base": 500.0, "n_hidden": None}, {"vocab_size": 257}])
def test_what_was_written_comes_back_bit_for_bit(fields: dict[str, Any], tmp_path: Path) -> None:
    model = a_model(**fields)
    export(model, "hf", tmp_path / "m", "", "m")
    found = read_hf(tmp_path / "m")
    assert found.config == model.config
    assert found.tokenizer.merges == model.tokenizer.merges
    ids = np.arange(20, dtype=np.int32)[None]
    np.testing.assert_array_equal(GPT(found.config).logits(found.params, ids),
                                  GPT(model.config).logits(model.params, ids))


@pytest.mark.parametrize(("name", "value", "said"), [
    ("model_type", "gpt2", 'of type "gpt2"; only LlamaForCausalLM is taken in'),
    ("architectures", ["LlamaForTokenClassification"], 'describes ["LlamaForTokenClass'),
    ("rms_norm_eps", 1e-5, "says rms_norm_eps=1e-05, which this engine does not compute"),
    ("hidden_act", "gelu", 'says hidden_act="gelu"'),
    ("attention_bias", True, "says attention_bias=true"),
    ("rope_scaling", {"type": "linear"}, "says rope_scaling="),
    ("rope_parameters", {"rope_type": "llama3", "rope_theta": 1e4}, "says rope_parameters="),
    ("rope_theta", 5e5, "says rope_theta=500000.0 and 10000.0 in rope_parameters"),
    ("quantization_config", {}, "says quantization_config={}"),
    ("head_dim", 16, "says head_dim=16; this engine's heads have hidden_size / num_attention_heads"
                     " = 8"),
    ("hidden_size", "32", "describes a model that does not fit: n_embd='32' is not a whole number"),
    ("hidden_size", 10**9, "n_embd=1000000000 is out of range"),
    ("max_position_embeddings", 131072, "seq_len=131072 is out of range; use 4 to 2048"),
    ("num_key_value_heads", 3, "n_kv_head=3 does not divide n_head=4"),
    ("tie_word_embeddings", "yes", "tied='yes' is not a truth value"),
    ("vocab_size", 400, "tokenizer.json has 300 tokens and config.json says vocab_size=400"),
    ("num_hidden_layers", 60, "numbers and config.json asks for"),
    ("num_hidden_layers", 1, "holds the tensor model.layers.1."),
    ("intermediate_size", 36, "has model.layers.0.mlp.gate_proj.weight of shape (37, 32) and "
                              "config.json asks for (36, 32)"),
])
def test_a_configuration_that_does_not_fit_is_named(
        folder: Path, name: str, value: Any, said: str) -> None:
    change(folder / "config.json", lambda config: config.update({name: value}))
    assert said in refusal(folder)


@pytest.mark.parametrize(("edit", "said"), [
    (lambda t: t["pre_tokenizer"].update(add_prefix_space=True), "cuts texts otherwise"),
    (lambda t: t.update(normalizer={"type": "NFC"}), "cuts texts otherwise"),
    (lambda t: t.update(pre_tokenizer=None), "cuts texts otherwise"),
    (lambda t: t["model"].update(type="Unigram"), "holds no byte-pair encoding"),
    (lambda t: t["model"]["merges"].append("a zzz"), 'merges "a zzz", where two of its tokens'),
    (lambda t: t["model"]["merges"].append(7), "merges 7, where two of its tokens belong"),
    (lambda t: t["model"]["merges"].pop(), "numbers its tokens otherwise than this program"),
    (lambda t: t["model"]["vocab"].update({"a": "x"}), "merges"),
    (lambda t: t.pop("model"), "holds no byte-pair encoding"),
])
def test_a_tokenizer_that_does_not_fit_is_named(
        folder: Path, edit: Callable[[Any], object], said: str) -> None:
    change(folder / "tokenizer.json", edit)
    assert said in refusal(folder)


@pytest.mark.parametrize(("name", "data", "said"), [
    ("config.json", b"[" * 100_000, "config.json is no JSON of a model"),
    ("config.json", b"[]", "config.json is no JSON of a model: it is no object"),
    ("config.json", b"\xff", "config.json is no JSON of a model"),
    ("tokenizer.json", b"", "tokenizer.json is no JSON of a model"),
    ("model.safetensors", b"short", "model.safetensors is no whole .safetensors file"),
])
def test_a_file_that_is_none_is_named(folder: Path, name: str, data: bytes, said: str) -> None:
    (folder / name).write_bytes(data)
    assert said in refusal(folder)


def test_a_folder_of_something_else_is_told_what_belongs_in_one(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "holds no file model.safetensors; give a folder of one Llama" in refusal(tmp_path)
    os.mkfifo(tmp_path / "config.json")
    (tmp_path / "model.safetensors").touch()
    assert "holds no file config.json" in refusal(tmp_path)


def test_a_file_of_far_more_than_the_network_is_not_read(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 1 << 40)  # sparse, and more than any memory
    assert "holds 1,099,511,627,776 bytes, more than the" in refusal(folder)


def put(folder: Path, edit: Callable[[Any], object]) -> None:
    """The folder with other tensors."""
    tensors, file = safetensors.read(folder / "model.safetensors"), io.BytesIO()
    edit(tensors)
    safetensors.write(file, tensors, lambda _: None)
    (folder / "model.safetensors").write_bytes(file.getvalue())


def test_a_tied_head_that_is_written_twice_is_taken_once(folder: Path, model: Whole) -> None:
    put(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"]}))
    np.testing.assert_array_equal(read_hf(folder).params.buffer, model.params.buffer)
    put(folder, lambda t: t.update({"lm_head.weight": t["lm_head.weight"] + 1}))
    assert "holds a head that is not its embedding" in refusal(folder)


def test_tensors_that_are_missing_strange_or_no_numbers_are_named(folder: Path) -> None:
    put(folder, lambda t: t.update({"extra": np.float32([1]), "norm": t["model.norm.weight"]}))
    assert "holds the tensor extra, which has no place" in refusal(folder)
    put(folder, lambda t: [t.pop("extra"), t.pop("model.norm.weight")])
    assert "lacks the tensor model.norm.weight" in refusal(folder)
    put(folder, lambda t: t.update({"model.norm.weight": t.pop("norm") * np.nan}))
    assert "holds NaN or infinity" in refusal(folder)
