"""Kernels give what numpy gives: in float64 to its last digits, in float32 no worse than it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.config import Config
from engine.model import attention, layers
from engine.model.workspace import Workspace
from engine.native import NUMPY, build, exponential, updates
from engine.training import Texts, Trainer
from tests.support.patience import patience

ROUNDS = 4.0  # times numpy's own distance from float64 that float32 kernels may be off
FAR = 1e-3  # of the largest entry: no kernel of any shape, where numbers cancel neither
CLOSE = 1e-12  # of the largest entry: float64 by kernels and by numpy
N_SHAPES = 12  # of each kernel
ROOT = Path(__file__).parents[3]
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CHECKED = """
import sys
from pathlib import Path
from engine.native import Kernels
from tests.engine.native.test_layers import CASES, check
kernels = Kernels("sanitized", Path(sys.argv[1]))
for name in CASES:
    check(name, range(40), kernels)
print("clean")
"""


def shapes(seed):
    """Rows, channels, hidden and so on: small, with every rest, and some above a block."""
    rng = np.random.default_rng(seed)
    return rng, [int(n) for n in rng.choice([1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 48, 64, 65, 130],
                                            size=5)]


def normal(rng, *shape):
    return rng.standard_normal(shape) * rng.choice([0.05, 1.0, 5.0])


def of_embedding(rng, n, space, cast):
    ids, table = rng.integers(0, n[1], n[0]), cast(normal(rng, n[1], n[2]))
    layers.embedding_backward(cast(normal(rng, n[0], n[2])), ids, table, space)
    return [table]


def of_norm(rng, n, space, cast):
    c = n[1] + 2  # of fewer channels the gradient is next to nothing: all of it is rounding
    x, gain, dy = (cast(normal(rng, *shape)) for shape in ((n[0], c), (c,), (n[0], c)))
    y, cache = layers.rms_norm(x, gain, space.at("buf"))
    return [y, cache[1], *layers.rms_norm_backward(dy, cache, space),
            *layers.unit_rms(x, space.at("unit"))]


def of_swiglu(rng, n, space, cast):
    gate_up, dh = cast(normal(rng, 2 * n[0], n[1])), cast(normal(rng, n[0], n[1]))
    h, cache = layers.swiglu(gate_up, space.at("buf"), space)
    first = h.copy()
    wide = space("wide", 2 * n[0], n[1])
    wide[n[0] :] = dh
    again = layers.swiglu_backward(wide[n[0] :], cache, wide, space)
    return [first, again, wide, *cache]


def of_loss(rng, n, space, cast):
    logits = cast(normal(rng, n[0] + 1, 3 * n[1]) * rng.choice([1.0, 40.0]))
    targets = rng.integers(0, n[0] + 1, 3 * n[1])
    nats = layers.cross_entropy(logits, targets, 0.3, exponential.POWER, exponential.NATS, space)
    return [nats, logits]


def of_attention(rng, n, space, cast):
    half, n_kv, group, b, t = n[0] % 9 + 1, n[1] % 3 + 1, n[2] % 2 + 1, n[3] % 3 + 1, n[4]
    h = n_kv * group
    tables = tuple(np.concatenate([cast(table)] * b, axis=1)
                   for table in attention.rope_tables(t, 2 * half, 1e4, float))
    qkv = cast(normal(rng, (h + 2 * n_kv) * 2 * half, b * t) * rng.choice([1.0, 1.0, 9.0]))
    o, cache = attention.attention(qkv, (h, n_kv), b, tables, space.at("buf"), space)
    do = cast(normal(rng, *o.shape))
    return [o, attention.attention_backward(do, cache, space)]


def of_updates(rng, n, space, cast):
    size = n[0] * n[1] + n[2]
    p, g, m, v, x, y = (cast(normal(rng, size)) for _ in range(6))
    others, is_cautious = [cast(normal(rng, size)) for _ in range(n[3] % 3)], bool(n[4] % 2)
    v = np.abs(v)
    found = [g]
    if space.kernels:
        total = updates.sum_gradients(g, others, space.kernels)
    else:
        for other in others:
            g += other
        total = float(np.dot(g.astype(float), g.astype(float)))
    for update, numbers in (
            (updates.adamw, (0.7, 0.9, 0.95, 1e-8, 3e-3, 0.1)),
            (updates.schedule_free, (0.7, 0.95, 1.4, 1e-8, 0.1, 0.3, -2e-3, 3e-3))):
        arrays = [one.copy() for one in (p, g, m, v)]
        update(arrays, numbers, is_cautious, space)
        found += arrays
    arrays = [one.copy() for one in (p, g, m)]
    updates.lion(arrays, (0.7, 9.0, 0.99, 3e-3, 0.1), is_cautious, space)
    found += arrays[2:]  # of p the sign of a sum decides, which may be next to nothing
    moved = [one.copy() for one in (x, g, m, y)]
    updates.gather(moved, (0.7, 0.95), space)
    arrays = [one.copy() for one in (p, g, y)]
    updates.descend(arrays, (3e-3, 0.1), is_cautious, space)
    return [*found, moved[0], moved[2], arrays[0], np.array([total])]


CASES = {"embedding": of_embedding, "norm": of_norm, "swiglu": of_swiglu, "loss": of_loss,
         "attention": of_attention, "updates": of_updates}


def results(name, seed, kernels, dtype):
    rng, n = shapes(seed)
    with np.errstate(over="ignore"):  # of sums that say so, and are made again without their peak
        return CASES[name](rng, n, Workspace(dtype, kernels),
                           lambda x: np.asarray(x, np.float32).astype(dtype))


def check(name, seeds, kernels):
    """float64 of every shape; float32 of all together, where one may have luck with rounding."""
    found, plain = 0.0, 0.0
    for seed in seeds:
        right = results(name, seed, NUMPY, np.float64)
        for wanted, other in zip(right, results(name, seed, kernels, np.float64), strict=True):
            assert other.dtype == wanted.dtype
            assert off(other, wanted) <= CLOSE, seed
        for wanted, by_numpy, by_kernel in zip(
                right, results(name, seed, NUMPY, np.float32),
                results(name, seed, kernels, np.float32), strict=True):
            one = off(by_kernel, wanted)
            assert one <= FAR, seed
            found, plain = found + one, plain + off(by_numpy, wanted)
    assert found <= ROUNDS * plain


def off(found, wanted):
    """As a part of the largest entry."""
    return float(np.max(np.abs(found - wanted), initial=0)) / largest(wanted)


def largest(x):
    return float(np.max(np.abs(x), initial=1e-30))


@pytest.mark.parametrize("name", CASES)
def test_kernels_round_no_worse_than_numpy(name, kernels):
    check(name, range(N_SHAPES), kernels)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_kernels_round_no_worse_than_numpy_at_ten_thousand_shapes(name, kernels):
    check(name, range(1000, 1000 + 10_000 // len(CASES) + 1), kernels)


def test_what_comes_out_does_not_depend_on_where_it_lies(kernels):
    """The same numbers on every offset from a cache line give the same bits."""
    rng = np.random.default_rng(0)
    x, gain, dy = (rng.standard_normal(shape).astype(np.float32)
                   for shape in ((7, 45), 45, (7, 45)))

    def at(offset, a):
        room = np.empty(a.size + 16, np.float32)
        placed = room[offset : offset + a.size].reshape(a.shape)
        placed[...] = a
        return placed

    found = []
    for offset in range(0, 16, 3):
        space = Workspace(np.float32, kernels)
        y, cache = layers.rms_norm(at(offset, x), at(offset, gain), space.at("buf"))
        grad = at(offset, dy)
        total = updates.sum_gradients(grad.reshape(-1), [], kernels)
        found.append([y.tobytes(), total, *(part.tobytes() for part in layers.rms_norm_backward(
            grad, cache, space))])
    assert all(one == found[0] for one in found)


def test_a_part_of_a_buffer_is_updated_as_the_whole_is(kernels):
    """So that the number of replicas changes no update."""
    rng = np.random.default_rng(0)
    arrays = [np.abs(rng.standard_normal(1003)).astype(np.float32) for _ in range(4)]
    whole, parts = ([one.copy() for one in arrays] for _ in range(2))
    space, numbers = Workspace(np.float32, kernels), (0.7, 0.9, 0.95, 1e-8, 3e-3, 0.1)
    updates.adamw(whole, numbers, False, space)
    for rows in (slice(0, 301), slice(301, 302), slice(302, 1003)):
        updates.adamw([one[rows] for one in parts], numbers, False, space)
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_stays_none(bad, kernels):
    space = Workspace(np.float32, kernels)
    logits = np.zeros((5, 3), np.float32)
    logits[2, 1] = bad
    with np.errstate(all="ignore"):
        nats = layers.cross_entropy(logits, np.array([0, 2, 1]), 1.0, exponential.POWER,
                                    exponential.NATS, space)
        assert np.isfinite(nats).tolist() == [True, False, True]
        gate = np.full((2, 1), bad, np.float32)
        assert not np.isfinite(layers.swiglu(gate, space.at("b"), space)[0]).any()
        grads = np.full(40, bad, np.float32)
        assert not np.isfinite(updates.sum_gradients(grads, [], kernels))


def test_an_id_that_there_is_not_touches_nothing_else(kernels):
    space, logits = Workspace(np.float32, kernels), np.zeros((4, 2), np.float32)
    nats = layers.cross_entropy(logits, np.array([9, 1]), 1.0, exponential.POWER,
                                exponential.NATS, space)
    assert np.isnan(nats[0])
    assert nats[1] == pytest.approx(np.log(4.0))


def test_a_training_by_kernels_that_stopped_goes_on_to_the_same_bits(kernels):
    """With replicas, too, which share a batch and the updates."""
    tokens = np.random.default_rng(0).integers(0, 300, 3000).astype(np.uint16)
    config = Config(n_embd=16, n_layer=2, n_head=2, vocab_size=300, seq_len=20, batch_size=4)
    whole, half, rest = (Trainer(config, 3, 6, Texts(tokens, tokens[:200], 400), 2, kernels)
                         for _ in range(3))
    for run in (whole, half, rest):
        assert run.model.workspace.kernels is kernels
    try:
        for _ in range(6):
            whole.advance()
        for _ in range(3):
            half.advance()
        rest.restore({name: array.copy() for name, array in half.arrays().items()},
                     half.scalars())
        for _ in range(3):
            rest.advance()
        assert np.array_equal(rest.params.buffer, whole.params.buffer)
        assert rest.evaluate() == whole.evaluate()
    finally:
        for run in (whole, half, rest):
            run.close()


def test_nothing_is_read_or_written_beside_the_arrays(environment, kernels, tmp_path):
    """The tests above under the compiler's sanitizers of addresses and undefined behaviour."""
    compiler = next(build.compilers(environment["PATH"]))
    runtime = subprocess.run([*compiler.command, "-print-file-name=libasan.so"],
                             capture_output=True, text=True, check=False).stdout.strip()
    if not os.path.isabs(runtime):
        pytest.skip(f"{compiler.name} has no libasan.so beside it")
    if patience(1.0) > 1.0:
        pytest.skip("in an emulator the sanitizers' shadow takes all of the machine's memory")
    watched = {**environment, "AGENT_NATIVE": "0", "LD_PRELOAD": runtime,
               "ASAN_OPTIONS": "detect_leaks=0"}
    made = tmp_path / "kernels.so"
    subprocess.run([*compiler.command, *build.FLAGS, *compiler.flags, "-g", *SANITIZED,
                    str(build.SOURCE), "-o", str(made)], check=True, capture_output=True)
    found = subprocess.run([sys.executable, "-c", CHECKED, str(made)], cwd=ROOT,
                           capture_output=True, text=True, env=watched, check=False)
    if "incompatible" in found.stderr or "cannot be preloaded" in found.stderr:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    assert (found.returncode, found.stdout, found.stderr) == (0, "clean\n", "")
