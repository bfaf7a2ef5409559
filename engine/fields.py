"""The fields of a configuration: what each may hold, how it is read and written, and what it is
called elsewhere.

A field is what its default is: a number, a truth value, or one of CHOICES; a default of None is
a whole number that follows from others. What another program calls a field is found by meaning
first, then by letters: a neighbour of another meaning is worse than none.
"""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

from engine.errors import ConfigError

OPTIMIZERS = ("adamw", "lion", "schedule_free", "muon")
SCHEDULES = ("cosine", "wsd", "constant")
MIXERS = ("attention", "rwkv")
DATA_ORDERS = ("circular", "linear")
CHOICES = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "mixer": MIXERS,
           "data_order": DATA_ORDERS}

# (smallest, largest) allowed; the upper ends only keep typing errors out of a night.
BOUNDS: dict[str, tuple[float, float]] = {
    "n_embd": (8, 4096), "n_layer": (1, 64), "n_head": (1, 64), "n_hidden": (1, 16384),
    "vocab_size": (257, 32768), "seq_len": (4, 2048), "rope_base": (10.0, 1e7),
    "batch_size": (1, 1024), "grad_accum": (1, 256), "lr": (1e-8, 1.0),
    "warmup_frac": (0.0, 0.9), "decay_frac": (0.0, 1.0), "min_lr_frac": (0.0, 1.0),
    "weight_decay": (0.0, 10.0), "beta2": (0.0, 0.99999), "clip": (1e-3, 1e3),
    "beta1": (0.1, 0.9999),  # less, and the average of schedule_free is lost in rounding
    "n_kv_head": (1, 64), "bigram_buckets": (0, 65536),
}
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NEAR = 0.75  # of two words' letters have to be the same for one to be a misspelling of the other
# What the screen calls the fields.
TITLES = {
    "n_embd": "width", "n_layer": "layers", "n_head": "heads", "n_hidden": "hidden width",
    "vocab_size": "vocabulary", "seq_len": "window", "tied": "tied head",
    "rope_base": "rope base", "batch_size": "batch", "grad_accum": "accumulated passes",
    "optimizer": "optimizer", "lr": "learning rate", "schedule": "schedule",
    "warmup_frac": "warm-up", "decay_frac": "decay part", "min_lr_frac": "final learning rate part",
    "weight_decay": "weight decay", "beta1": "beta1", "beta2": "beta2", "clip": "clipping norm",
    "n_kv_head": "key heads", "mixer": "mixer",
    "cautious_decay": "cautious decay", "scheduled_decay": "scheduled decay",
    "data_order": "data order", "shuffle_stories": "shuffled stories",
    "residual_scalars": "residual scalars", "bigram_buckets": "bigram buckets",
    "qk_norm": "query-key norm",
}
# What other programs, and people, call the fields; signs and capitals do not count.
MEANINGS = {
    "n_embd": "width dim d_model hidden_size embed_dim embedding_size embedding n_embed emb "
              "model_dim d_embed channels",
    "n_layer": "layers depth n_layers num_layers num_hidden_layers n_blocks blocks",
    "n_head": "heads n_heads num_heads num_attention_heads attention_heads",
    "n_hidden": "hidden d_ff ffn ffn_dim mlp mlp_dim intermediate_size hidden_width ff_dim",
    "vocab_size": "vocab vocabulary n_vocab vocabulary_size num_tokens_vocab",
    "seq_len": "ctx context block_size context_length context_size ctx_len n_ctx window max_len "
               "max_seq_len sequence_length seq length n_positions",
    "tied": "tie tied_head tie_weights tie_word_embeddings weight_tying tie_embeddings",
    "rope_base": "rope rope_theta theta",
    "batch_size": "batch bs batchsize micro_batch_size",
    "grad_accum": "accumulation accum gradient_accumulation gradient_accumulation_steps "
                  "accumulate_grad_batches accumulated_passes",
    "optimizer": "optim opt algorithm solver",
    "lr": "learning_rate learningrate max_lr eta step_size alpha base_lr",
    "schedule": "scheduler lr_schedule lr_scheduler lr_decay decay_schedule annealing",
    "warmup_frac": "warmup warm_up warmup_ratio warmup_steps warmup_fraction",
    "decay_frac": "decay_fraction cooldown cooldown_frac decay_part",
    "min_lr_frac": "min_lr final_lr min_lr_ratio lr_min end_lr final_learning_rate",
    "weight_decay": "wd decay l2 regularization weightdecay",
    "beta1": "b1 momentum adam_beta1 beta_1", "beta2": "b2 adam_beta2 beta_2",
    "clip": "grad_clip clip_norm max_grad_norm gradient_clipping clip_grad clipping grad_norm "
            "clipping_norm",
    "n_kv_head": "kv_heads kv_head n_kv_heads n_kv num_kv_heads num_key_value_heads key_heads "
                 "key_value_heads gqa query_groups n_query_groups num_query_groups mqa",
    "mixer": "token_mixer mixing attention_type attn attention attn_type architecture arch "
             "model_type block_type rwkv rwkv6 linear_attention",
    "cautious_decay": "cautious_weight_decay cautious cwd cautious_wd masked_decay",
    "scheduled_decay": "scheduled_weight_decay decay_follows_lr decay_with_lr wd_schedule "
                       "weight_decay_schedule adamc corrected_decay falling_decay",
    "data_order": "sampling_order window_order order sampler sampling data_sampling",
    "shuffle_stories": "shuffle reshuffle shuffle_data shuffle_documents shuffle_docs "
                       "reshuffle_stories story_order",
    "residual_scalars": "resid_lambdas x0_lambdas lambdas residual_scale residual_scaling "
                        "resid_scalars layer_scale residual_lambdas skip_scalars",
    "bigram_buckets": "bigram bigrams bigram_hash bigram_vocab_size bigram_table bigram_embedding "
                      "hash_buckets n_buckets buckets",
    "qk_norm": "qknorm query_key_norm use_qk_norm qk_layernorm qk_rms_norm qk_normalization "
               "norm_qk q_norm k_norm",
}
_BUDGET = "how long a run trains is its budget, not a field: --run-tokens or --run-for"
_NONE = "this program has no such thing, so leave it out"
# Words whose neighbours by letters would mislead: what they mean is no field.
ELSEWHERE = {
    **dict.fromkeys(("steps", "nsteps", "maxsteps", "iters", "maxiters", "iterations", "epochs",
                     "epoch", "tokens", "maxtokens", "budget", "time", "duration"), _BUDGET),
    **dict.fromkeys(("seed", "randomseed"), "the seed is no field: --seed"),
    **dict.fromkeys(("corpus", "data", "dataset", "text"), "the text is no field: --corpus"),
    **dict.fromkeys(("valid", "validation"), "the text to validate on is no field: --valid"),
    **dict.fromkeys(("replicas", "workers", "threads", "cores"),
                    "processes are no field: --replicas"),
    **dict.fromkeys(("dropout", "device", "gpu", "cuda", "dtype", "precision", "bias", "compile",
                     "eps", "epsilon", "nesterov", "amsgrad", "labelsmoothing", "activation",
                     "norm", "temperature", "topk", "topp"), _NONE),
}


