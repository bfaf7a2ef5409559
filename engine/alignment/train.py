"""A trainer that goes on from a model with pairs or examples instead of a text.

It is the trainer of any run but for where its parameters begin and what a step minimises, so it
saves, stops and goes on to the same bits as that one does.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.alignment.measure import Measure, changes, divergence, of_pairs
from engine.alignment.objective import Recipe, step
from engine.alignment.pairs import Batch, Pair, Spelt, batch_of, spell
from engine.alignment.writer import Leave, Writer
from engine.config import Config
from engine.errors import Diverged, Left
from engine.model import Array, Flat
from engine.native import Kernels
from engine.text import Tokenizer
from engine.training import RECENT, Score, Step, Texts, Trainer, parts, shared_zeros

RISEN = 2.0  # times the first loss: a few pairs a step stray far, by chance
TOLD = ("train_accuracy", "train_margin")  # of pairs, means of the last RECENT steps

# What else a model is asked, before and after: (writer, step, leave) → measures.
Exam = Callable[[Writer, int, Leave], Sequence[Measure]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a model is to learn, and what of it is measured."""

    start: Flat  # stays as it is: the frozen reference of all losses and measures
    pairs: Sequence[Pair]  # to train on
    held: Sequence[Pair]
    recipe: Recipe
    tokenizer: Tokenizer
    exam: Exam | None = None  # what else is asked of the model, at the start and at the end


