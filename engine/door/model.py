"""A trained model as a person holds it in Python: its logits, its loss on a text, its words."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike

from engine.config import Config
from engine.door.spoken import Spoken
from engine.errors import CheckpointError, ConfigError, CorpusError, TokenizerError
from engine.files import find_within
from engine.model import GPT, Array, Flat
from engine.native import NUMPY, Kernels
from engine.sampling import Sampling, Writing
from engine.text import Tokenizer
from engine.training import Score, checkpoint, make_optimizer, score_model, seeded

CHECKPOINT = "checkpoint.npz"  # in the folder of a run
JOB = "job.json"  # beside it; where a checkpoint has no tokenizer in it, this names one


class Model:
    """A GPT with its parameters and its tokenizer.

    config     engine.Config: shape, optimizer and all else it was trained with
    tokenizer  engine.Tokenizer: text to ids and back
    params     named float32 arrays, views into one flat buffer
    step       updates it was trained for
    """

    def __init__(self, config: Config, params: Flat, tokenizer: Tokenizer, step: int = 0,
                 kernels: Kernels | None = None) -> None:
        if tokenizer.vocab_size != config.vocab_size:
            raise TokenizerError(f"the tokenizer has {tokenizer.vocab_size} tokens and the model "
                                 f"{config.vocab_size}; use the one it was trained with")
        self.config, self.tokenizer, self.step = config, tokenizer, step
        self.gpt, self.flat = GPT(config, kernels=kernels), params

    def __repr__(self) -> str:
        return (f"<engine.Model {self.config.describe()}, {self.config.n_params:,} parameters, "
                f"step {self.step:,}>")

    @property
    def params(self) -> dict[str, Array]:
        return self.flat.views

    def logits(self, ids: ArrayLike) -> Array:
        """What the model expects after each token, before the softmax.

        ids      (T,) or (B, T) integers from 0 to V − 1; T is at most config.seq_len
        returns  (T, V) or (B, T, V) float32, in nats: softmax over V gives probabilities

        Raises ConfigError for ids it cannot read.
        """
        given = np.asarray(ids)
        if given.ndim not in (1, 2) or not given.size or given.dtype.kind not in "iu":
            raise ConfigError(f"ids of shape {given.shape} and type {given.dtype} are no tokens; "
                              "give (T,) or (B, T) whole numbers, as model.tokenizer.encode does")
        if given.shape[-1] > self.config.seq_len:
            raise ConfigError(f"{given.shape[-1]} tokens are more than the window of "
                              f"{self.config.seq_len} this model was trained with; give fewer")
        low, high = int(given.min()), int(given.max())
        if low < 0 or high >= self.config.vocab_size:
            raise ConfigError(f"id {low if low < 0 else high} is outside the vocabulary of "
                              f"{self.config.vocab_size}; use this model's tokenizer")
        rows = self.gpt.logits(self.flat, np.atleast_2d(given).astype(np.int32))
        return rows[0] if given.ndim == 1 else rows

    def loss(self, text: str | Sequence[str]) -> Score:
        """How badly the model foretells a text: mean nats a token, bits a byte, and the tokens.

        text  one text, or several: these are parted by end-of-text, which is scored too, as on
              the validation slice of a run

        A text begins after an end-of-text. Windows of config.seq_len tokens follow one another,
        and each begins without memory of the one before. Raises CorpusError where there is
        nothing to score.
        """
        texts = [text] if isinstance(text, str) else list(text)
        n_bytes = sum(len(one.encode("utf-8", "surrogateescape")) for one in texts)
        if not n_bytes:
            raise CorpusError("the text is empty, so there is nothing to score; give some")
        tokens = self.tokenizer.encode_stories(texts)
        if isinstance(text, str):
            tokens = tokens[:-1]  # nothing was said of where a lone text ends
        return score_model(self.gpt, self.flat, tokens, n_bytes)

    @overload
    def generate(self, prompt: str = ..., n_tokens: int = ..., *, seed: int = ...,
                 temperature: float = ..., top_k: int | None = ..., top_p: float | None = ...,
                 repetition_penalty: float = ...) -> str: ...

    @overload
    def generate(self, prompt: list[str], n_tokens: int = ..., *, seed: int = ...,
                 temperature: float = ..., top_k: int | None = ..., top_p: float | None = ...,
                 repetition_penalty: float = ...) -> list[str]: ...

    def generate(self, prompt: str | list[str] = "", n_tokens: int = 120, *, seed: int = 0,
                 temperature: float = 0.8, top_k: int | None = 40, top_p: float | None = None,
                 repetition_penalty: float = 1.0) -> str | list[str]:
        """The prompt and what the model writes after it, up to n_tokens tokens or its end.

        prompt       a text, or several that are continued together, each by itself
        seed         the same seed writes the same text
        temperature  below 1 safer, above 1 wilder, 0 always the likeliest token
        top_k        choose among so many likeliest tokens; None: among all
        top_p        choose among the likeliest that make up this share
        repetition_penalty  above 1 makes tokens that were used less likely

        Raises ConfigError for settings out of range, Diverged where the weights are not numbers.
        """
        prompts = [prompt] if isinstance(prompt, str) else prompt
        how = Sampling(temperature, top_k, top_p, repetition_penalty)
        found = self.write(prompts, n_tokens, seed=seed, sampling=how)
        texts = [one + new for one, new in zip(prompts, found, strict=True)]
        return texts[0] if isinstance(prompt, str) else texts

    def write(self, prompts: Sequence[str], n_tokens: int = 120, *, seed: int = 0,
              sampling: Sampling | None = None, stop: Sequence[str] = (),
              heard: Callable[[int, str], object] | None = None) -> list[str]:
        """What the model writes after each prompt, heard while it is written.

        stop   texts before the first of which a continuation ends
        heard  told the index of a prompt and the next piece of its continuation; characters are
               whole, and what may be the beginning of a stop waits until it is none

        The same texts as `generate` gives, without the prompts; raises what that raises.
        """
        spoken = [Spoken(self.tokenizer, stop) for _ in prompts]
        starts = [[self.tokenizer.eot_id, *self.tokenizer.encode(one)] for one in prompts]
        writing = Writing(self.gpt, self.flat, starts, n_tokens, seeded(seed, self.step),
                          eot_id=self.tokenizer.eot_id, sampling=sampling)
        for new in writing:
            for i, token in enumerate(new):
                piece = spoken[i].add(token) if token is not None else ""
                if heard and piece:
                    heard(i, piece)
                if spoken[i].has_stopped:
                    writing.is_open[i] = False
        for i, one in enumerate(spoken):
            if (rest := one.end()) and heard:
                heard(i, rest)
        return [one.text for one in spoken]

    @classmethod
    def from_checkpoint(cls, arrays: Mapping[str, Array], scalars: Mapping[str, Any],
                        tokenizer: Tokenizer, kernels: Kernels | None = None) -> Self:
        """The model at the point where its optimizer evaluates."""
        config = Config.from_dict(scalars["config"])
        return cls(config, evaluation_params(config, arrays, scalars), tokenizer, scalars["step"],
                   kernels)


def load(path: Path | str, tokenizer: Tokenizer | Path | str | None = None,
         kernels: Kernels | None = None) -> Model:
    """The model of a run: `agent path RUN` prints where it lies.

    path       a run's folder, or a checkpoint (.npz); a torn one is passed over for the one before
    tokenizer  needed only where neither the checkpoint nor the job.json beside it tells which
    kernels    that compute it (engine.native); without a word those that are usual here

    Nothing is unpickled. Raises CheckpointError or TokenizerError where there is no whole model.
    """
    path = Path(path).expanduser()
    place = path / CHECKPOINT if path.is_dir() else path
    saved = checkpoint.load_newest(place)
    if saved is None:
        raise CheckpointError(f"there is no checkpoint at {place}; `agent path RUN` prints where "
                              "the model of a run lies")
    arrays, scalars = saved
    try:
        return Model.from_checkpoint(arrays, scalars, _tokenizer(place, scalars, tokenizer),
                                     kernels)
    except (KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{place} is no checkpoint of a training: {error}") from error


def _tokenizer(place: Path, scalars: Mapping[str, Any],
               given: Tokenizer | Path | str | None) -> Tokenizer:
    """The one handed over, that within the checkpoint, or the one its job names."""
    if isinstance(given, Tokenizer):
        return given
    if given is not None:
        return Tokenizer.load(Path(given).expanduser())
    if "tokenizer" in scalars:
        return Tokenizer.parse(str(scalars["tokenizer"]).encode(), f"the tokenizer in {place}")
    named = _named_in_job(place.with_name(JOB))
    if named is None or not named.exists():
        told = f" ({named}, named in its {JOB}, is gone)" if named else ""
        raise TokenizerError(f"{place} tells no tokenizer{told}; give it: "
                             "engine.load(path, tokenizer=FILE)")
    return Tokenizer.load(named)


def _named_in_job(job: Path) -> Path | None:
    """Checkpoints of before version 0.2 leave it to the job to name the tokenizer."""
    try:
        named = json.loads(job.read_bytes())["tokenizer"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    folder = job.absolute().parent
    home = folder.parent.parent  # runs lie two folders below it, texts beside them
    return find_within(home, folder, named) if isinstance(named, str) else None


def evaluation_params(config: Config, arrays: Mapping[str, Array],
                      scalars: Mapping[str, Any]) -> Flat:
    """The parameters to use a model with, from what Trainer.arrays and Trainer.scalars gave.

    CheckpointError where an array is missing or of another shape.
    """
    params, optimizer = Flat.empty(config), make_optimizer(config, kernels=NUMPY)
    wanted = {f"optimizer.{name}": slot for name, slot in optimizer.slots.items()}
    for name, own in {"params": params.buffer, **wanted}.items():
        if name not in arrays or arrays[name].shape != own.shape:
            raise CheckpointError(f"the checkpoint's array '{name}' is missing or of another "
                                  "shape; delete the checkpoint and run the experiment again")
        own[...] = arrays[name]
    optimizer.restore(scalars["optimizer"])
    point = optimizer.evaluation_point(params, out=np.empty_like(params.buffer))
    return Flat.over(config, point)
