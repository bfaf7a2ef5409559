"""What a run will cost on this device, learnt from the runs it has made.

A step's time is a sum of parts, each a count that follows from the configuration times the
seconds of one on this device:

    step_s = Σ_part count(part, config) · cost(part)

Costs start as those of one measured machine. The first run here says how much faster or slower
this device is in all; the next ones how its parts differ: slow memory, slow calls.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.ledger import Calibration, Run
from engine.blocks import QUERIES, attention_blocks, matrices, muon_shares, padded, time_chunk
from engine.config import EVAL_TOKENS, Config
from engine.training import default_eval_every

Vector = npt.NDArray[np.float64]

# Seconds of one of each part on x86 cores: the fit to the first set of
# tests/reference/step_times.json, where a test rebuilds them.
COSTS = {
    "products": 7.2e-11,  # a multiply-add of a block's matrices, with its two of backward
    "attention": 1.4e-10,  # a multiply-add of scores and mixing, likewise
    "scores": 6.4e-10,  # an entry of the softmax
    "head": 4.2e-11,  # a multiply-add of the output matrix
    "logits": 3.1e-09,  # an entry of the loss
    "activations": 8.5e-10,  # an entry that a block keeps for backward
    "update": 3.1e-10,  # a parameter's gradient summed, or one of its numbers updated
    "heads": 1.4e-06,  # small products of one head, one row, one block of queries
    "calls": 2.1e-04,  # numpy's calls of a block's pass, whatever the size
    "step": 6.0e-04,  # a pass's and an update's calls, and waiting for each other
}
FORWARD = 1 / 3  # of a pass: what evaluation does of it
# Of the time of Newton and Schulz's multiply-adds: a matrix by its own transpose takes less than
# another product, measured 0.82 to 0.87. And the calls of a matrix as a part of a block's pass.
HALVED, MATRIX_CALLS = 0.85, 0.17
# Of an entry that a block keeps: what one costs that a small idea scales or norms, there and back,
# and so many times more one of a table of pairs, whose rows are gathered, sorted and summed.
IDEA, PAIR = 4, 4

SPAWN_S = 1.5  # from the end of one run to the first step of the next, with the final save
DEVICE_SD = 3.0  # of the log of a device's speed beside the machine above: it tells nothing
PART_SD = 0.5  # of the log of a part's cost beside the device's: memory, calls and BLAS differ
NOISE_SD = 0.1  # of the log of a run's speed: what the counts leave out, and other programs
HALF_LIFE = 20  # runs after which one counts half as much
LEVEL_HALF_LIFE = 2  # the same for the speed in all: a phone that is hot slows every part
LEVEL_WEIGHT = 0.5  # runs that must agree before half of what they say is believed
MAX_TIMINGS = 100  # the newest runs that are looked at
ROUNDS = 30  # of Gauss-Newton; it stands still after about ten
LONGEST_STEP = 1.0  # of it, in logs


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast one run was on this device."""

    config: Config
    n_replicas: int
    step_s: float
    eval_token_s: float | None = None  # seconds to score one token; None where not known


def counts(config: Config, n_replicas: int = 1) -> Vector:
    """How often each part of COSTS occurs in a step of the replica with the most rows."""
    n = max(1, min(n_replicas, config.batch_size))
    found = config.grad_accum * _pass_counts(config, math.ceil(config.batch_size / n))
    # Every parameter's gradient is read from each replica; the optimizer reads and writes it, the
    # parameter and its own numbers.
    found[_at("update")] = (config.n_params * (n + 3) + 2 * config.slot_floats) / n
    found[_at("step")] += 1
    if config.optimizer == "muon":
        own = matrices(config)
        products = max(sum(one.products for one in own if start <= one.start < stop)
                       for start, stop in muon_shares(config, n))
        found[_at("products")] += HALVED / 3 * products  # a third: these have no backward
        found[_at("calls")] += MATRIX_CALLS * len(own) / n
    return found