class AlignedTrainer(Trainer):
    """Goes on from a model with a lesson; `texts` are any run's, whose loss is measured, too.

    A pass reads config.batch_size texts: half as many pairs, or as many examples.
    """

    def __init__(self, config: Config, seed: int, n_steps: int, texts: Texts, lesson: Lesson,
                 n_replicas: int = 1, kernels: Kernels | None = None) -> None:
        self._per_pass = config.batch_size // (2 if lesson.recipe.is_pairwise else 1)
        super().__init__(config, seed, n_steps, texts, min(n_replicas, self._per_pass), kernels)
        self.lesson, self.recipe, self.start = lesson, lesson.recipe, lesson.start
        self.params.buffer[...] = self.start.buffer
        self._pairs, self._held = ([spell(pair, lesson.tokenizer, config.seq_len) for pair in side]
                                   for side in (lesson.pairs, lesson.held))
        self._rows = parts(self._per_pass, self.n_replicas)
        n = len(self._pairs) + len(self._held) if self.recipe.is_pairwise else 0
        # ln ρ of every answer, evaluated once; rows of those held out come last.
        self.reference = shared_zeros(2 * n, np.float64).reshape(n, 2)
        self._told = shared_zeros(2 * self.n_replicas, np.float64).reshape(self.n_replicas, 2)
        self.recent_told: deque[list[float]] = deque(maxlen=RECENT)
        self.before: list[Measure] | None = None  # of the start
        self._news: dict[str, float] = {}  # of the last evaluation
        self._n_read = 0

    @property
    def tokens(self) -> int:
        """Tokens of all texts that were read, without padding."""
        return self._n_read

    def advance(self) -> Step:
        """Make one update; before the first one the start is measured, once."""
        if self.before is None:
            self._measure_start()
        n = self._per_pass * self.config.grad_accum
        read = self._taken(self.step * n, n)
        made = super().advance()
        self._n_read += sum(len(text.ids) - 1 for i in read for text in self._pairs[i])
        if self.recipe.is_pairwise:
            self.recent_told.append((np.sum(self._told, axis=0) / n).tolist())
        return replace(made, tokens=self.tokens)

    def _check_divergence(self) -> None:
        start = self.first_loss
        if self.before and not self.recipe.is_pairwise:  # a model's own texts cost it little
            start = max(start, self.before[0].value)
        if self.step >= RECENT and self.train_loss > RISEN * start + 0.1:
            raise Diverged(f"training loss {self.train_loss:.3f} at step {self.step + 1} is above "
                           f"twice the {start:.3f} it started from")

    def _taken(self, position: int, n: int) -> list[int]:
        """Which things are at positions position, position + 1, … since the start of training."""
        n_all = len(self._pairs)
        return [int(_order(n_all, self.seed, at // n_all)[at % n_all])
                for at in range(position, position + n)]

    def _gradient(self, rank: int) -> None:
        """Gradient of this replica's rows of each pass; its loss is a share of the step's mean."""
        rows, config, n = self._rows[rank], self.config, self._per_pass
        total = np.zeros(3)
        for i in range(config.grad_accum):
            chosen = self._taken((int(self._asked[0]) * config.grad_accum + i) * n, n)
            texts, reference, n_mean = [self._pairs[k] for k in chosen], None, n
            if self.recipe.is_pairwise:
                reference = self.reference[chosen[rows]]
            else:  # a mean over tokens
                n_mean = sum(len(text.ids) - text.n_given for (text,) in texts)
            share = 1.0 / (n_mean * config.grad_accum)
            sides = zip(*texts[rows], strict=True)  # the chosen first, then the rejected
            total += [share, 1.0, 1.0] * step(
                self.model, self.params, self.grads[rank],
                self._batch([text for side in sides for text in side]), reference, self.recipe,
                share, accumulate=i > 0)
        self._losses[rank], self._told[rank] = total[0], total[1:]

    def _batch(self, texts: Sequence[Spelt]) -> Batch:
        return batch_of(texts, self.config.seq_len, self.lesson.tokenizer.eot_id)

    # --- what is measured --------------------------------------------------------------------

    def _leave(self, done: int, total: int, what: str) -> None:
        self.asks = what
        if self.should_leave(done, total):
            raise Left(f"the {what} at step {self.step} were left, as asked")

    def _measure_start(self) -> None:
        """Evaluate the reference: ln ρ of all answers, the loss on the text, and the exam."""
        if self.recipe.is_pairwise:
            self.reference[...] = self._log_probabilities(self.start, [*self._pairs, *self._held])
        self.before = [Measure("loss on the text", 0, super().evaluate().nats),
                       *self._examined(self.start)]

    def _examined(self, point: Flat) -> Sequence[Measure]:
        exam, writer = self.lesson.exam, Writer(self.model, point, self.lesson.tokenizer)
        return exam(writer, self.step, self._leave) if exam else ()

    def _batches(self, pairs: Sequence[list[Spelt]]) -> Iterator[Batch]:
        """Pair after pair, chosen and rejected beside each other."""
        for i in range(0, len(pairs), self._per_pass):
            self._leave(i, len(pairs), "pairs")
            yield self._batch([text for pair in pairs[i : i + self._per_pass] for text in pair])

    def _log_probabilities(self, point: Flat, pairs: Sequence[list[Spelt]]) -> Array:
        """ln P (n, 2) of chosen and rejected."""
        return np.concatenate([
            batch.sums(self.model.token_losses(point, batch.ids, batch.targets)).reshape(-1, 2)
            for batch in self._batches(pairs)])

    def _of_held(self) -> list[Measure]:
        """What the held-out pairs say of the model as it is now; nothing of examples."""
        if not self.recipe.is_pairwise:
            return []
        point = self.evaluation_params()
        found = of_pairs(self.step, self.reference[len(self._pairs):],
                         self._log_probabilities(point, self._held), self.recipe.beta)
        drift = np.concatenate([divergence(self.model, point, self.start, batch)
                                for batch in self._batches(self._held)])
        return [*found, Measure("KL to the start", self.step, float(np.mean(drift)))]

    def evaluate(self, shard: str | None = None) -> Score:
        """The score on the text, as any run has it; held-out pairs are looked at, too."""
        self.asks = "windows"
        score = super().evaluate(shard)
        if shard is None and self.before is not None:
            self._news = {one.name.replace(" ", "_"): one.value for one in self._of_held()}
        return score

    def told(self) -> dict[str, float]:
        means = np.mean(self.recent_told, axis=0).tolist() if self.recent_told else ()
        return dict(zip(TOLD, means, strict=False)) | self._news

    def findings(self, score: Score) -> list[Measure]:
        """All that was measured before, and the same of the model as it is now."""
        assert self.before is not None  # a step was made
        asked = self._examined(self.evaluation_params())
        return [*self.before, Measure("loss on the text", self.step, score.nats),
                *self._of_held(), *asked, *changes(self.before, asked)]

    # --- saving and resuming -----------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        return super().arrays() | {"alignment.reference": self.reference}

    def scalars(self) -> dict[str, Any]:
        return super().scalars() | {"recent_told": list(self.recent_told), "before": self.before,
                                    "news": self._news, "n_read": self._n_read}

    def restore(self, arrays: dict[str, Array], scalars: dict[str, Any]) -> None:
        super().restore(arrays, scalars)
        self.recent_told = deque(scalars["recent_told"], maxlen=RECENT)
        before = scalars["before"]
        self.before = before and [Measure(*one) for one in before]
        self._news, self._n_read = scalars["news"], scalars["n_read"]


@functools.lru_cache(2)
def _order(n: int, seed: int, epoch: int) -> Array:
    """All of n things once, each epoch in an order of its own."""
    return np.random.default_rng([seed, 1, epoch]).permutation(n)
