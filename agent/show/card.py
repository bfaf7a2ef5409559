"""The card of an exported model: Markdown that says what it is, how good, and how it was found."""

import re
from collections.abc import Iterable, Iterator, Sequence

from agent import words
from agent.analysis import CardFacts, Step
from agent.ledger import Corpus, Run
from agent.show.status import ladder
from engine.config import Config

USE = {
    "hf": """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = (kind.from_pretrained(".") for kind in (AutoModelForCausalLM, AutoTokenizer))
start = tokenizer("<|endoftext|>Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**start, max_new_tokens=60, do_sample=True)[0]))
```

`agent import-model .` takes it into a home of phi-auto again.""",
    "gguf": """\
```
llama-completion -m model.gguf -p "<|endoftext|>Once upon a time" -n 60 -no-cnv
```""",
    "npz": """\
```python
import numpy as np
arrays = np.load("model.npz")
print({name: arrays[name].shape for name in arrays.files})
```

What is computed with them is in engine/README.md of phi-auto.

`config.json` has the configuration, `tokenizer.json` the merges: token 0 ends a text, 1 to 256 are
bytes in GPT-2's order, 257 + k is the k-th merge of two ids.""",
}
NOT_SAID = "unknown"
SIGNS = re.compile(r"[\\`*\[\]~|]|(?<!\w)_|_(?!\w)")  # of Markdown; a _ between letters is none
# What a paragraph may not begin with: 1. and 1), #, >, a line of = or -, and the signs of a list.
STARTS = re.compile(r"^(\d*)([.)](?=\s|$)|(?<!\d)(?:[#>=]|[-+](?![\w.])))")
OWN_TEXTS = ("builtin", "sums")  # sources that the program wrote itself
# What the hub reads of a card.
FRONT = """\
---
library_name: transformers
pipeline_tag: text-generation
license: unknown
---

"""


def model_card(facts: CardFacts, config: Config, to: str, step: int) -> str:
    """The README.md of an exported model.

    to    format: hf, gguf or npz
    step  of the checkpoint that was exported
    """
    run, fields = facts.run, config.to_dict()
    if run.source == "published":  # of how it was trained nothing is known
        fields = {name: value for name, value in fields.items() if name in run.config}
    parts = [f"{FRONT if to == 'hf' else ''}# {_told(run.label)}: {_told(run.config_text)}",
             _what(run, config, step),
             "## Use it", USE[to], *_limits(config),
             "## How good it is", *_score(facts),
             "## Its text", *_text(facts.corpus),
             "## How it was found", *_found(facts),
             "## Configuration", *([f"Hash `{run.config_hash}`."] if run.config_hash else []),
             _table(("field", "value"), fields.items())]
    return "\n\n".join(parts) + "\n"


def _what(run: Run, config: Config, step: int) -> str:
    seed = "" if run.seed is None else f", seed {run.seed}"
    device = f" on {_told(run.device)}" if run.device else ""
    code = f", code {_told(run.code_version)}" if run.code_version else ""
    if run.source == "published":
        return f"A language model of {config.n_params:,} parameters that phi-auto was given."
    return (f"A language model of {config.n_params:,} parameters, trained from scratch by phi-auto"
            f"{device}{seed}{code}. This is its state after {step:,} steps; run `{run.uid}`.")


def _limits(config: Config) -> list[str]:
    return [f"It begins every text with `<|endoftext|>`, and was trained on windows of "
            f"{config.seq_len:,} tokens: beyond them it has seen nothing. It was trained on one "
            "text and follows no instructions."]


