"""The list of products is what the engine calls: recorded from real steps, scores and samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.config import MIXERS, Config
from engine.model import GPT, Past, init_params
from engine.native import NUMPY
from engine.proof.check import different
from engine.proof.operands import MULTIPLICATIONS, UNIT, Pool, Product
from engine.proof.passes import Pass, passes_of
from engine.proof.products import products
from engine.training import Texts, Trainer

CONFIGS = [
    Config(n_embd=32, n_layer=2, n_head=2, vocab_size=257, seq_len=16, batch_size=3),
    Config(n_embd=24, n_layer=1, n_head=3, vocab_size=300, seq_len=77, batch_size=5, tied=True),
    Config(n_embd=16, n_layer=1, n_head=1, vocab_size=2049, seq_len=150, batch_size=9,
           n_hidden=37, grad_accum=2),
    Config(n_embd=32, n_layer=2, n_head=4, n_kv_head=2, vocab_size=257, seq_len=16, batch_size=3),
    Config(n_embd=48, n_layer=1, n_head=6, n_kv_head=1, vocab_size=300, seq_len=150, batch_size=5),
    Config(n_embd=48, n_layer=1, n_head=6, n_kv_head=3, vocab_size=300, seq_len=77, batch_size=2,
           grad_accum=2),
    *(Config(mixer="rwkv", vocab_size=257, **shape)  # type: ignore[arg-type]
      for shape in ({"n_embd": 32, "n_layer": 2, "n_head": 2, "seq_len": 16, "batch_size": 3},
                    {"n_embd": 24, "n_layer": 1, "n_head": 3, "seq_len": 77, "batch_size": 5},
                    {"n_embd": 8, "n_layer": 1, "n_head": 1, "seq_len": 4, "batch_size": 2},
                    {"n_embd": 80, "n_layer": 1, "n_head": 1, "seq_len": 7, "batch_size": 2,
                     "grad_accum": 2, "n_hidden": 37}))]


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], set[Any]]:
    """The keys of all products that some work makes."""
    def of(work: Callable[[], Any]) -> set[Any]:
        keys, real = set(), np.matmul

        def matmul(a: Any, b: Any, out: Any = None) -> Any:
            keys.add(Product(a, b, out).key)
            return real(a, b, out=out)

        with monkeypatch.context() as patch:
            patch.setattr(np, "matmul", matmul)
            work()
        return keys
    return of


def proved(config: Config, passes: list[Pass]) -> set[Any]:
    return {product.key for product in different(config, passes)}


@pytest.mark.parametrize("config", CONFIGS)
def test_every_product_of_a_run_is_proved(
        config: Config, record: Callable[[Callable[[], Any]], set[Any]]) -> None:
    tokens = np.arange(3000, dtype=np.uint16) % config.vocab_size
    trainer = Trainer(config, 0, 10, Texts(tokens, tokens[:1500], 1500))
    made = record(trainer.advance) | record(trainer.evaluate)
    assert made - proved(config, passes_of(config, 1, trainer.windows)) == set()


@pytest.mark.parametrize("config", CONFIGS)
def test_every_product_of_a_replica_is_proved(
        config: Config, record: Callable[[Callable[[], Any]], set[Any]]) -> None:
    model, params = GPT(config), init_params(config, 0)
    for n_batch in (config.batch_size // 2, config.batch_size - config.batch_size // 2):
        ids = np.zeros((n_batch, config.seq_len), np.int32)
        made = record(lambda ids=ids: model.loss_and_gradient(  # type: ignore[misc]
            params, init_params(config, 1), ids, ids))
        assert made - proved(config, passes_of(config, 2)) == set()


@pytest.mark.parametrize("config", CONFIGS)
def test_the_first_and_the_last_token_of_a_sample_are_proved(
        config: Config, record: Callable[[Callable[[], Any]], set[Any]]) -> None:
    model, params, past = GPT(config), init_params(config, 0), Past(config, 1)
    first = np.zeros((1, min(4, config.seq_len - 1)), np.int32)
    made = record(lambda: model.next_logits(params, first, past))
    if config.mixer == "attention":
        past.keys[...] = past.values[...] = 0.0
    past.length = config.seq_len - 1
    made |= record(lambda: model.next_logits(params, np.zeros((1, 1), np.int32), past))
    assert made - proved(config, passes_of(config)) == set()


@pytest.mark.parametrize("config", [
    config for config in CONFIGS if config.vocab_size < 2049])  # of which logits come in pieces
def test_nothing_is_proved_that_no_step_calls(
        config: Config, record: Callable[[Callable[[], Any]], set[Any]]) -> None:
    """The list is exact where no block of attention is left out and no product cut."""
    model = GPT(config, kernels=NUMPY)  # which sums by products, where kernels make none
    params, grads = init_params(config, 0), init_params(config, 1)
    ids = np.zeros((config.batch_size, config.seq_len), np.int32)
    made = record(lambda: model.loss_and_gradient(params, grads, ids, ids))
    assert proved(config, [Pass(*ids.shape, learns=True)]) - made == set()


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_large_product_is_cut_and_keeps_what_is_left_over_of_its_tiles(mixer: str) -> None:
    config = Config(n_embd=520, n_head=4, batch_size=64, seq_len=255, vocab_size=20_011,
                    mixer=mixer)
    found = [product for one in passes_of(config) for product in products(config, one, Pool())]
    sizes = [(one.a.shape[-2], one.a.shape[-1], one.b.shape[-1]) for one in found
             if one.a.ndim == one.b.ndim == 2]
    assert all(m * k * n <= max(MULTIPLICATIONS, (2 * UNIT) ** 3) for m, k, n in sizes)
    assert any(20_011 % UNIT in {n % UNIT for n in size} for size in sizes)
