"""A trainer that goes on from a model with pairs or examples instead of a text.

It is the trainer of any run but for where its parameters begin and what a step minimises, so it
saves, stops and goes on to the same bits as that one does.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from engine.alignment.measure import Measure, changes, divergence, of_pairs
from engine.alignment.objective import Found, Recipe, example_step, pair_step
from engine.alignment.pairs import Pair, batch_of, spell
from engine.config import Config
from engine.errors import Diverged, Left
from engine.model import GPT, Array, Flat
from engine.native import Kernels
from engine.text import Tokenizer
from engine.training import RECENT, Score, Step, Texts, Trainer, parts, shared_zeros

RISEN = 2.0  # times the first loss: a few pairs a step stray far, by chance
TOLD = ("train_accuracy", "train_margin")  # of pairs, means of the last RECENT steps

# What else a model is asked, before and after: (model, params, step, should leave) → measures.
Exam = Callable[[GPT, Flat, int, Callable[[int, int], bool]], Sequence[Measure]]


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
        super().__init__(config, seed, n_steps, texts, n_replicas, kernels)
        self.start, self.recipe, self.exam = lesson.start, lesson.recipe, lesson.exam
        recipe, tokenizer = lesson.recipe, lesson.tokenizer
        self.params.buffer[...] = self.start.buffer
        self._padding = tokenizer.eot_id
        self._pairs, self._held = ([spell(pair, tokenizer, config.seq_len) for pair in side]
                                   for side in (lesson.pairs, lesson.held))
        per_pass = config.batch_size // (2 if recipe.is_pairwise else 1)
        self._per_pass, self._rows = per_pass, parts(per_pass, self.n_replicas)
        n = len(self._pairs) + len(self._held) if recipe.is_pairwise else 0
        # ln ρ of every answer, evaluated once; rows of those held out come last.
        self.reference = shared_zeros(2 * n, np.float64).reshape(n, 2)
        self._told = shared_zeros(2 * self.n_replicas, np.float64).reshape(self.n_replicas, 2)
        self._order = Order(len(self._pairs), seed)
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
        read = self._order.take(self.step * n, n)
        made = super().advance()
        self._n_read += sum(len(text.ids) - 1 for i in read for text in self._pairs[i])
        if self.recipe.is_pairwise:
            self.recent_told.append((np.sum(self._told, axis=0) / n).tolist())
        return replace(made, tokens=self.tokens)

    def _check_divergence(self) -> None:
        if self.step >= RECENT and self.train_loss > RISEN * self.first_loss + 0.1:
            raise Diverged(f"training loss {self.train_loss:.3f} at step {self.step + 1} is above "
                           f"twice the {self.first_loss:.3f} it started from")

    def _gradient(self, rank: int) -> None:
        rows, config, n = self._rows[rank], self.config, self._per_pass
        total = Found(0.0)
        if rows.start == rows.stop:
            self.grads[rank].buffer[...] = 0.0
        for i in range(config.grad_accum if rows.stop > rows.start else 0):
            position = (int(self._asked[0]) * config.grad_accum + i) * n
            total += self._pass(rank, self._order.take(position, n), rows, i > 0)
        self._losses[rank], self._told[rank] = total.loss, (total.n_right, total.margin)

    def _pass(self, rank: int, chosen: list[int], rows: slice, accumulate: bool) -> Found:
        """This replica's rows of a pass; its loss is a share of the whole step's mean."""
        texts = [self._pairs[i] for i in chosen]
        own, window = texts[rows], self.config.seq_len
        if self.recipe.is_pairwise:
            share = 1.0 / (self._per_pass * self.config.grad_accum)
            batch = batch_of([text for side in zip(*own, strict=True) for text in side], window,
                             self._padding)
            found = pair_step(self.model, self.params, self.grads[rank], batch,
                              self.reference[chosen[rows]], self.recipe, share,
                              accumulate=accumulate)
        else:
            n_scored = sum(len(text.ids) - text.n_given for (text,) in texts)
            share = 1.0 / (n_scored * self.config.grad_accum)
            found = example_step(self.model, self.params, self.grads[rank],
                                 batch_of([text for (text,) in own], window, self._padding), share,
                                 accumulate=accumulate)
        return Found(found.loss * share, found.n_right, found.margin)

    # --- what is measured --------------------------------------------------------------------

    def _measure_start(self) -> None:
        """Evaluate the reference: ln ρ of all answers, the loss on the text, and the exam."""
        if self.recipe.is_pairwise:
            for i, sums in self._log_probabilities(self.start, [*self._pairs, *self._held]):
                self.reference[i] = sums
        measures = [Measure("loss on the text", 0, super().evaluate().nats)]
        if self.exam:
            measures += self.exam(self.model, self.start, 0, self.should_leave)
        self.before = measures

    def _log_probabilities(self, point: Flat,
                           pairs: Sequence[Any]) -> Iterator[tuple[int, Array]]:
        """(index, ln P of chosen and rejected) of each pair; raises Left where it is asked to."""
        for i in range(0, len(pairs), self._per_pass):
            if self.should_leave(i, len(pairs)):
                raise Left(f"the pairs at step {self.step} were left, as asked")
            some = pairs[i : i + self._per_pass]
            batch = batch_of([text for pair in some for text in pair], self.config.seq_len,
                             self._padding)
            sums = batch.sums(self.model.token_losses(point, batch.ids, batch.targets))
            for k, own in enumerate(sums.reshape(-1, 2)):
                yield i + k, own

    def _of_held(self) -> list[Measure]:
        """What the held-out pairs say of the model as it is now; nothing of examples."""
        if not self.recipe.is_pairwise:
            return []
        point = self.evaluation_params()
        now = np.array([sums for _, sums in self._log_probabilities(point, self._held)])
        found = of_pairs(self.step, self.reference[len(self._pairs):], now, self.recipe.beta,
                         self.seed)
        return [*found, Measure("KL to the start", self.step, self._kl())]

    def evaluate(self, shard: str | None = None) -> Score:
        """The score on the text, as any run has it; held-out pairs are looked at, too."""
        score = super().evaluate(shard)
        if shard is None and self.before is not None:
            self._news = {one.name.replace(" ", "_"): one.value for one in self._of_held()}
        return score

    def _kl(self) -> float:
        """Nats a token that the model's next token is from the reference's, on held-out answers."""
        point, found = self.evaluation_params(), []
        for i in range(0, len(self._held), self._per_pass):
            texts = [text for pair in self._held[i : i + self._per_pass] for text in pair]
            found.append(divergence(self.model, point, self.start, batch_of(
                texts, self.config.seq_len, self._padding)))
        return float(np.mean(np.concatenate(found)))

    def told(self) -> dict[str, float]:
        if not self.recent_told:
            return self._news
        means = np.mean(self.recent_told, axis=0).tolist()
        return dict(zip(TOLD, means, strict=True)) | self._news

    def findings(self, score: Score) -> list[Measure]:
        """All that was measured before, and the same of the model as it is now."""
        assert self.before is not None  # a step was made
        found = [*self.before, Measure("loss on the text", self.step, score.nats),
                 *self._of_held()]
        if self.exam:
            asked = self.exam(self.model, self.evaluation_params(), self.step, self.should_leave)
            found += [*asked, *changes(self.before, asked, self.seed)]
        return found

    # --- saving and resuming -----------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        return super().arrays() | {"alignment.reference": self.reference}

    def scalars(self) -> dict[str, Any]:
        before = None if self.before is None else [*map(asdict, self.before)]
        return super().scalars() | {"recent_told": list(self.recent_told), "before": before,
                                    "news": self._news, "n_read": self._n_read}

    def restore(self, arrays: dict[str, Array], scalars: dict[str, Any]) -> None:
        super().restore(arrays, scalars)
        self.recent_told = deque(scalars["recent_told"], maxlen=RECENT)
        before = scalars["before"]
        self.before = None if before is None else [
            Measure(**one | {"values": tuple(one["values"])}) for one in before]
        self._news, self._n_read = scalars["news"], scalars["n_read"]


class Order:
    """Which thing comes when: all of them once an epoch, each epoch in an order of its own."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.seed = n, seed
        self._epoch, self._shuffled = -1, np.empty(0, np.int64)

    def take(self, position: int, n: int) -> list[int]:
        """Indices at positions position, position + 1, … since the start of training."""
        return [self._at(position + i) for i in range(n)]

    def _at(self, position: int) -> int:
        epoch, index = divmod(position, self.n)
        if epoch != self._epoch:
            self._shuffled = np.random.default_rng([self.seed, 1, epoch]).permutation(self.n)
            self._epoch = epoch
        return int(self._shuffled[index])
