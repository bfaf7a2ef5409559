"""The same model in PyTorch, written from the papers: plain loops, float64, gradients by autograd.

`twin` answers with the logits, the mean loss and the gradient of every parameter, by its name.
"""

import math

import numpy as np
import torch
from torch.nn import functional


def twin(config, params, ids, targets):
    """params  named float64 arrays; ids, targets (B, T)."""
    p = {name: torch.tensor(np.array(x), requires_grad=True) for name, x in params.items()}
    logits = forward(config, p, ids)
    loss = functional.cross_entropy(logits.flatten(0, 1),
                                    torch.tensor(targets, dtype=torch.long).flatten())
    loss.backward()
    return (logits.detach().numpy(), loss.item(),
            {name: value.grad.numpy() for name, value in p.items()})


def answers(config, p, ids, n_given):
    """ln P of all that follows the first n_given of these ids, as a tensor."""
    logs = forward(config, p, [ids[:-1]])[0].log_softmax(-1)
    return sum(logs[i - 1, ids[i]] for i in range(n_given, len(ids)))


def forward(config, p, ids):
    """Logits (B, T, V) of named tensors."""
    x = p["embed"][torch.tensor(ids, dtype=torch.long)]
    if config.bigram_buckets:
        x = x + p["bigram"][torch.tensor([[bucket(*pair, config.bigram_buckets) for pair in zip(
            [-1, *row[:-1]], row, strict=True)] for row in ids.tolist()])]
    x0 = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
    for i in range(config.n_layer):
        own = {name.partition(".")[2]: value for name, value in p.items()
               if name.startswith(f"block{i}.")}
        if config.residual_scalars:
            x = own["residual"][0] * x + own["residual"][1] * x0
        mix = rwkv if config.mixer == "rwkv" else attention
        x = x + mix(config, rms(x, own["norm1.gain"]), own)
        gate, up = (rms(x, own["norm2.gain"]) @ own["mlp.gate_up"].T).chunk(2, dim=-1)
        x = x + (functional.silu(gate) * up) @ own["mlp.down"]
    return rms(x, p["norm.gain"]) @ p["embed" if config.tied else "head"].T


def bucket(previous, token, n_buckets):
    """splitmix64 of (previous + 1) · 2³² + token, in whole numbers of any size."""
    z = ((previous + 1 << 32) + token + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return (z ^ z >> 31) % n_buckets


def rms(x, gain):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * gain


def attention(config, y, p):
    c, d, n_time = config.n_embd, config.head_size, y.shape[1]
    q, k, v = (y @ p["attn.qkv"].T).split([c, config.kv_width, config.kv_width], dim=-1)
    q, k, v = (x.unflatten(-1, (-1, d)).transpose(1, 2) for x in (q, k, v))  # (B, heads, T, D)
    if config.qk_norm:
        q, k = rms(q, p["attn.q_gain"]), rms(k, p["attn.k_gain"])
    angle = torch.outer(torch.arange(n_time, dtype=torch.float64),
                        config.rope_base ** (-torch.arange(d // 2, dtype=torch.float64) / (d // 2)))
    q, k = (turned(x, angle.cos(), angle.sin()) for x in (q, k))
    k, v = (x.repeat_interleave(config.n_head // config.kv_heads, dim=1) for x in (k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(d)
    scores = scores.masked_fill(torch.ones(n_time, n_time).triu(1).bool(), -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ p["attn.proj"]


def turned(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def rwkv(config, y, p):
    (n_batch, n_time, c), d = y.shape, config.head_size
    xx = torch.cat([torch.zeros(n_batch, 1, c), y[:, :-1]], dim=1) - y
    mu, *mus = p["rwkv.mix"].split(c)
    rank = p["rwkv.mix_in"].shape[0] // 5
    hidden = ((y + xx * mu) @ p["rwkv.mix_in"].T).tanh().split(rank, dim=-1)
    mixed = [y + xx * (m + h @ out) for m, h, out in
             zip(mus, hidden, p["rwkv.mix_out"].split(rank), strict=True)]
    r, k, v, g = (x @ w.T for x, w in zip(mixed, p["rwkv.rkvg"].split(c), strict=False))
    speed = p["rwkv.decay"] + (mixed[4] @ p["rwkv.decay_in"].T).tanh() @ p["rwkv.decay_out"]
    r, k, v, w = (x.unflatten(-1, (-1, d)) for x in (r, k, v, (-speed.exp()).exp()))
    u, state, found = p["rwkv.bonus"].unflatten(0, (-1, d)), 0.0, []
    for t in range(n_time):
        kv = k[:, t, :, :, None] * v[:, t, :, None, :]
        found.append((r[:, t, :, None] @ (state + u[:, :, None] * kv))[:, :, 0])
        state = w[:, t, :, :, None] * state + kv
    o = functional.group_norm(torch.stack(found, 1).flatten(0, 1).flatten(1), config.n_head,
                              p["rwkv.gain"], eps=64e-5).unflatten(0, (n_batch, n_time))
    return (o * functional.silu(g)) @ p["rwkv.proj"]
