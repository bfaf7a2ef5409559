"""What a field of the configuration is called elsewhere, for who types another program's word.

By meaning first, then by letters: a neighbour of another meaning is worse than none.
"""

import difflib
from collections.abc import Iterable

NEAR = 0.75  # of two words' letters have to be the same for one to be a misspelling of the other
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
