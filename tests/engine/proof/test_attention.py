"""Heads of queries share keys in the list as they do in the engine; recorded in test_products."""

import pytest

from engine.config import Config
from engine.proof.attention import of_attention
from engine.proof.operands import Pool
from engine.proof.passes import Pass


@pytest.mark.parametrize("n_kv_head", [1, 2, 6])
@pytest.mark.parametrize("one", [
    Pass(3, 77, learns=True), Pass(9, 64), Pass(1, 4, before=0), Pass(1, 1, before=76)])
def test_scores_are_of_every_query_and_of_the_shared_keys(n_kv_head: int, one: Pass) -> None:
    config = Config(n_embd=48, n_head=6, n_kv_head=n_kv_head, seq_len=77)
    scores = [product for product in of_attention(config, one, Pool()) if product.a.ndim == 5]
    assert scores
    groups = 6 // n_kv_head
    assert {product.out.shape[1:3] for product in scores if product.out is not None} == {
        (n_kv_head, groups)}
    assert all(1 in (product.a.shape[2], product.b.shape[2]) for product in scores)


def test_fewer_key_heads_make_a_narrower_projection() -> None:
    widths = {n: max(product.a.shape[0] for product in of_attention(
        Config(n_embd=48, n_head=6, n_kv_head=n), Pass(1, 4), Pool())) for n in (1, 2, 6)}
    assert widths == {1: 64, 2: 80, 6: 144}
