"""What is proved of Muon is exactly what its update multiplies."""

from typing import Any

import numpy as np
import pytest

from engine.config import Config
from engine.model import Flat
from engine.proof.check import faults_of_products
from engine.proof.muon import of_muon
from engine.proof.operands import Pool, Product
from engine.proof.operations import Operations
from engine.proof.passes import passes_of
from engine.training import make_optimizer

SHAPE = {"n_embd": 24, "n_layer": 2, "n_head": 2, "vocab_size": 257, "seq_len": 16,
         "optimizer": "muon"}


@pytest.mark.parametrize("changes", [{}, {"n_kv_head": 1, "n_hidden": 20}, {"mixer": "rwkv"}],
                         ids=str)
def test_every_product_of_an_update_is_proved_and_no_other(
        changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    config, made, real = Config(**(SHAPE | changes)), set(), np.matmul

    def matmul(a: Any, b: Any, out: Any = None) -> Any:
        made.add(Product(a, b, out).key)
        return real(a, b, out=out)

    params = Flat.empty(config)
    params.buffer[...] = np.random.default_rng(0).standard_normal(config.n_params)
    with monkeypatch.context() as patch:
        patch.setattr(np, "matmul", matmul)
        make_optimizer(config).update(params, params.buffer.copy(), 1e-3, 1.0,
                                      slice(0, config.n_params))
    assert {one.key for one in of_muon(config, Pool())} == made


def test_a_product_by_its_own_transpose_that_is_wrong_is_named_for_muon_alone() -> None:
    def halved(a: Any, b: Any, out: Any = None) -> Any:
        found = np.matmul(a, b, out=out)
        if (a.ctypes.data, a.shape) == (b.ctypes.data, b.T.shape):  # its own transpose
            found[np.triu_indices(len(found), 1)] = 0.0  # the half that BLAS leaves to numpy
        return found

    operations = Operations(matmul=halved)
    config = Config(**SHAPE)  # type: ignore[arg-type]
    plain = Config(**(SHAPE | {"optimizer": "adamw"}))  # type: ignore[arg-type]
    assert faults_of_products(plain, passes_of(plain), operations) == []
    found = faults_of_products(config, passes_of(config), operations)
    assert found[0].startswith("the product of 24×24 by 24×24 (not row by row) is off by")
