"""A writer goes on from prompts as the sampling it is given says."""

import numpy as np

from engine.alignment.writer import Writer
from engine.config import Config
from engine.model.gpt import GPT, init_params
from engine.sampling import Sampling
from engine.text import Tokenizer

CONFIG = Config(n_embd=16, n_layer=1, n_head=1, n_hidden=8, vocab_size=257, seq_len=32)


def test_every_prompt_begins_a_text_and_the_rest_is_what_the_model_finds_likeliest():
    writer = Writer(GPT(CONFIG), init_params(CONFIG, 0), Tokenizer([]))
    greedy, rng = Sampling(temperature=0.0, top_k=None), np.random.default_rng(0)
    found = writer.after([[5, 6], [], [7]], 3, rng, greedy)
    for prompt, ids in zip(([5, 6], [], [7]), found, strict=True):
        text = [writer.tokenizer.eot_id, *prompt]
        for token in ids:
            logits = writer.model.logits(writer.params, np.array([text], np.int32))
            assert token == int(logits[0, -1].argmax())
            text.append(token)
