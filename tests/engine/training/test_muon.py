"""Muon is that of its authors: against float64 written from their post, and PyTorch's own.

Both references see a model as its linear layers, (out, in) each, and know nothing of how the engine
lays them side by side or on their side.
"""

import math

import numpy as np
import pytest

from engine.blocks import matrices, muon_floats, muon_shares
from engine.config import Config
from engine.model import Flat, Workspace
from engine.training.muon import orthogonal
from engine.training.optim import EPS, RATE, make_optimizer, shares

N_STEPS = 30
ATTENTION = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_kv_head": 1, "n_hidden": 24,
             "vocab_size": 300}
RWKV = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_hidden": 8, "vocab_size": 300, "mixer": "rwkv"}
RECIPE = {"optimizer": "muon", "lr": 2e-3, "weight_decay": 0.5}


def layers(config, flat):
    """Views (out, in) of the linear layers of all blocks, and flat views of all else."""
    c, kv, f, found, rest = config.n_embd, config.kv_width, config.hidden, [], []
    for name, view in flat.views.items():
        match name.split(".")[1:]:
            case ["attn", "qkv"]:
                found += [view[:c], view[c : c + kv], view[c + kv :]]
            case ["mlp", "gate_up"]:
                found += [view[:f], view[f:]]
            case ["rwkv", "rkvg"]:
                found += [view[i * c : (i + 1) * c] for i in range(4)]
            case ["rwkv", "mix_in"]:
                found += list(view.reshape(5, -1, c))
            case ["rwkv", "mix_out"]:
                found += [own.T for own in view.reshape(5, -1, c)]
            case [_, "proj"] | ["mlp", "down"] | ["rwkv", "decay_out"]:
                found.append(view.T)
            case ["rwkv", "decay_in"]:
                found.append(view)
            case _:
                rest.append((view.reshape(-1), view.ndim == 2))
    return found, rest


def updates():
    """Learning rate and clipping factor of every step."""
    return [(2e-3 * (1 - i / 40), 1.0 if i % 3 else 0.3) for i in range(N_STEPS)]


def slope(point, i):
    """Gradient of a bowl whose middle moves."""
    return 0.3 * (point - np.random.default_rng([2, i]).standard_normal(point.size))


def start(config, dtype=np.float32):
    rng = np.random.default_rng(1)
    return Flat.over(config, rng.standard_normal(config.n_params).astype(dtype))


def run(config):
    params, optimizer = start(config), make_optimizer(config)
    for i, (lr, scale) in enumerate(updates()):
        grads = slope(params.buffer.astype(np.float64), i).astype(np.float32)
        optimizer.update(params, grads, lr, scale, slice(0, config.n_params))
    return params.buffer