def _pass_counts(config: Config, n_rows: int) -> Vector:
    """The same of one forward and backward pass of n_rows sequences in one process."""
    c, v, time = config.n_embd, config.vocab_size, config.seq_len
    n = n_rows * time * config.n_layer  # tokens in all blocks
    is_rwkv, of_mlp = config.mixer == "rwkv", 3 * c * config.hidden
    # Whatever RWKV mixes lies in whole chunks, those of a last one that is not full, too.
    mixed = n // time * padded(time) if is_rwkv else n
    found: dict[str, float] = {
        "products": n * of_mlp + mixed * (config.block_weights - of_mlp),
        "head": n_rows * time * v * c, "logits": n_rows * time * v, "update": 0, "step": 1}
    found |= (_rwkv_counts if is_rwkv else _attention_counts)(config, n_rows, mixed)
    found["activations"] += n * 3 * config.hidden + IDEA * (
        n * c * config.residual_scalars
        + n * (c + config.kv_width) * (config.qk_norm and config.mixer == "attention")
        + n_rows * time * PAIR * c * (config.bigram_buckets > 0))
    return np.array([found[part] for part in COSTS], np.float64)


def _attention_counts(config: Config, n_rows: int, n: int) -> dict[str, float]:
    """What n tokens in all blocks cost beside their matrices."""
    c, time = config.n_embd, config.seq_len
    keys = (time + min(time, QUERIES)) / 2  # that a query meets, on average, in blocks of queries
    n_calls = len(attention_blocks(n_rows, config.n_head, time, 0))
    return {"attention": n * keys * c, "scores": n * keys * config.n_head,
            "activations": n * (8 * c + 2 * config.kv_width),
            "heads": config.n_layer * n_rows * config.n_head * math.ceil(time / QUERIES),
            "calls": config.n_layer * (1 + n_calls)}


def _rwkv_counts(config: Config, n_rows: int, n: int) -> dict[str, float]:
    """The same of a recurrence in chunks, which n tokens fill, in the parts most like it."""
    time, chunk = config.seq_len, time_chunk(config.seq_len)
    n_chunks = padded(time) // chunk
    return {"attention": n * config.mixer_products / 2, "scores": 0,
            "activations": n * 28 * config.n_embd,  # engine/blocks.py
            "heads": config.n_layer * n_rows * config.n_head * n_chunks * 2,
            "calls": config.n_layer * 4}


def _at(part: str) -> int:
    return list(COSTS).index(part)


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds of a step, of an evaluation and of a run of any configuration on one device."""

    costs: Vector  # seconds of one of each part of COSTS
    eval_factor: float = 1.0  # measured evaluations took so many times as long as the parts say

    def step_s(self, config: Config, n_replicas: int = 1) -> float:
        return float(counts(config, n_replicas) @ self.costs)

    def eval_token_s(self, config: Config, n_replicas: int = 1) -> float:
        """Seconds to score one token; replicas share the passes."""
        n_rows = max(1, EVAL_TOKENS // config.seq_len)
        n = max(1, min(n_replicas, config.batch_size))
        pass_s = FORWARD * float(_pass_counts(config, n_rows) @ self.costs)
        return self.eval_factor * pass_s / (n_rows * config.seq_len * n)

    def run_s(self, config: Config, budget_tokens: int, n_replicas: int, n_valid: int) -> float:
        """Seconds of a whole run, with its evaluations on n_valid tokens."""
        return run_s(config, budget_tokens, n_valid, self.step_s(config, n_replicas),
                     self.eval_token_s(config, n_replicas))


def run_s(config: Config, budget_tokens: int, n_valid: int, step_s: float,
          eval_token_s: float) -> float:
    """Seconds of a run from those of a step and of scoring a token, with its evaluations."""
    n_steps = config.steps_for(budget_tokens)
    n_evals = _n_evals(config, n_steps, n_valid)
    return SPAWN_S + n_steps * step_s + n_evals * n_valid * eval_token_s


def _n_evals(config: Config, n_steps: int, n_valid: int) -> int:
    return math.ceil(n_steps / default_eval_every(config, n_steps, n_valid))


# --- what the ledger knows -------------------------------------------------------------------


def timing_of(run: Run, n_valid: int | None, n_once: int = 0) -> Timing | None:
    """The speed of a finished run; None where its row does not tell.

    n_valid  tokens of its validation slice, None where unknown
    n_once   tokens that it scored once more, at its end
    """
    if not (run.tok_per_s and run.tok_per_s > 0 and run.tokens):
        return None
    config = Config.from_dict(run.config)
    step_s = config.tokens_per_step / run.tok_per_s
    rest_s = None if run.duration_s is None else run.duration_s - run.tokens / run.tok_per_s
    return Timing(config, run.replicas or 1, step_s,
                  _eval_token_s(config, run.tokens, n_valid, rest_s, n_once))


def timing_of_study(study: Calibration, n_replicas: int, n_valid: int | None) -> Timing | None:
    """What was measured of a study's baseline before its first run; None where nothing was."""
    if not (study.tok_per_s and study.tok_per_s > 0):
        return None
    config, budget = Config.from_dict(study.config), study.budget_tokens
    step_s = config.tokens_per_step / study.tok_per_s
    rest_s = None if study.run_s is None else (
        study.run_s - SPAWN_S - config.steps_for(budget) * step_s)
    return Timing(config, n_replicas, step_s, _eval_token_s(config, budget, n_valid, rest_s))


