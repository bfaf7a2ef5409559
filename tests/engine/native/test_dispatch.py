"""A layer is computed by the kernel of its name, where its Workspace has one."""

from types import SimpleNamespace

import numpy as np

from engine.native import dispatch, layers


def test_a_layer_goes_to_its_kernel_where_its_space_has_kernels(monkeypatch):
    monkeypatch.setattr(layers, "rotate", lambda x, tmp: f"kernel {x}", raising=True)

    def _rotate(x, tmp):
        """What it is."""
        return f"numpy {x}"

    either = dispatch.kernel(_rotate)
    assert either(1, SimpleNamespace(kernels=object())) == "kernel 1"
    assert either(2, SimpleNamespace(kernels=None)) == "numpy 2"
    assert either.__doc__ == "What it is."


def test_a_layer_without_a_space_is_numpys(monkeypatch):
    monkeypatch.setattr(layers, "rotate", lambda x, tmp=None: "kernel")

    def rotate(x, tmp=None):
        return np.sum(x)

    assert dispatch.kernel(rotate)([1, 2]) == 3
