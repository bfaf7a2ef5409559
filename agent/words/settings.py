"""What the fields of a configuration and the strategies mean, one sentence each."""

from collections.abc import Mapping

from engine.fields import TITLES

_MEANINGS: Mapping[str, str] = {
    "n_embd": "numbers that stand for a token between the layers",
    "n_layer": "blocks one behind the other, each a mixer and a hidden layer",
    "n_head": "parts of the width that look back by themselves",
    "n_hidden": "numbers in a block's hidden layer; 4 times the width unless given",
    "vocab_size": "how many different tokens the text is cut into",
    "seq_len": "tokens that the model reads at once",
    "tied": "whether the output uses the numbers of the token table again",
    "rope_base": "how slowly positions turn; more for longer windows",
    "batch_size": "windows in one pass of a step",
    "grad_accum": "passes whose gradients are summed for one step",
    "optimizer": "how a gradient becomes a change of the weights: adamw, lion, schedule_free, muon",
    "lr": "how large a step is where it is largest",
    "schedule": "how the learning rate falls: cosine; wsd, first flat and then down; constant, "
                "not at all",
    "warmup_frac": "the first part of a run, in which the learning rate rises from nothing",
    "decay_frac": "the last part of a run, in which wsd lets the learning rate fall",
    "min_lr_frac": "what is left of the learning rate at the end",
    "weight_decay": "how strongly weights are drawn to zero",
    "beta1": "how long the optimizer remembers gradients: nearer to 1 is longer",
    "beta2": "how long the optimizer remembers how large gradients were",
    "clip": "a gradient that is longer is cut to this length",
    "n_kv_head": "heads of keys and values, each shared by some heads of queries",
    "mixer": "how a token hears of those before it: attention, or rwkv, a recurrence",
    "cautious_decay": "weights decay only where the step goes to zero, too",
    "scheduled_decay": "weight decay falls as the learning rate does",
    "data_order": "circular joins the end of the text to its beginning, linear leaves out the "
                  "rest of a pass",
    "shuffle_stories": "whether stories come in another order each pass",
    "residual_scalars": "two learned numbers a block: what came in so far, and the first input, "
                        "are scaled by them",
    "bigram_buckets": "rows of a table of token pairs that is added to the input; 0 is none",
    "qk_norm": "whether queries and keys of attention are scaled to one length",
}

# By name: as the screen has it, and the meaning.
FIELDS: Mapping[str, tuple[str, str]] = {
    name: (TITLES[name], meaning) for name, meaning in _MEANINGS.items()}

IDEAS: Mapping[str, str] = {
    "efficiency": "a strategy that tries the same quality for less: shape, batch, vocabulary, head",
    "learning_rate": "a strategy that closes in on the best rate, then on its schedule",
    "random": "a strategy that changes one to three fields by a step each",
    "scale_down": "a strategy that makes the model narrower or shallower by a step",
    "scale_up": "a strategy that makes the model wider or deeper by a step",
    "sequence_length": "a strategy of longer or shorter windows at about the same tokens a step",
    "tpe": "a strategy that draws near what scored best and away from the rest",
}
