"""Write gpt.npz: what PyTorch, in float64, makes of a tiny GPT of this architecture.

    python -m pip install torch==2.13.0 numpy      # in an environment of its own; CPU build
    python tests/reference/make_reference.py

For a tied and an untied model: parameters (float32, exact in both programs), logits, loss and
every gradient of the first batch, and the losses and gradient norms of ten AdamW updates. Arrays
are stored the way this project lays them out: a torch Linear's weight is (out, in), as are our
qkv, gate_up and head; our proj and down are (in, out).
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

VERSION = 2  # raised whenever the content of the file changes meaning
COMMAND = "python tests/reference/make_reference.py"
SHAPE = {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_hidden": 12, "vocab_size": 257, "seq_len": 8}
# The gradient norms lie between 2 and 7, so that clipping at 3 is at work in some updates only.
RECIPE = {"beta1": 0.9, "beta2": 0.95, "weight_decay": 0.1, "clip": 3.0}
N_BATCH, N_UPDATES = 2, 10
# Our name → theirs, and whether ours is its transpose.
PARTS = {"attn.qkv": ("qkv", False), "attn.proj": ("proj", True),
         "mlp.gate_up": ("gate_up", False), "mlp.down": ("down", True)}


class Block(nn.Module):
    def __init__(self, c: int, hidden: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.norm1, self.norm2 = nn.RMSNorm(c, eps=1e-6), nn.RMSNorm(c, eps=1e-6)
        self.qkv = nn.Linear(c, 3 * c, bias=False)
        self.proj = nn.Linear(c, c, bias=False)
        self.gate_up = nn.Linear(c, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, c, bias=False)

    def forward(self, x, cos, sin):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, self.n_head, -1).transpose(1, 2)
                   for part in self.qkv(self.norm1(x)).split(c, -1))
        y = F.scaled_dot_product_attention(turn(q, cos, sin), turn(k, cos, sin), v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, c))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


def turn(x, cos, sin):
    """Rotary positions in half-split pairing."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class GPT(nn.Module):
    def __init__(self, tied: bool) -> None:
        super().__init__()
        c, n_head, time = SHAPE["n_embd"], SHAPE["n_head"], SHAPE["seq_len"]
        self.embed = nn.Embedding(SHAPE["vocab_size"], c)
        self.blocks = nn.ModuleList(
            Block(c, SHAPE["n_hidden"], n_head) for _ in range(SHAPE["n_layer"]))
        self.norm = nn.RMSNorm(c, eps=1e-6)
        self.head = nn.Linear(c, SHAPE["vocab_size"], bias=False)
        if tied:
            self.head.weight = self.embed.weight
        half = c // n_head // 2
        frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.outer(torch.arange(time, dtype=torch.float64), frequency)
        self.cos, self.sin = angle.cos(), angle.sin()

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


def our_names(model: GPT, tied: bool) -> dict[str, tuple[nn.Parameter, bool]]:
    """Our name of every parameter → the parameter, and whether ours is its transpose."""
    names = {"embed": (model.embed.weight, False), "norm.gain": (model.norm.weight, False)}
    if not tied:
        names["head"] = (model.head.weight, False)
    for i, block in enumerate(model.blocks):
        names |= {f"block{i}.{ours}": (getattr(block, theirs).weight, transposed)
                  for ours, (theirs, transposed) in PARTS.items()}
        names |= {f"block{i}.norm1.gain": (block.norm1.weight, False),
                  f"block{i}.norm2.gain": (block.norm2.weight, False)}
    return names


def in_our_layout(tensor: torch.Tensor, transpose: bool) -> np.ndarray:
    array = tensor.detach().numpy()
    return array.T.copy() if transpose else array.copy()


def draw_parameters(names: dict[str, tuple[nn.Parameter, bool]], rng: np.random.Generator) -> None:
    """Random enough that attention is not uniform and no gradient vanishes."""
    for weight, _ in names.values():
        middle = 1.0 if weight.dim() == 1 else 0.0
        values = (middle + 0.4 * rng.standard_normal(weight.shape)).astype(np.float32)
        weight.data = torch.from_numpy(values.astype(np.float64))


def learning_rates() -> list[float]:
    """Three warm-up steps, then a cosine; stored exactly, so nothing depends on this formula."""
    warm = [3e-3 * (i + 1) / 3 for i in range(3)]
    return warm + [3e-3 * (0.55 + 0.45 * float(np.cos(np.pi * i / 6))) for i in range(7)]


def run(tied: bool, batches: np.ndarray) -> dict[str, np.ndarray]:
    model = GPT(tied).double()
    names = our_names(model, tied)
    draw_parameters(names, np.random.default_rng(2 if tied else 1))
    out = {f"param.{name}": in_our_layout(weight, turned).astype(np.float32)
           for name, (weight, turned) in names.items()}
    weights = [weight for weight, _ in names.values()]
    optimizer = torch.optim.AdamW(
        [{"params": [w for w in weights if w.dim() == 2], "weight_decay": RECIPE["weight_decay"]},
         {"params": [w for w in weights if w.dim() == 1], "weight_decay": 0.0}],
        betas=(RECIPE["beta1"], RECIPE["beta2"]), eps=1e-8)
    losses, norms = [], []
    for batch, lr in zip(batches, learning_rates(), strict=True):
        ids, targets = torch.from_numpy(batch[:, :-1]), torch.from_numpy(batch[:, 1:])
        logits = model(ids.long()).flatten(0, 1)
        loss = F.cross_entropy(logits, targets.long().flatten())
        optimizer.zero_grad()
        loss.backward()
        if not losses:
            out["logits"] = logits.detach().numpy().copy()
            out |= {f"grad.{name}": in_our_layout(weight.grad, turned)
                    for name, (weight, turned) in names.items()}
        losses.append(loss.item())
        norms.append(nn.utils.clip_grad_norm_(weights, RECIPE["clip"]).item())
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
    return out | {"losses": np.array(losses), "norms": np.array(norms)}


def main() -> None:
    rng = np.random.default_rng(0)
    shape = (N_UPDATES, N_BATCH, SHAPE["seq_len"] + 1)
    batches = rng.integers(0, SHAPE["vocab_size"], shape, dtype=np.int32)
    batches[0, 0, 3] = batches[0, 0, 1]  # a repeated token, so that embedding gradients add up
    arrays = {f"{kind}.{name}": array for kind in ("tied", "untied")
              for name, array in run(kind == "tied", batches).items()}
    about = {"version": VERSION, "command": COMMAND, "torch": torch.__version__,
             "shape": SHAPE, "recipe": RECIPE}
    np.savez_compressed(Path(__file__).with_name("gpt.npz"), batches=batches,
                        lrs=np.array(learning_rates()), about=np.array(json.dumps(about)), **arrays)


if __name__ == "__main__":
    main()
