"""The PyTorch step that engine/bench measures beside ours: the same GPT, loss, clip and AdamW.

    python torch_peer.py eager|compile SHAPE.json

SHAPE.json is {"vocab_size", "n_embd", "n_layer", "n_head", "batch_size", "seq_len"}. For each line
"N" on standard input it makes N steps and answers with one line of their seconds; at the end of
its input it prints its peak memory in MB. Token embedding, pre-norm blocks (RMSNorm, fused qkv,
half-split RoPE, causal attention, fused gate+up SwiGLU of hidden 4C), final RMSNorm, untied head,
no biases, float32, fused AdamW, global-norm clip 1.0, all cores.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
except ModuleNotFoundError:
    sys.exit(1)  # who started this says what to install


class Block(nn.Module):
    def __init__(self, c: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.norm1, self.norm2 = nn.RMSNorm(c, eps=1e-6), nn.RMSNorm(c, eps=1e-6)
        self.qkv, self.proj = nn.Linear(c, 3 * c, bias=False), nn.Linear(c, c, bias=False)
        self.gate_up = nn.Linear(c, 8 * c, bias=False)
        self.down = nn.Linear(4 * c, c, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.n_head, -1).transpose(1, 2)
                   for z in self.qkv(self.norm1(x)).split(c, -1))
        y = F.scaled_dot_product_attention(_turn(q, cos, sin), _turn(k, cos, sin), v,
                                           is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, c))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class GPT(nn.Module):
    def __init__(self, vocab_size: int, c: int, n_layer: int, n_head: int, seq_len: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(vocab_size, c), nn.Linear(c, vocab_size, bias=False)
        self.blocks = nn.ModuleList(Block(c, n_head) for _ in range(n_layer))
        self.norm = nn.RMSNorm(c, eps=1e-6)
        half = c // n_head // 2
        angle = torch.outer(torch.arange(seq_len).float(),
                            10000.0 ** (-torch.arange(half).float() / half))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())


def make_step(mode: str, shape: dict[str, int]) -> Callable[[], None]:
    """One training step on random tokens."""
    torch.manual_seed(0)
    model = GPT(shape["vocab_size"], shape["n_embd"], shape["n_layer"], shape["n_head"],
                shape["seq_len"])
    run = torch.compile(model) if mode == "compile" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    ids, targets = (torch.randint(0, shape["vocab_size"], (shape["batch_size"], shape["seq_len"]))
                    for _ in range(2))

    def step() -> None:
        loss = run(ids, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def main() -> None:
    step = make_step(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        sys.stdout.write(json.dumps(seconds) + "\n")
        sys.stdout.flush()
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    sys.stdout.write(f"{int(status.partition('VmHWM:')[2].split()[0]) * 1024 / 1e6}\n")


if __name__ == "__main__":
    main()
