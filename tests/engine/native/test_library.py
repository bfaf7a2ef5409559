"""A library is ours and reads arrays where they lie, or it is not used."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from engine.native.library import NUMPY, SHAPES, Foreign, Kernels, doublings


def test_numpy_is_no_kernels():
    assert not NUMPY
    assert NUMPY.name == "numpy"


def test_a_file_that_is_no_library_is_foreign(tmp_path):
    (tmp_path / "x.so").write_bytes(b"no library")
    with pytest.raises(Foreign):
        Kernels("c11-0", tmp_path / "x.so")


def test_every_kernel_is_there_for_both_dtypes(kernels):
    assert kernels
    assert all(callable(getattr(kernels[kind], name)) for kind in "fd" for name in SHAPES)


def test_a_slice_is_read_where_it_begins(kernels):
    x = np.arange(20, dtype=np.float32)
    assert kernels["f"].add_squares(x[3:], x, 2, 0) == 3.0 ** 2 + 4.0 ** 2


@pytest.mark.parametrize("kind", "fd")
def test_doublings_are_exact_in_two_numbers(kind):
    getcontext().prec = 40
    high, low = doublings(1.0, kind)
    right = 1 / Decimal(2).ln()
    assert abs(Decimal(high) + Decimal(low) - right) < Decimal("1e-15" if kind == "f" else "1e-31")
    assert doublings(math.log(2.0), kind) == (1.0, 0.0)
