"""What other programs make of an exported model: the same ids and the same logits.

    pip install -e '.[export-test]' --extra-index-url https://download.pytorch.org/whl/cpu

Each test is skipped, and says why, where its program is not installed.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine.export import Whole, export, read_hf
from engine.export.vocabulary import visible_tokens
from engine.model import GPT, Array
from tests.support.example_models import a_model, texts

SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"vocab_size": 1024},
    "tied": {"vocab_size": 1024, "tied": True, "rope_base": 500.0},
    "grouped": {"n_kv_head": 2, "n_hidden": 37, "vocab_size": 300},
    "one key head": {"n_kv_head": 1, "n_head": 8, "tied": True, "n_layer": 1, "vocab_size": 300},
    "no merges": {"vocab_size": 257, "n_hidden": 33},
    "large vocabulary": {"vocab_size": 8192, "tied": True, "n_kv_head": 2, "n_hidden": 51},
    "wide heads": {"n_head": 1, "n_embd": 36, "n_hidden": None, "vocab_size": 300},
}
TEXTS = texts(50)

every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def program(name: str, what: str) -> ModuleType:
    """A package that is no part of this project; skips the test, saying so, where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{what} needs the package {name}: {error}")


def exported(model: Whole, to: str, folder: Path) -> Path:
    export(model, to, folder, "# A model\n", "test")
    return folder


def ids_of(model: Whole, text: str) -> list[int]:
    return [0, *model.tokenizer.encode(text)][: model.config.seq_len]


def ours(model: Whole, ids: list[int]) -> Array:
    return GPT(model.config).logits(model.params, np.array([ids], np.int32))[0]


def worst(model: Whole, theirs: Callable[[list[int]], Array]) -> float:
    """The largest difference of a logit over all texts."""
    return max(float(np.abs(theirs(ids) - ours(model, ids)).max())
               for ids in (ids_of(model, text) for text in TEXTS))


@pytest.fixture
def limits(record_property: Callable[[str, object], None]) -> Callable[[float, float], None]:
    def within(found: float, limit: float) -> None:
        record_property("largest difference", found)
        assert found < limit, found

    return within


@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
@every_shape
def test_transformers_computes_the_same(
        shape: dict[str, Any], tmp_path: Path, limits: Callable[[float, float], None]) -> None:
    torch = program("torch", "the referee of --to hf")
    transformers = program("transformers", "the referee of --to hf")
    torch.set_num_threads(1)
    model = a_model(**shape)
    folder = exported(model, "hf", tmp_path / "model")
    found = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert tokenizer.encode(text) == model.tokenizer.encode(text), repr(text)
        assert tokenizer.decode(model.tokenizer.encode(text)) == text
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, len(tokenizer)) == (
        0, 0, model.config.vocab_size)
    assert tokenizer.encode("<|endoftext|>") == [0]
    assert found.num_parameters() == model.config.n_params

    def theirs(ids: list[int]) -> Array:
        with torch.no_grad():
            return np.asarray(found(torch.tensor([ids])).logits[0])

    limits(worst(model, theirs), 1e-4)


@pytest.mark.filterwarnings("ignore")
def test_what_transformers_writes_is_taken_back(tmp_path: Path) -> None:
    transformers = program("transformers", "the referee of import-model")
    program("torch", "the referee of import-model")
    model = a_model(**SHAPES["grouped"], tied=True)
    folder = exported(model, "hf", tmp_path / "model")
    transformers.AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "theirs")
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "theirs")
    found = read_hf(tmp_path / "theirs")
    assert found.config == model.config
    assert found.tokenizer.merges == model.tokenizer.merges
    np.testing.assert_array_equal(found.params.buffer, model.params.buffer)


@pytest.mark.filterwarnings("ignore")
def test_safetensors_reads_what_was_written(tmp_path: Path) -> None:
    numpy_door = program("safetensors.numpy", "the referee of model.safetensors")
    model = a_model(n_kv_head=2)
    found = numpy_door.load_file(exported(model, "hf", tmp_path / "model") / "model.safetensors")
    np.testing.assert_array_equal(found["model.layers.1.mlp.down_proj.weight"],
                                  model.params.views["block1.mlp.down"].T)
    assert sum(one.size for one in found.values()) == model.config.n_params


@pytest.mark.filterwarnings("ignore")
@every_shape
def test_ggufs_own_reader_finds_every_key_and_tensor(shape: dict[str, Any], tmp_path: Path) -> None:
    gguf = program("gguf", "the referee of --to gguf")
    model = a_model(**shape)
    found = gguf.GGUFReader(exported(model, "gguf", tmp_path / "model") / "model.gguf")
    told = {name: field.contents() for name, field in found.fields.items()}
    assert told["tokenizer.ggml.tokens"] == visible_tokens(model.tokenizer)
    assert len(told["tokenizer.ggml.merges"] or []) == model.config.vocab_size - 257
    assert told["tokenizer.ggml.bos_token_id"] == told["tokenizer.ggml.eos_token_id"] == 0
    assert told["llama.attention.head_count_kv"] == model.config.kv_heads
    assert told["llama.rope.freq_base"] == model.config.rope_base
    assert sum(one.n_elements for one in found.tensors) == model.config.n_params
    by_name = {one.name: one.data for one in found.tensors}
    np.testing.assert_array_equal(by_name["token_embd.weight"], model.params.views["embed"])
    assert all(one.data_offset % 32 == 0 for one in found.tensors)


@pytest.mark.filterwarnings("ignore")
@every_shape
def test_llama_cpp_computes_the_same(
        shape: dict[str, Any], tmp_path: Path, limits: Callable[[float, float], None]) -> None:
    llama = program("llama_cpp_py_sync", "the referee of --to gguf")
    try:
        importlib.import_module("llama_cpp_py_sync._cffi_bindings").get_lib()
    except RuntimeError as error:  # it wants a newer C library than some distributions have
        pytest.skip(f"the referee of --to gguf cannot load libllama here: {error}")
    model = a_model(**shape)
    path = exported(model, "gguf", tmp_path / "model") / "model.gguf"
    with llama.Llama(str(path), n_ctx=64, n_threads=1, n_threads_batch=1, flash_attn_type=0,
                     type_k="f32", type_v="f32") as found:
        for text in TEXTS:
            if "\0" not in text:  # its binding hands over texts that end at one
                assert found.tokenize(text, add_special=False) == model.tokenizer.encode(
                    text), repr(text)
        assert found.tokenize("<|endoftext|>", parse_special=True) == [0]
        assert found.tokenize("<|endoftext|>") == model.tokenizer.encode("<|endoftext|>")
        assert (found.bos_token, found.eos_token) == (0, 0)
        limits(worst(model, lambda ids: _logits(found, ids, model.config.vocab_size)), 1e-3)


def _logits(found: Any, ids: list[int], vocab_size: int) -> Array:
    """Logits (T, V) after each token, which the binding itself gives of the last alone."""
    lib, ffi = found._lib, found._ffi
    found._clear_context_state()
    batch = lib.llama_batch_init(len(ids), 0, 1)
    try:
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
            batch.seq_id[i][0] = 0
        assert lib.llama_decode(found._ctx, batch) == 0
        rows = [ffi.buffer(lib.llama_get_logits_ith(found._ctx, i), 4 * vocab_size)
                for i in range(len(ids))]
        return np.stack([np.frombuffer(row, np.float32).copy() for row in rows])
    finally:
        lib.llama_batch_free(batch)