def checked(name: str, value: Any, default: Any) -> None:
    """Nothing, where a field may hold the value. Raises ConfigError, with what it may hold."""
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise ConfigError(f"{name}={value} is not known; use {', '.join(CHOICES[name])}")
        return
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{name}={value!r} is not a truth value; use true or false")
        return
    if default is None and value is None:
        return
    wants_int = default is None or isinstance(default, int)
    kind = numbers.Integral if wants_int else numbers.Real  # numpy's are such, too
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not is_number or value != value or abs(value) == math.inf:
        raise ConfigError(f"{name}={value!r} is not "
                          f"{'a whole' if wants_int else 'a finite'} number")
    low, high = BOUNDS[name]
    if not low <= value <= high:
        raise ConfigError(f"{name}={value} is out of range; use {low:g} to {high:g}")


def parsed(name: str, text: str, default: Any) -> Any:
    """The value that a text of --set means. Raises ConfigError where it is no number."""
    if name in CHOICES:
        return text.lower().replace("-", "_")
    if isinstance(default, bool):
        return TRUTHS.get(text.lower(), text)
    if default is None and text.lower() in ("none", "null", ""):
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        hint = "; write a space between two fields" if "," in text and "=" in text else ""
        raise ConfigError(f"{name}={text} is not a number{hint}") from None
    whole = number.is_integer() and isinstance(default, int | None)
    return int(number) if whole else number


def short(value: Any) -> str:
    """3e-5 for 0.00003, 0.1 for 0.1, true for True: six digits, for reading."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        mantissa, _, exponent = f"{value:.6e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- names -----------------------------------------------------------------------------------


def known_name(name: str, names: Iterable[str]) -> str:
    """The name, one of the names. Raises ConfigError, with the field that may be meant."""
    if name not in names:
        meant = field_meant(name, names)
        hint = elsewhere(name) or (
            f"did you mean {meant}?" if meant else f"known: {', '.join(names)}")
        raise ConfigError(f"unknown field '{name}'; {hint}")
    return name


def field_meant(word: str, names: Iterable[str]) -> str | None:
    """The field, one of the names, that a word means; None where none is near."""
    plain = _plain(word)
    if plain in ELSEWHERE:
        return None
    known = {_plain(other): name for name, others in MEANINGS.items() for other in others.split()}
    known |= {_plain(name): name for name in names}
    near = [plain] if plain in known else difflib.get_close_matches(plain, known, 1, NEAR)
    return known[near[0]] if near else None


def elsewhere(word: str) -> str | None:
    """Where what is meant is said, if it is no field; None where it may be one."""
    return ELSEWHERE.get(_plain(word))


def _plain(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())
