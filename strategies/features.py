"""A configuration as the numbers by which results are compared: what changes a loss, on its scale.

Logarithms of ratios to a common recipe, so that a doubling is the same distance anywhere; rates by
what AdamW would have, since Lion's sign step is larger; zero where a field has no effect. A larger
budget bears larger models and larger steps: width, layers and tokens a step are measured from what
suits the budget, so that a recipe found at one budget stands for its like at another.
"""

import math

from engine.config import Config
from strategies.base import LION_FACTOR

NAMES = ("learning rate", "width", "layers", "tokens a step", "window", "weight decay", "clipping",
         "warm-up", "final rate", "decay part", "beta1", "beta2", "hidden width", "head size",
         "rope base", "tied", "lion", "schedule_free", "wsd", "constant", "passes", "budget",
         "shared key heads", "rwkv", "muon", "cautious decay", "scheduled decay",
         "residual scalars", "bigram table", "query-key norm")
BUDGET_TOKENS = 75_000  # where the feature of the budget is zero
# What suits a budget grows as its power: of width, of layers, of tokens a step.
WIDTH_POWER, LAYER_POWER, STEP_POWER = 0.2, 0.15, 0.35
SMALLEST = 0.003  # of a fraction whose logarithm is taken


def features(config: Config, budget_tokens: int) -> tuple[float, ...]:
    """The numbers of one configuration at a budget, in the order of NAMES."""
    is_rwkv = config.mixer == "rwkv"
    is_lion, schedule = config.optimizer == "lion", config.effective_schedule
    factor = LION_FACTOR if is_lion else 1.0
    budget = math.log(budget_tokens / BUDGET_TOKENS)
    return (
        math.log(config.lr * factor / 3e-3),
        math.log(config.n_embd / 96) - WIDTH_POWER * budget,
        math.log(config.n_layer) - LAYER_POWER * budget,
        math.log(config.tokens_per_step / 256) - STEP_POWER * budget,
        math.log(config.seq_len / 32),
        math.log(max(config.weight_decay / factor, SMALLEST) / 0.1),
        math.log(config.clip),
        math.log(max(config.warmup_frac, SMALLEST) / 0.03),
        0.0 if schedule == "constant" else math.log(max(config.min_lr_frac, SMALLEST) / 0.1),
        math.log(max(config.decay_frac, SMALLEST) / 0.2) if schedule == "wsd" else 0.0,
        math.log((1 - config.beta1) / 0.1),
        math.log((1 - config.beta2) / 0.05),
        math.log(config.hidden / (4 * config.n_embd)),
        math.log(config.head_size / 24),
        0.0 if is_rwkv else math.log(config.rope_base / 1e4) / 4,
        float(config.tied),
        float(is_lion),
        float(config.optimizer == "schedule_free"),
        float(schedule == "wsd"),
        float(schedule == "constant" and config.optimizer != "schedule_free"),
        math.log(config.grad_accum),
        budget,
        0.0 if is_rwkv else math.log(config.n_head / config.kv_heads),
        float(is_rwkv),
        float(config.optimizer == "muon"),
        float(config.cautious_decay and config.weight_decay > 0),
        float(config.scheduled_decay and config.weight_decay > 0 and schedule != "constant"),
        float(config.residual_scalars),
        math.log1p(config.bigram_buckets / config.vocab_size),
        float(config.qk_norm and not is_rwkv),
    )
