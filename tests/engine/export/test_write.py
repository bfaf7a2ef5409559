"""A model into a folder, by format; what a format cannot say is refused before anything is written.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.config import Config
from engine.errors import CheckpointError, ConfigError, TokenizerError
from engine.export import FORMATS, WEIGHTS, Whole, export
from engine.model import init_params
from engine.text.tokenizer import Tokenizer
from tests.support.example_models import a_model, tokenizer

RWKV = Config(n_embd=16, n_layer=1, n_head=2, vocab_size=257, seq_len=16, mixer="rwkv")


@pytest.mark.parametrize("to", FORMATS)
def test_each_format_has_its_files_and_tells_their_sizes(to: str, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    model = a_model()
    sizes = export(model, to, tmp_path / "m", "# A card\n", "m",
                   progress=lambda *one: told.append(one))
    assert {path.name: path.stat().st_size for path in (tmp_path / "m").iterdir()} == sizes
    assert (tmp_path / "m" / "README.md").read_text() == "# A card\n"
    assert sizes[WEIGHTS[to]] >= 4 * model.config.n_params
    n_bytes = 4 * model.config.n_params
    assert told[-1] == (f"writing {WEIGHTS[to]}", n_bytes, n_bytes)


def test_plain_arrays_hold_any_network(tmp_path: Path) -> None:
    model = Whole(RWKV, init_params(RWKV, 1), tokenizer(257))
    export(model, "npz", tmp_path / "m", "", "m")
    with np.load(tmp_path / "m" / "model.npz", allow_pickle=False) as file:
        assert set(file.files) == set(model.params.views)
        np.testing.assert_array_equal(file["block0.rwkv.rkvg"],
                                      model.params.views["block0.rwkv.rkvg"])
    values = json.loads((tmp_path / "m" / "config.json").read_text())
    assert Config.from_dict(values) == RWKV
    assert Tokenizer.load(tmp_path / "m" / "tokenizer.json").merges == model.tokenizer.merges


@pytest.mark.parametrize("to", ["hf", "gguf"])
def test_a_refusal_leaves_nothing_behind(to: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no word for mixer=rwkv"):
        export(Whole(RWKV, init_params(RWKV, 1), tokenizer(257)), to, tmp_path / "m", "", "m")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_no_numbers_and_tokens_that_are_twins_are_refused(tmp_path: Path) -> None:
    model = a_model()
    model.params.views["norm.gain"][0] = np.inf
    with pytest.raises(CheckpointError, match="the weights hold NaN or infinity"):
        export(model, "npz", tmp_path / "m", "", "m")
    twins = Tokenizer([(1, 1), (257, 1), (1, 257)])
    with pytest.raises(TokenizerError, match="two tokens"):
        export(a_model(vocab_size=260)._replace(tokenizer=twins), "hf", tmp_path / "m", "", "m")


def test_an_unknown_format_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'onnx' is no format; use hf, gguf, npz"):
        export(a_model(), "onnx", tmp_path / "m", "", "m")
