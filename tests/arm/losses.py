"""Sixty steps of training on this machine, and whether those of another differ by rounding alone.

    python losses.py > here.json                       # computes
    python losses.py --compare x86.json arm.json       # judges, exit status 1 where it is more

Each configuration is trained in double precision, by the engine's Trainer, and with each batch in
three parts as replicas have them, which is another order of sums. What is bounded by what:

- double precision: both machines' losses to DOUBLE of each other, since rounding is 2⁻⁵³ there;
- single precision: at each step the other machine strays from double precision by at most FACTOR
  times as far as this one has strayed so far in any order of its sums. That is what rounding does
  to this very training, growth over its steps included. It is never less than a unit in the last
  place of the loss.

Lion is not among them: its update is a sign, and an entry near zero that rounding turns moves a
loss by 5e-5 at once, on one processor as well. engine/proof/steps.py has its losses.
"""

import json
import math
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config
from engine.model import GPT, Flat, init_params
from engine.training import Texts, Trainer, make_optimizer, parts
from engine.training.data import Batches
from engine.training.optim import learning_rate, sum_gradients

N_STEPS, SEED = 60, 3
FACTOR = 4.0
DOUBLE = 1e-9  # nats; 60 steps of rounding at 2⁻⁵³ stray by 1e-13
UNIT = 2.0**-23  # of single precision, as a part of the number
PARTS = (3,)
SHAPE: dict[str, Any] = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 257, "seq_len": 16,
                         "batch_size": 6, "lr": 3e-3}
CONFIGS: dict[str, dict[str, Any]] = {
    "adamw": {}, "muon": {"n_kv_head": 1, "optimizer": "muon"}, "rwkv": {"mixer": "rwkv"}}

Losses = dict[str, list[float]]


def a_text(n: int) -> Any:
    """Tokens that mostly step up by one; whole numbers, the same on every machine."""
    rng = np.random.default_rng(0)
    return (np.cumsum(1 + (rng.random(n) < 0.1) * rng.integers(0, 50, n)) % 257).astype(np.uint16)


def by_trainer(config: Config, texts: Texts) -> list[float]:
    """Training loss of each step, as a night computes it."""
    trainer, losses = Trainer(config, SEED, N_STEPS, texts), []
    for _ in range(N_STEPS):
        trainer.advance()
        losses.append(trainer.recent[-1])
    trainer.close()
    return losses


def in_parts(config: Config, texts: Texts, n_parts: int, dtype: Any = np.float32) -> list[float]:
    """The same, each batch in parts whose gradients are summed as those of replicas are.

    In one process, since replicas that wait for each other under emulation take minutes.
    """
    batches = Batches(texts.train, config.seq_len, SEED, config.data_order)
    params = Flat.empty(config, dtype)
    params.buffer[...] = init_params(config, SEED).buffer
    grads = [Flat.empty(config, dtype) for _ in range(n_parts)]
    model = GPT(config, dtype)
    rule = make_optimizer(config, lambda n: np.zeros(n, dtype))
    losses = []
    for step in range(N_STEPS):
        ids, targets = batches.take(step * config.batch_size, config.batch_size)
        loss = 0.0
        for rows, own in zip(parts(config.batch_size, n_parts), grads, strict=True):
            share = (rows.stop - rows.start) / config.batch_size
            loss += share * model.loss_and_gradient(params, own, ids[rows], targets[rows],
                                                    share=share)
        losses.append(loss)
        norm = math.sqrt(sum_gradients(grads[0].buffer, [one.buffer for one in grads[1:]]))
        rule.update(params, grads[0].buffer, learning_rate(config, step, N_STEPS),
                    min(1.0, config.clip / norm), slice(0, config.n_params))
    return losses


def computed() -> dict[str, Losses]:
    """Every configuration's losses: "double", and single precision in several ways."""
    texts = Texts(a_text(4000), a_text(200), n_valid_bytes=200)
    found = {}
    for name, changes in CONFIGS.items():
        config = Config(**(SHAPE | changes))
        found[name] = {"double": in_parts(config, texts, 1, np.float64),
                       "trainer": by_trainer(config, texts)} | {
            f"{n} parts": in_parts(config, texts, n) for n in PARTS}
    return found


def strays(losses: Losses, double: list[float]) -> dict[str, list[float]]:
    """How far each order of sums is from double precision, step by step."""
    return {n: [abs(a - b) for a, b in zip(losses[n], double, strict=True)]
            for n in losses if n != "double"}


def judged(here: Losses, there: Losses) -> tuple[list[str], dict[str, float]]:
    """What of there is more than rounding, a clause each; and the figures of the comparison."""
    double = here["double"]
    apart = float(np.max(np.abs(np.subtract(double, there["double"]))))
    faults = [] if apart <= DOUBLE else [f"double precision differs by {apart:.1e} nats"]
    own, others, far, most = strays(here, double), strays(there, double), 0.0, 0.0
    for step, loss in enumerate(double):
        far = max(far, *(one[step] for one in own.values()))
        bound = max(FACTOR * far, UNIT * loss)
        for n, one in others.items():
            most = max(most, one[step] / bound)
            if not one[step] <= bound:
                faults.append(f"step {step + 1}, {n}: {one[step]:.1e} nats from double "
                              f"precision; {bound:.1e} is what rounding does")
    return faults, {"double": apart, "here": far, "most": most,
                    "there": max(max(one) for one in others.values())}


def compare(here: dict[str, Any], there: dict[str, Any]) -> int:
    """Print a line a configuration; the exit status."""
    n_faults = 0
    sys.stdout.write(f"{here['machine']} with numpy {here['numpy']}, {there['machine']} with numpy "
                     f"{there['numpy']}, {N_STEPS} steps, nats\n")
    for name, losses in here["losses"].items():
        faults, told = judged(losses, there["losses"][name])
        sys.stdout.write(
            f"  {name:<14} {losses['double'][0]:.3f} to {losses['double'][-1]:.3f}; double "
            f"precision apart {told['double']:.0e}; from it here {told['here']:.1e}, there "
            f"{told['there']:.1e}, at most {told['most']:.2f} of the bound\n")
        sys.stdout.writelines(f"    {fault}\n" for fault in faults[:3])
        n_faults += len(faults)
    return 1 if n_faults else 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--compare"]:
        here, there = (json.loads(Path(name).read_text(encoding="ascii")) for name in arguments[1:])
        return compare(here, there)
    json.dump({"machine": platform.machine(), "numpy": np.__version__, "losses": computed()},
              sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