def _eval_token_s(config: Config, n_tokens: int, n_valid: int | None,
                  rest_s: float | None, n_once: int = 0) -> float | None:
    """Seconds to score a token, from what a run took beside its steps: saving counts as scoring."""
    if not n_valid or rest_s is None or rest_s <= 0:
        return None
    return rest_s / (_n_evals(config, config.steps_for(n_tokens), n_valid) * n_valid + n_once)


# --- learning --------------------------------------------------------------------------------


def learn(timings: Sequence[Timing], noise_sd: float = NOISE_SD,
          part_sd: float = PART_SD) -> StepTime:
    """The costs that explain these runs best, the newest last; without any, those of COSTS.

    The largest posterior of log costs, found by Gauss-Newton: the log of a run's speed errs by
    noise_sd, costs stray from COSTS by DEVICE_SD together and by part_sd each. In logs no cost is
    ever negative, and an error of 10 % weighs the same in a short step as in a long one.
    """
    start = np.array(list(COSTS.values()))
    if not timings:
        return StepTime(start)
    age = np.arange(len(timings))[::-1]
    weight = 0.5 ** (age / HALF_LIFE) / noise_sd**2
    parts = start * np.array([counts(t.config, t.n_replicas) for t in timings])
    log_s = np.log([t.step_s for t in timings])
    n = start.size
    prior = np.linalg.inv(part_sd**2 * np.eye(n) + DEVICE_SD**2 * np.ones((n, n)))
    log_cost = np.zeros(n)  # beside COSTS
    for _ in range(ROUNDS):
        share = parts * np.exp(log_cost)
        total = share.sum(axis=1, keepdims=True)
        share = share / total  # the slope of the log of a step's time in each log cost
        missed = log_s - np.log(total[:, 0])
        step = np.linalg.solve(share.T * weight @ share + prior,
                               share.T * weight @ missed - prior @ log_cost)
        log_cost += step * min(1.0, LONGEST_STEP / max(1e-9, float(np.max(np.abs(step)))))
    missed = log_s - np.log(parts @ np.exp(log_cost))
    recent = 0.5 ** (age / LEVEL_HALF_LIFE)
    level = float(recent @ missed / (recent.sum() + LEVEL_WEIGHT))
    found = StepTime(start * np.exp(log_cost + level))
    return StepTime(found.costs, _eval_factor(found, timings))


def _eval_factor(found: StepTime, timings: Sequence[Timing]) -> float:
    """By how much evaluations took longer than the parts say; one run that knows counts half."""
    logs = [math.log(t.eval_token_s / found.eval_token_s(t.config, t.n_replicas))
            for t in timings if t.eval_token_s]
    return math.exp(sum(logs) / (len(logs) + 1))
