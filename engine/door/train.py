"""Training as a person writes it in Python: an iterator of events that can stop and go on."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.config import Config
from engine.door.model import Model
from engine.errors import CheckpointError, ConfigError, CorpusError
from engine.model import Array
from engine.native import NUMPY, named
from engine.text import Tokenizer, copies, parse, read_bytes, separate, splits
from engine.training import (
    Done,
    Eval,
    Step,
    Texts,
    Trainer,
    checkpoint,
    default_eval_every,
    training,
)

Text = str | Path | Iterable[str]
HELD_OUT = 0.1  # of a text that is one story


class Training(Iterator[Step | Eval | Done]):
    """One training under way; iterate to go on, leave the loop to stop.

    model is what it has learnt so far, save keeps all of it, and
    `engine.train(config, text, steps=…, resume=FILE)` goes on from there to the same bits.
    """

    def __init__(self, trainer: Trainer, tokenizer: Tokenizer, eval_every: int | None) -> None:
        self._trainer, self.tokenizer = trainer, tokenizer
        self._events = training(trainer, eval_every)

    def __next__(self) -> Step | Eval | Done:
        return next(self._events)

    @property
    def config(self) -> Config:
        return self._trainer.config

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._trainer.step

    @property
    def model(self) -> Model:
        """A copy of what has been learnt so far, at the point where the optimizer evaluates."""
        return Model.from_checkpoint(self._trainer.arrays(), self._trainer.scalars(),
                                     self.tokenizer, self._trainer.kernels)

    def save(self, path: Path | str) -> Path:
        """Write a checkpoint that engine.load reads and `resume` goes on from; its path."""
        path = Path(path)
        if path.suffix != ".npz":
            raise ConfigError(f"{path} does not end in .npz, as a checkpoint does; name it "
                              f"{path.name}.npz")
        scalars = self._trainer.scalars() | {"tokenizer": self.tokenizer.json,
                                             "kernels": self._trainer.kernels.name}
        checkpoint.save(path, self._trainer.arrays(), scalars)
        return path

    def close(self) -> None:
        """End the processes that share the training; nothing that was saved is lost."""
        self._trainer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def train(config: Config, text: Text, *,  # noqa: PLR0913  # all but two are named, with defaults
          steps: int, valid: Text | None = None, seed: int = 0, tokenizer: Tokenizer | None = None,
          eval_every: int | None = None, replicas: int = 1,
          resume: Path | str | None = None) -> Training:
    """Train a model from scratch: an iterator of Step, Eval and, last, Done.

    text        a text, a .txt or .jsonl file as a Path, or stories; <|endoftext|> parts stories
    steps       updates in all; the schedule of the learning rate knows its end from the start
    valid       text to score on; None: a tenth is held out of `text`
    tokenizer   None: one of config.vocab_size tokens is trained on the text
    eval_every  steps between two evaluations; None: as often as a tenth of the time pays for
    replicas    processes that share each batch
    resume      a checkpoint of this very training; the same text and seed are needed again, and
                the kernels it was computed by

    Losses are nats a token, and bits a byte of the held-out text. The same arguments give the
    same losses; bit for bit where the number of BLAS threads is the same. Raises ConfigError,
    CorpusError or TokenizerError for what cannot be trained, Diverged where the loss runs away.
    """
    if steps < 1:
        raise ConfigError(f"steps={steps} trains nothing; give 1 or more")
    saved = None if resume is None else _saved(Path(resume))
    config = config if saved is None else _as_begun(config, saved[1]["config"])
    stories, held = _split(_stories(text), None if valid is None else _stories(valid))
    tokenizer = tokenizer or Tokenizer.train(stories, config.vocab_size)
    if tokenizer.vocab_size != config.vocab_size:
        raise ConfigError(f"vocab_size={config.vocab_size} is not the {tokenizer.vocab_size} of "
                          "the tokenizer; give them the same")
    tokens = tokenizer.encode_stories(held)
    texts = Texts(tokenizer.encode_stories(stories), tokens,
                  sum(len(story.encode()) for story in held), separator=tokenizer.eot_id)
    kernels = None if saved is None else named(str(saved[1].get("kernels", NUMPY.name)))
    trainer = Trainer(config, seed, steps, texts, replicas, kernels)
    if saved is not None:
        trainer.restore(*saved)
    return Training(trainer, tokenizer,
                    eval_every or default_eval_every(config, steps, tokens.size))


def _saved(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    saved = checkpoint.load_newest(path)
    if saved is None:
        raise CheckpointError(f"there is no checkpoint at {path} to resume; leave resume out to "
                              "begin anew")
    return saved


def _as_begun(config: Config, saved: Mapping[str, Any]) -> Config:
    """The configuration with the order of the text that the training began with, unless another
    than the usual one is asked for.
    """
    is_usual = config.data_order == Config().data_order
    order = Config.from_dict(saved).data_order if is_usual else config.data_order
    return dataclasses.replace(config, data_order=order)


def _stories(text: Text) -> list[str]:
    if isinstance(text, Path):
        return parse(read_bytes(text), text)
    found = separate(text) if isinstance(text, str) else [one for one in text if one.strip()]
    if not found:
        raise CorpusError("the text is empty, so there is nothing to train on; give some")
    return found


def _split(stories: list[str], valid: list[str] | None) -> tuple[list[str], list[str]]:
    """What is trained on and what is scored; of one long story the end is held out."""
    if valid is not None:
        return stories, valid
    if len(stories) >= 4:
        different = copies.firsts(stories)  # no copy of what is held out is trained on
        train, held = splits.hold_out(different if len(different) >= 4 else stories)
        return (list(train) if len(different) == len(stories)
                else copies.without(stories, held) or list(train)), list(held)
    whole = "\n\n".join(stories)
    at = int(len(whole) * (1 - HELD_OUT))
    marks = (whole.find(mark, at) for mark in ("\n\n", "\n", " "))
    cut = next((place for place in marks if place > 0), at)
    train_text, held_text = whole[:cut].strip(), whole[cut:].strip()
    if not (train_text and held_text):
        raise CorpusError(f"a text of {len(whole)} characters is too short to hold a tenth of it "
                          "out; give more, or give valid=")
    return [train_text], [held_text]
