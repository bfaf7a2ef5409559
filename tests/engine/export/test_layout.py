"""What a Llama's format can say of a network, and what it is refused for."""

import dataclasses
import inspect

import numpy as np
import pytest

from engine.config import Config
from engine.errors import ConfigError
from engine.export import layout
from engine.model.layers import rms_norm
from tests.support.example_models import a_model


def test_every_field_is_said_or_of_training_or_refused_once_it_is_used() -> None:
    known = layout.SAID | layout.OF_TRAINING
    fields = {field.name for field in dataclasses.fields(Config)}
    assert known <= fields
    assert "mixer" in fields - known


def test_another_network_is_refused_by_the_field_that_makes_it() -> None:
    with pytest.raises(ConfigError, match=r"^A format has no word for mixer=rwkv, and its programs "
                                          r"would compute another network; --to npz writes this"):
        layout.require_llama(Config(mixer="rwkv"), "A format")


@pytest.mark.parametrize("field", sorted(layout.SAID - {"tied"}))
def test_a_field_that_nobody_has_looked_at_is_refused_wherever_it_is_not_its_default(
        field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one would be that another version adds."""
    monkeypatch.setattr(layout, "SAID", layout.SAID - {field})
    values = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_hidden": 100, "vocab_size": 300,
              "seq_len": 32, "rope_base": 500.0, "n_kv_head": 2}
    layout.require_llama(Config(), "A format")
    with pytest.raises(ConfigError, match=f"no word for {field}={values[field]}"):
        layout.require_llama(Config(**{field: values[field]}), "A format")


def test_a_parameter_that_no_field_told_of_is_refused_by_its_name(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "OF_TRAINING", layout.OF_TRAINING | {"mixer"})
    with pytest.raises(ConfigError, match=r"no place for the parameter block0\.rwkv\.rkvg"):
        layout.require_llama(Config(mixer="rwkv"), "A format")


@pytest.mark.parametrize("fields", [{}, {"tied": True, "n_kv_head": 1, "n_hidden": 7}])
def test_the_views_hold_every_parameter_once(fields: dict[str, int]) -> None:
    model = a_model(**fields)
    found = layout.weights(model.config, model.params)
    for view in found.values():
        view += 1000.0
    assert (model.params.buffer > 900.0).all()  # each entry lies in one
    assert (model.params.buffer < 1900.0).all()  # and in no other
    assert ("lm_head.weight" in found) == (not model.config.tied)


def test_the_epsilon_that_is_told_is_the_one_that_is_computed_with() -> None:
    assert inspect.signature(rms_norm).parameters["eps"].default == layout.EPSILON
    assert np.float32(layout.EPSILON) == np.float32(1e-6)
