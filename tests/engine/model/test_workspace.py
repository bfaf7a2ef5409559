"""A workspace hands out the same memory again, so that nothing grows from step to step."""

import mmap

import numpy as np

from engine.model.workspace import Workspace


def test_the_same_name_and_shape_is_the_same_array():
    workspace = Workspace()
    assert workspace("x", 2, 3) is workspace("x", 2, 3)


def test_a_smaller_shape_reuses_the_memory_of_the_larger():
    workspace = Workspace()
    large, small = workspace("x", 4, 5), workspace("x", 3, 2)
    assert np.shares_memory(large, small)
    assert workspace.nbytes == 4 * 20


def test_a_larger_shape_replaces_the_memory_for_every_shape():
    workspace = Workspace()
    workspace("x", 2, 2)
    large = workspace("x", 4, 5)
    assert np.shares_memory(workspace("x", 2, 2), large)
    assert workspace.nbytes == 4 * 20


def test_different_names_never_share_memory():
    workspace = Workspace()
    assert not np.shares_memory(workspace("x", 4), workspace("y", 4))


def test_large_buffers_lie_apart_and_on_cache_lines():
    workspace = Workspace()
    buffers = [workspace(f"x{i}", 1 << 15, i) for i in (1, 3, 7, 700)]  # the last is a chunk alone
    for i, buffer in enumerate(buffers):
        buffer.fill(i)
        assert buffer.ctypes.data % 64 == 0
    assert [float(buffer.min()) for buffer in buffers] == [0, 1, 2, 3]
    assert [float(buffer.max()) for buffer in buffers] == [0, 1, 2, 3]


def test_the_memory_of_a_buffer_that_was_outgrown_goes_back_to_the_system():
    workspace = Workspace()
    neighbour, outgrown = workspace("y", 1 << 18), workspace("x", 1 << 18)
    neighbour.fill(1.0)
    outgrown.fill(1.0)
    workspace("x", 1 << 19)
    kept = np.count_nonzero(outgrown)  # what went back reads as zero; parts of pages stay
    assert kept * outgrown.itemsize < 2 * mmap.PAGESIZE
    assert np.all(neighbour == 1.0)


def test_a_scope_has_names_of_its_own_in_one_store():
    workspace = Workspace()
    inner = workspace.at("block0").at("norm")
    assert not np.shares_memory(inner("x", 4), workspace("x", 4))
    assert inner("x", 4) is workspace.at("block0").at("norm")("x", 4)
    assert inner.nbytes == workspace.nbytes == 4 * 8


def test_arrays_are_contiguous_and_of_the_dtype_asked_for():
    workspace = Workspace(np.float64).at("scope")
    workspace("x", 9, 9)
    assert workspace("x", 3, 4).dtype == np.float64
    assert workspace("x", 3, 4).flags.c_contiguous
    assert workspace("x", 3, 4).shape == (3, 4)
