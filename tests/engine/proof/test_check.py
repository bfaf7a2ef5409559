"""What is broken is found, whatever it is that breaks; what is right is never suspected."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.config import Config
from engine.proof import Operations, faults, faults_of_products, passes_of
from engine.proof.check import different
from tests.support.patience import patience

SMALL = Config(n_embd=32, n_layer=1, n_head=2, vocab_size=300, seq_len=70, batch_size=3)
ODD = Config(n_embd=24, n_layer=1, n_head=3, vocab_size=257, seq_len=77, batch_size=5, n_hidden=37)
DEFAULT = Config()
GROUPED = dataclasses.replace(SMALL, n_head=4, n_kv_head=2)
RWKV = dataclasses.replace(SMALL, mixer="rwkv")


@pytest.mark.parametrize("config", [SMALL, ODD, DEFAULT, GROUPED, RWKV, Config(
    n_embd=8, n_head=1, seq_len=4, batch_size=1, vocab_size=257), Config(
    n_embd=48, n_head=6, n_kv_head=1, seq_len=77), Config(mixer="rwkv")])
@pytest.mark.parametrize("n_replicas", [1, 2])
def test_this_machine_is_right(config: Config, n_replicas: int) -> None:
    assert faults(config, passes_of(config, n_replicas)) == []


def test_it_asks_for_no_kernels_which_are_tried_where_they_are_compiled(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that numpy alone computes would wait for a compiler."""
    def compiled() -> None:
        pytest.fail("kernels were asked for")

    monkeypatch.setattr("engine.model.workspace.usual", compiled)
    for config in (SMALL, RWKV):
        assert faults(config, passes_of(config, 1)) == []


def test_it_costs_less_than_a_third_of_a_second_of_the_processor() -> None:
    passes = passes_of(DEFAULT, 2)
    faults(DEFAULT, passes)
    start = time.process_time()
    faults(DEFAULT, passes)
    assert time.process_time() - start < patience(0.3)


def broken(is_hit: Callable[[Any, Any, Any], bool],
           spoil: Callable[[Any], None]) -> Operations:
    """A matmul that spoils the results of some products."""
    def matmul(a: Any, b: Any, out: Any = None) -> Any:
        found = np.matmul(a, b, out=out)
        if is_hit(a, b, out):
            spoil(found)
        return found
    return Operations(matmul=matmul)


def is_turned(x: Any) -> bool:
    return x.ndim == 2 and not x.flags.c_contiguous


def garbage(found: Any) -> None:
    found += 1.0


def last_column(found: Any) -> None:
    found[..., -1] = 0.0


def one_entry(found: Any) -> None:
    found[(0,) * found.ndim] += 3.0 * math.sqrt(found.size)


def half_precision(found: Any) -> None:
    found[...] = found.astype(np.float16)


def not_a_number(found: Any) -> None:
    found[(-1,) * found.ndim] = np.nan


def infinite(found: Any) -> None:
    found[(-1,) * found.ndim] = np.inf


LAYOUTS: dict[str, Callable[[Any, Any, Any], bool]] = {
    "first turned": lambda a, b, out: is_turned(a),
    "second turned": lambda a, b, out: is_turned(b),
    "neither turned": lambda a, b, out: not (is_turned(a) or is_turned(b)),
    "batched": lambda a, b, out: a.ndim >= 4,
    "batched, strided": lambda a, b, out: a.ndim >= 4 and not a.flags.c_contiguous,
    "a row of ones": lambda a, b, out: a.shape[0] == 1,
    "a vector": lambda a, b, out: b.ndim == 1,
    "strided result": lambda a, b, out: out is not None and not out.flags.c_contiguous,
    "without out": lambda a, b, out: out is None,
    "the head": lambda a, b, out: 300 in (*a.shape, *b.shape),
    "one shape": lambda a, b, out: a.shape == (256, 32) and b.shape == (32, 210)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("config", [SMALL, GROUPED, RWKV])
@pytest.mark.parametrize("spoil", [garbage, last_column, half_precision, not_a_number, infinite])
def test_a_product_that_is_wrong_in_some_layouts_is_found(
        config: Config, layout: str, spoil: Callable[[Any], None]) -> None:
    assert faults_of_products(config, passes_of(config), broken(LAYOUTS[layout], spoil))


def test_a_single_wrong_entry_is_found_and_only_the_products_that_have_it_are_named() -> None:
    found = faults_of_products(DEFAULT, passes_of(DEFAULT), broken(
        lambda a, b, out: a.shape == (1024, 128) and b.shape == (128, 1024), one_entry))
    assert len(found) >= 1
    assert all("1,024×128" in one and "128×1,024" in one for one in found)


def test_what_a_product_leaves_unwritten_is_found() -> None:
    def lazy(a: Any, b: Any, out: Any = None) -> Any:
        return np.matmul(a, b) if out is None else out
    assert "not finite" in faults_of_products(SMALL, passes_of(SMALL), Operations(matmul=lazy))[0]


def test_a_product_of_another_kind_or_shape_is_found() -> None:
    def wide(a: Any, b: Any, out: Any = None) -> Any:
        return np.matmul(a.astype(np.float64), b)

    def short(a: Any, b: Any, out: Any = None) -> Any:
        return np.matmul(a, b)[..., :-1]

    def refuses(a: Any, b: Any, out: Any = None) -> Any:
        raise ValueError("no kernel")

    for matmul, word in ((wide, "float64"), (short, "of shape"), (refuses, "no kernel")):
        assert word in faults_of_products(SMALL, passes_of(SMALL), Operations(matmul=matmul))[0]


def test_nothing_that_is_tried_is_tried_twice() -> None:
    keys = [product.key for product in different(SMALL, passes_of(SMALL, 2))]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("field", [
    field.name for field in dataclasses.fields(Operations) if field.name not in ("matmul", "nats")])
def test_each_operation_that_is_a_little_off_is_found(field: str) -> None:
    right = getattr(Operations(), field)

    def off(*arguments: Any, out: Any = None, **named: Any) -> Any:
        found = right(*arguments, **named) if out is None else right(*arguments, out=out, **named)
        found = np.multiply(found, 1.001, out=out) if out is not None else found * 1.001
        return found
    assert faults(SMALL, [], dataclasses.replace(Operations(), **{field: off}))
