"""Three steps of a tiny model of each optimizer, beside the losses they have in float64.

Of grouped heads and another mixer, too, where a run has them.

Everything it starts from is made of whole numbers, so that no generator and no library of another
version can change it.
"""

import math

import numpy as np

from engine.config import Config
from engine.errors import UserError
from engine.fields import short
from engine.model import GPT, Array, Flat
from engine.native import NUMPY, Kernels
from engine.training import make_optimizer

N_STEPS = 3
CLOSE = 2e-4  # float32 strays by 1e-6 from these; nothing that is wrong strays so little
SHAPE = {"n_embd": 24, "n_layer": 2, "n_head": 2, "vocab_size": 257, "seq_len": 11,
         "batch_size": 3, "lr": 3e-3}
# Of losses_of in float64: nats a token before each step, and after the last one.
LOSSES = {"adamw": [8.029191, 7.800769, 7.560079, 7.310759],
          "lion": [8.029191, 7.800768, 7.556237, 7.29845],
          "schedule_free": [8.029191, 7.800769, 7.659896, 7.506264],
          "muon": [8.029191, 7.883003, 7.737336, 7.592681]}
# The same under the first of these, of models that have what not every model has.
KINDS: dict[str, dict[str, int | str | float]] = {
    "n_kv_head": {"n_kv_head": 1}, "mixer": {"mixer": "rwkv"},
    "cautious_decay": {"cautious_decay": True, "weight_decay": 10.0},
    "scheduled_decay": {"scheduled_decay": True, "weight_decay": 10.0},
    "residual_scalars": {"residual_scalars": True}, "bigram_buckets": {"bigram_buckets": 64},
    "qk_norm": {"qk_norm": True}}
LOSSES_OF_KINDS = {"n_kv_head": [8.004815, 7.77775, 7.54147, 7.29732],
                   "mixer": [7.921637, 7.668385, 7.244999, 6.949863],
                   "cautious_decay": [8.029191, 7.643812, 7.244345, 6.844548],
                   "scheduled_decay": [8.029191, 7.708182, 7.5694, 7.48017],
                   "residual_scalars": [8.067904, 7.872333, 7.675294, 7.477933],
                   "bigram_buckets": [7.527113, 7.195163, 6.967714, 6.754032],
                   "qk_norm": [8.024757, 7.793884, 7.552319, 7.304439]}


def losses_for(config: Config) -> dict[str, list[float]]:
    """What is to be met for a run of this configuration: of every optimizer, and of its kind."""
    return LOSSES | {name: LOSSES_OF_KINDS[name] for name in KINDS if name not in config.unused}


def faults_of_steps(losses: dict[str, list[float]], kernels: Kernels = NUMPY) -> list[str]:
    """Where a step leads elsewhere than it should."""
    found = []
    for name, wanted in losses.items():
        got = losses_of(name, kernels=kernels)
        if not all(abs(a - b) <= CLOSE for a, b in zip(got, wanted, strict=True)):
            told = ", ".join(f"{one:.5f}" for one in got)
            right = ", ".join(f"{one:.5f}" for one in wanted)
            kind = KINDS.get(name)
            of = f"of {name}={short(kind[name])}" if kind else ""
            found.append(f"a small model {of or f'under {name}'} has the losses {told} and not "
                         f"{right}")
    return found


def losses_of(name: str, dtype: type = np.float32,
              kernels: Kernels = NUMPY) -> list[float]:
    """Losses of the small model over N_STEPS steps, under an optimizer or of one of KINDS.

    NaN from where it broke.
    """
    config = Config(**SHAPE, **KINDS.get(name, {"optimizer": name}))  # type: ignore[arg-type]
    params, grads = (Flat.over(config, np.zeros(config.n_params, dtype)) for _ in range(2))
    params.buffer[...] = 0.2 * spread(config.n_params)
    for name, view in params.views.items():
        if name.endswith(("gain", "residual")):
            view[...] = 1.0
    n = config.batch_size * config.seq_len
    text = (spread(n + 1) * 0.5 + 0.5) * config.vocab_size
    ids, targets = (text[i : i + n].astype(np.int32).reshape(config.batch_size, -1)
                    for i in (0, 1))
    model = GPT(config, dtype, kernels)
    rule = make_optimizer(config, lambda size: np.zeros(size, dtype), kernels)
    losses = [math.nan] * (N_STEPS + 1)
    try:
        with np.errstate(all="ignore"):  # whatever comes is compared
            for step in range(N_STEPS + 1):
                losses[step] = model.loss_and_gradient(params, grads, ids, targets)
                if step < N_STEPS:
                    lr = config.lr / (1 + step) if config.scheduled_decay else config.lr
                    rule.update(params, grads.buffer, lr, 1.0, slice(0, config.n_params))
    except (ValueError, FloatingPointError, UserError):
        pass  # what stands is told
    return losses


def spread(n: int) -> Array:
    """n numbers over (−1, 1), the same on every machine: a sequence of Knuth's multiplier."""
    whole = (np.arange(1, n + 1, dtype=np.uint64) * np.uint64(2_654_435_761)) % np.uint64(1 << 32)
    return np.asarray(whole.astype(np.float64) / (1 << 31) - 1.0)