def _score(facts: CardFacts) -> Iterator[str]:
    run = facts.run
    if run.val_bpb is None or facts.mean_bpb is None:
        yield "Its loss was not measured here."
        return
    yield (f"On the held-out text that the search used: **{run.val_bpb:.4f} bits per byte**, "
           f"{words.decimal(run.val_loss, 4)} nats per token.")
    n = len(facts.scores_bpb)
    if facts.low_bpb is not None:
        yield (f"Over {n} seeds of this configuration: {facts.mean_bpb:.4f} bits per byte, 95 % "
               f"interval of the mean {facts.low_bpb:.4f} to {facts.high_bpb:.4f}.")
    elif facts.noise_bpb is not None:
        yield ("One seed was run, so there is no interval; runs of one configuration vary here "
               f"with a standard deviation of {facts.noise_bpb:.4f} over seeds.")
    else:
        yield "One seed was run, so there is no interval."
    if facts.n_tried > n and run.strategy != "baseline":  # which nobody chose
        yield (f"It was chosen among {facts.n_tried} runs on this very text: its own score there "
               "flatters it.")
    apart = [f"{title} {value:.4f}" for title, value in (
        ("the text that confirms", run.confirm_bpb), ("the text that decides nothing",
                                                      run.test_bpb)) if value is not None]
    if apart:
        yield f"Bits per byte on text that did not choose it: {', '.join(apart)}."
    marks = [(mark.name, words.decimal(mark.nats, 4), words.decimal(mark.bpb, 4))
             for mark in ladder(facts.corpus)]
    if marks:
        yield _table(("yardstick", "nats/token", "bits/byte"), marks)


def _text(corpus: Corpus | None) -> Iterator[str]:
    if corpus is None:
        yield f"Which text it was trained on is {NOT_SAID}, and so is the licence of that text."
        return
    yield (f"{_told(corpus.name)} ({_told(corpus.source)}), "
           f"{words.count(corpus.n_tokens_train)} tokens of {corpus.vocab_size:,} kinds in "
           f"{words.count(corpus.n_stories_train)} stories.")
    yield _table(("of", "SHA-256"), [("text", corpus.text_sha256),
                                     ("tokenizer", corpus.tokenizer_sha256)])
    if corpus.source in OWN_TEXTS:
        yield ("The program that wrote this card wrote that text, too, and gives it under its own "
               "licence.")
        return
    yield (f"The licence of that text is {NOT_SAID} to the program that wrote this card, and with "
           "it what may be done with the model: ask where the text came from.")


def _found(facts: CardFacts) -> Iterator[str]:
    run = facts.run
    if run.source == "published":
        yield "It was not trained here, and who trained it, and how, is not known."
        return
    verdict = f" Verdict: {_told(facts.verdict)}." if facts.verdict else ""
    yield f"{_told(run.strategy)}: {_told(run.reason or 'no reason was given')}.{verdict}"
    steps = facts.lineage.steps
    if len(steps) > 1:
        yield "The steps that led to it, each against the one before; gains in bits per byte:"
        yield _table(("run", "verdict", "changed", "seeds", "gain", "fresh seeds say"),
                     map(_step, steps))


def _step(step: Step) -> Sequence[str]:
    gain = step.gain
    told = "" if gain is None else f"{gain.bpb:+.4f}" + (
        "" if gain.low is None or gain.high is None else f" ({gain.low:+.4f} to {gain.high:+.4f})")
    return (step.run.label, step.verdict, step.changes or "starting point", str(step.n_seeds), told,
            step.claim or "")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [map(_cell, head), ["---"] * len(head), *(map(_cell, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    """Text that stays in its cell, whatever somebody wrote in it."""
    if value is None or isinstance(value, bool):
        return {None: "default", True: "yes", False: "no"}[value]
    return _told(value, 300)


def _told(text: object, most: int = 160) -> str:
    """Foreign text on one line that stays text: no element of HTML begins in it, no link, picture,
    emphasis or code of Markdown, and at the start of a paragraph no heading, list or quote.
    """
    told = words.one_line(text, most).replace("&", "&amp;").replace("<", "&lt;")
    return STARTS.sub(r"\1\\\2", SIGNS.sub(r"\\\g<0>", told))
