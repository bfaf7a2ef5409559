"""Chunks of time mixing in the list, whatever the length; recorded in test_products."""

from typing import Any

import pytest

from engine.config import Config
from engine.proof.operands import Pool
from engine.proof.passes import Pass
from engine.proof.rwkv import of_rwkv

CONFIG = Config(n_embd=48, n_head=6, mixer="rwkv")


def within_chunks(one: Pass) -> set[Any]:
    """Shapes of a single chunk's products."""
    return {(product.a.shape[2:], product.b.shape[2:])
            for product in of_rwkv(CONFIG, one, Pool()) if product.a.ndim >= 4}


@pytest.mark.parametrize("learns", [True, False])
def test_the_products_of_a_chunk_do_not_depend_on_how_many_there_are(learns: bool) -> None:
    few = within_chunks(Pass(1, 32, learns))
    assert few
    assert within_chunks(Pass(7, 250, learns)) == few
    assert within_chunks(Pass(300, 2048, learns)) == few


def test_many_long_sequences_are_tried_in_little_memory() -> None:
    entries = [side.size for product in of_rwkv(CONFIG, Pass(1024, 2048, learns=True), Pool())
               for side in (product.a, product.b)]
    assert max(entries) < 1 << 23


@pytest.mark.parametrize("n_time", [1, 2, 3, 5, 16, 17])
def test_a_sequence_is_filled_up_to_whole_chunks(n_time: int) -> None:
    rows = {product.a.shape[0] for product in of_rwkv(CONFIG, Pass(1, n_time), Pool())
            if product.a.ndim == product.b.ndim == 2}
    filled = {1: 1, 2: 2, 3: 4, 5: 8, 16: 16, 17: 32}[n_time]
    assert rows == {filled, n_time}