def newton_schulz(g):
    """As in the post: five steps of the quintic, the wide way."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / np.linalg.norm(x)
    for _ in range(5):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def decayed(p, u, lr, config, has_decay=True):
    rate = config.weight_decay * has_decay * (lr / config.lr if config.scheduled_decay else 1.0)
    return rate * p * ((u * p >= 0) if config.cautious_decay else 1.0)


def reference(config):
    """Muon for layers and AdamW for the rest, in float64."""
    params, grads, m, v = (start(config, np.float64) for _ in range(4))
    m.buffer[...] = v.buffer[...] = 0.0
    for i, (lr, scale) in enumerate(updates()):
        grads.buffer[...] = scale * slope(params.buffer, i)
        (w, rest), (dw, drest), (mw, mrest), (_, vrest) = (
            layers(config, flat) for flat in (params, grads, m, v))
        for p, g, buf in zip(w, dw, mw, strict=True):
            buf *= 0.95
            buf += g
            u = newton_schulz(g + 0.95 * buf)
            u *= RATE * math.sqrt(max(1, p.shape[0] / p.shape[1]))
            p -= lr * (u + decayed(p, u, lr, config))
        for (p, has_decay), (g, _), (one, _), (two, _) in zip(rest, drest, mrest, vrest,
                                                              strict=True):
            one += (1 - config.beta1) * (g - one)
            two += (1 - config.beta2) * (g * g - two)
            u = one / (1 - config.beta1 ** (i + 1)) / (
                np.sqrt(two / (1 - config.beta2 ** (i + 1))) + EPS)
            p -= lr * (u + decayed(p, u, lr, config, has_decay))
    return params.buffer


@pytest.mark.parametrize("changes", [
    ATTENTION, RWKV, ATTENTION | {"cautious_decay": True}, RWKV | {"scheduled_decay": True}],
    ids=["attention", "rwkv", "cautious", "scheduled"])
def test_thirty_steps_are_those_of_the_post_in_double_precision(changes):
    config = Config(**(RECIPE | changes))
    assert np.max(np.abs(run(config) - reference(config))) < 1e-5


@pytest.mark.parametrize("changes", [ATTENTION, RWKV], ids=["attention", "rwkv"])
def test_thirty_steps_are_those_of_pytorch(changes, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this PyTorch is older than its Muon, 2.9")
    # Its own steps are in bfloat16, of three digits.
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.double().clone())
    config = Config(**(RECIPE | changes))
    params, grads = start(config, np.float64), start(config, np.float64)
    (w, rest), (dw, drest) = (layers(config, flat) for flat in (params, grads))
    w, dw = ([torch.from_numpy(one) for one in many] for many in (w, dw))
    for p, g in zip(w, dw, strict=True):
        p.grad = g
    muon = torch.optim.Muon(w, lr=1.0, weight_decay=config.weight_decay / RATE)
    groups = [{"params": [], "weight_decay": decay} for decay in (0.0, config.weight_decay)]
    for (p, has_decay), (g, _) in zip(rest, drest, strict=True):
        groups[has_decay]["params"].append(torch.from_numpy(p))
        groups[has_decay]["params"][-1].grad = torch.from_numpy(g)
    adamw = torch.optim.AdamW(groups, lr=1.0, betas=(config.beta1, config.beta2), eps=EPS)
    for i, (lr, scale) in enumerate(updates()):
        grads.buffer[...] = scale * slope(params.buffer, i)
        for optimizer, rate in ((muon, lr * RATE), (adamw, lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
    assert np.max(np.abs(run(config) - params.buffer)) < 1e-5


# --- what is orthogonal ----------------------------------------------------------------------


def made(x):
    return orthogonal(x.copy(), np.empty_like(x), Workspace(x.dtype))[0]


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8), (1, 5), (64, 1)], ids=str)
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_singular_values_come_near_one_and_directions_stay(shape, size):
    x = np.random.default_rng(0).standard_normal(shape)
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    inner = u.T @ made(size * x) @ vt.T
    assert np.all(np.abs(np.diag(inner) - 0.95) < 0.27)
    assert np.max(np.abs(inner - np.diag(np.diag(inner)))) < 1e-9
    assert np.max(np.abs(made((size * x).astype(np.float32)) - made(size * x))) < 2e-5


def test_a_matrix_of_zeros_stays_one():
    assert not np.any(made(np.zeros((4, 3), np.float32)))


# --- shared out ------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"n_layer": 1}, ATTENTION, RWKV, {"mixer": "rwkv"},
                                     {"n_embd": 320, "n_layer": 8, "n_head": 5, "tied": True}],
                         ids=str)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_replicas_have_whole_matrices_and_like_work(changes, n):
    config = Config(**({"optimizer": "muon"} | changes))
    found, own = muon_shares(config, n), matrices(config)
    assert [found[0][0], found[-1][1]] == [0, config.n_params]
    assert [stop for _, stop in found[:-1]] == [begin for begin, _ in found[1:]]
    assert all(begin <= stop for begin, stop in found)
    assert not any(one.start < begin < one.stop for begin, _ in found for one in own)
    total = sum(one.products for one in own) + 100 * config.n_params
    largest = max(one.products + 100 * one.size for one in own)
    for begin, stop in found:
        work = 100 * (stop - begin) + sum(one.products for one in own if begin <= one.start < stop)
        assert abs(work - total / n) <= largest + 100


def test_matrices_are_the_linear_layers_of_the_blocks():
    for changes in (ATTENTION, RWKV):
        config = Config(**changes)
        flat = start(config)
        wanted, _ = layers(config, flat)
        assert len(matrices(config)) == len(wanted)
        for one, layer in zip(matrices(config), wanted, strict=True):
            view = flat.buffer[one.start : one.stop].reshape(one.rows, one.columns)
            assert np.array_equal(view.T if one.has_inputs_first else view, layer)
            assert one.scale == math.sqrt(max(1, layer.shape[0] / layer.shape[1]))


@pytest.mark.parametrize("changes", [{}, RWKV, {"n_hidden": 100, "n_kv_head": 1}], ids=str)
@pytest.mark.parametrize("n", [1, 3])
def test_the_workspace_takes_exactly_the_predicted_memory(changes, n):
    config = Config(**({"n_embd": 32, "n_layer": 2, "n_head": 2, "optimizer": "muon"} | changes))
    params = start(config)
    for part in shares(config, n):
        optimizer = make_optimizer(config)
        optimizer.update(params, params.buffer.copy(), 1e-3, 1.0, part)
        assert optimizer.workspace.nbytes == 4 * muon_floats(config, (part.start, part.stop))
    assert sum(slot.size for slot in optimizer.slots.values()) == config.slot_floats
