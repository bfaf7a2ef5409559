"""The training loop: a trainer that can stop anywhere, and the events it yields.

It reads no clock and writes no file; who runs it decides when to save and what to show.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np

from engine.config import EARLIER, Config
from engine.errors import CheckpointError, Diverged, Left
from engine.model import GPT, Array, Flat, Watch, init_params
from engine.native import NUMPY, Kernels
from engine.training.data import Batches
from engine.training.evaluate import Score, nats_in, score_of, sum_blocks, sum_nats, windows
from engine.training.optim import learning_rate, make_optimizer, shares, sum_gradients
from engine.training.parallel import Team, parts, shared_zeros

GRADIENT, REDUCE, UPDATE, SCORE = range(4)  # phases of a team
RECENT = 20  # training losses that are averaged for the log and for the divergence check
DIVERGED_ABOVE = 1.02  # times the first loss: a mean of 20 batches strays under 1 % by chance


@dataclass(frozen=True, slots=True)
class Step:
    """One update has been made."""

    step: int  # updates so far
    tokens: int  # training tokens so far
    loss: float  # nats a token, mean of the last RECENT batches
    lr: float
    grad_norm: float  # before clipping


@dataclass(frozen=True, slots=True)
class Eval:
    """The validation slice has been scored at the optimizer's evaluation point."""

    step: int
    tokens: int
    score: Score


@dataclass(frozen=True, slots=True)
class Done:
    """All steps are made; score is that of the last Eval."""

    step: int
    tokens: int
    train_loss: float
    score: Score


@dataclass(frozen=True, slots=True)
class Shard:
    """A slice that can be scored: token ids (n,), and the bytes that tokens[1:] spell."""

    tokens: Array
    n_bytes: int
    edges: tuple[int, ...] = ()  # of blocks that are scored one by one, too: engine/text/cut.py


@dataclass(frozen=True, slots=True)
class Texts:
    """What a run reads: token ids (n,), and the bytes that valid[1:] spell."""

    train: Array
    valid: Array
    n_valid_bytes: int
    shards: Mapping[str, Shard] = field(default_factory=dict)  # scored only when named
    separator: int = 0  # the token that stories begin with: engine/text's eot_id


class Trainer:
    """Parameters, optimizer and position of one run; every step is a function of these alone.

    With several replicas each computes the gradient of some rows of the batch, then sums and
    updates a part of the parameters. What a step gives depends on n_replicas by rounding alone,
    and for the same n_replicas not at all.
    """

    def __init__(self, config: Config, seed: int, n_steps: int, texts: Texts,
                 n_replicas: int = 1, kernels: Kernels | None = None) -> None:
        self.config, self.seed, self.n_steps, self.texts = config, seed, n_steps, texts
        n = self.n_replicas = max(1, min(n_replicas, config.batch_size))
        self.team = Team(n, (self._gradient, self._reduce, self._update, self._score))
        self.model = GPT(config, kernels=kernels)
        self.kernels = self.model.workspace.kernels or NUMPY  # that it is computed by
        self.params = init_params(config, seed, params=Flat.over(
            config, shared_zeros(config.n_params)))
        self.grads = [Flat.over(config, shared_zeros(config.n_params)) for _ in range(n)]
        self._fresh = partial(make_optimizer, config, shared_zeros, kernels)
        self.optimizer = self._fresh()
        self.batches = Batches(texts.train, config.seq_len, seed, config.data_order,
                               texts.separator if config.shuffle_stories else None)
        self._shards = [Shard(texts.valid, texts.n_valid_bytes), *texts.shards.values()]
        self.windows = [windows(one.tokens.size, config.seq_len) for one in self._shards]
        self._rows, self._parts = parts(config.batch_size, n), parts(config.n_params, n)
        self._shares = shares(config, n)
        # What the leader and its replicas tell each other beside parameters and gradients.
        self._asked = shared_zeros(3, np.float64)  # step, learning rate, gradient scale
        self._losses, self._squares = shared_zeros(n, np.float64), shared_zeros(n, np.float64)
        n_edges = max(len(one.edges) for one in self._shards)
        shape = len(self._shards), max(map(len, self.windows))
        self._totals = shared_zeros(math.prod(shape), np.float64).reshape(shape)
        self._by_block = shared_zeros(math.prod(shape) * n_edges, np.float64).reshape(
            *shape, n_edges)
        # Windows scored since the last step: an evaluation that was left goes on behind them.
        self._is_scored = shared_zeros(math.prod(shape), np.bool_).reshape(shape)
        # Index of the shard; whether at an average; whether the evaluation is left.
        self._scored = shared_zeros(3, np.int64)
        # Asked before each window of the leader, told how many are done of how many; the
        # evaluation is left where it says so.
        self.should_leave: Callable[[int, int], bool] = lambda done, total: False
        self.asks = "windows"  # what is counted there
        # Told what the leader computes for the last rows of the next batch, where set.
        self.watch: Watch | None = None
        self.step = 0
        self.first_loss = math.nan
        self.recent: deque[float] = deque(maxlen=RECENT)

    @property
    def tokens(self) -> int:
        return self.step * self.config.tokens_per_step

    @property
    def train_loss(self) -> float:
        return sum(self.recent) / len(self.recent) if self.recent else math.nan

    def gradient(self) -> tuple[float, float]:
        """Loss and norm of the next step's gradient, which grads[0] holds; nothing else moves."""
        self._asked[0] = self.step
        with np.errstate(over="ignore", invalid="ignore"):  # whoever asks looks at them
            self.team.run(GRADIENT)
            self.team.run(REDUCE)
        return float(sum(self._losses)), math.sqrt(sum(self._squares))

    def advance(self) -> Step:
        """Make one update. Raises Diverged, leaving the parameters as they were."""
        loss, norm = self.gradient()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise Diverged(f"loss {loss:g}, gradient norm {norm:g} at step {self.step + 1}")
        self.recent.append(loss)
        if self.step == 0:
            self.first_loss = loss
        self._check_divergence()
        lr = learning_rate(self.config, self.step, self.n_steps)
        self._asked[1:] = lr, min(1.0, self.config.clip / norm) if norm > 0 else 1.0
        self.team.run(UPDATE)
        self.step += 1
        self._is_scored[...] = False
        return Step(self.step, self.tokens, self.train_loss, lr, norm)

    def _check_divergence(self) -> None:
        warm = max(RECENT, round(self.config.warmup_frac * self.n_steps))
        if self.step >= warm and self.train_loss > DIVERGED_ABOVE * self.first_loss:
            raise Diverged(f"training loss {self.train_loss:.2f} at step {self.step + 1} is above "
                           f"the {self.first_loss:.2f} it started from")

    def evaluate(self, shard: str | None = None) -> Score:
        """Score at the optimizer's evaluation point: of the validation slice, or of a named shard.

        Until the next step each window is scored once, also by whoever restores this state.
        Raises Left where `should_leave` said so between two windows.
        """
        index = 0 if shard is None else 1 + list(self.texts.shards).index(shard)
        self._scored[:] = index, self.evaluation_params() is not self.params, False
        with np.errstate(over="ignore", invalid="ignore"):
            self.team.run(SCORE)
        if self._scored[2]:
            raise Left(f"the evaluation at step {self.step} was left, as asked")
        asked, n = self._shards[index], len(self.windows[index])
        by_block = self._by_block[index, :n, : len(asked.edges) - 1] if asked.edges else None
        return score_of(self._totals[index, :n].tolist(), asked.tokens.size, asked.n_bytes,
                        by_block)

    def evaluation_params(self) -> Flat:
        """The parameters a user of this model should have."""
        # The gradient is spent by the time anyone evaluates, so its buffer may hold the average.
        point = self.optimizer.evaluation_point(self.params, out=self.grads[0].buffer)
        return self.params if point is self.params.buffer else self.grads[0]

    def told(self) -> dict[str, float]:
        """What a training tells of a logged step beside its loss: nothing, of one on a text."""
        return {}

    def findings(self, score: Score) -> Sequence[Any]:
        """What it measured beside the score it ends with: nothing, of one on a text."""
        return ()

    def close(self) -> None:
        """Let the replicas go."""
        self.team.close()

    # --- phases: what each replica computes --------------------------------------------------

    def _gradient(self, rank: int) -> None:
        """Gradient of this replica's rows of the batch, over grad_accum passes."""
        rows, config = self._rows[rank], self.config
        n_rows, loss = rows.stop - rows.start, 0.0
        share = n_rows / config.batch_size / config.grad_accum
        for i in range(config.grad_accum):
            position = (int(self._asked[0]) * config.grad_accum + i) * config.batch_size
            ids, targets = self.batches.take(position + rows.start, n_rows)
            self.model.watch = self.watch if rank == 0 and i == config.grad_accum - 1 else None
            loss += share * self.model.loss_and_gradient(
                self.params, self.grads[rank], ids, targets, share=share, accumulate=i > 0)
        self.model.watch = None
        self._losses[rank] = loss

    def _reduce(self, rank: int) -> None:
        """Sum of all replicas' gradients for this replica's part, and its square."""
        part = self._parts[rank]
        own, *others = (grads.buffer[part] for grads in self.grads)
        self._squares[rank] = sum_gradients(own, others, self.model.workspace)

    def _update(self, rank: int) -> None:
        lr, scale = self._asked[1:].tolist()
        self.optimizer.update(self.params, self.grads[0].buffer, lr, scale, self._shares[rank])

    def _score(self, rank: int) -> None:
        """Every n-th window of the shard that is asked for, until the leader says to leave."""
        index, is_averaged, _ = self._scored
        point, asked = self.grads[0] if is_averaged else self.params, self._shards[index]
        own = range(rank, len(self.windows[index]), self.n_replicas)
        for n_done, i in enumerate(own):
            if rank == 0 and self.should_leave(n_done, len(own)):
                self._scored[2] = True  # replicas look here, too, before their next window
            if self._scored[2]:
                return
            if self._is_scored[index, i]:
                continue
            window = self.windows[index][i]
            nats = nats_in(lambda ids, targets: self.model.token_losses(point, ids, targets),
                           asked.tokens, window)
            self._totals[index, i] = sum_nats(nats)
            if asked.edges:
                self._by_block[index, i, : len(asked.edges) - 1] = sum_blocks(
                    nats, window, asked.edges)
            self._is_scored[index, i] = True

    # --- saving and resuming -----------------------------------------------------------------

    def begin_again(self) -> None:
        """Be as before the first step."""
        self.team.close()
        init_params(self.config, self.seed, params=self.params)
        self.optimizer = self._fresh()
        self.step, self.first_loss = 0, math.nan
        self._is_scored[...] = False
        self.recent.clear()

    def arrays(self) -> dict[str, Array]:
        """Everything a checkpoint must hold, by name; restored in place."""
        slots = {f"optimizer.{name}": slot for name, slot in self.optimizer.slots.items()}
        return {"params": self.params.buffer, **slots}

    def scalars(self) -> dict[str, Any]:
        """The rest: plain values for the checkpoint's JSON part."""
        return {"step": self.step, "n_steps": self.n_steps, "seed": self.seed,
                "config": self.config.to_dict(), "first_loss": self.first_loss,
                "recent": list(self.recent), "optimizer": self.optimizer.scalars(),
                "data_position": self.step * self.config.grad_accum * self.config.batch_size,
                "scored": {"texts": self._marks(), "windows": [
                    [*at, self._totals[*at], self._by_block[*at].tolist()]
                    for at in np.argwhere(self._is_scored).tolist()]} if np.any(
                        self._is_scored) else None}

    def _marks(self) -> list[int]:
        """Of the slices that are scored, by what is in them."""
        return [crc32(one.tokens.tobytes()) for one in self._shards]

    def restore(self, arrays: dict[str, Array], scalars: dict[str, Any]) -> None:
        """Continue from what arrays() and scalars() gave; CheckpointError for another run's."""
        own_values = {**self.config.to_dict(), "seed": self.seed, "n_steps": self.n_steps}
        # Fields that are younger than the checkpoint were what they are without being asked for.
        saved_values = {**scalars, **Config().to_dict(), **EARLIER, **scalars["config"]}
        for name, own in own_values.items():
            if saved_values.get(name) != own:
                raise CheckpointError(f"the checkpoint's {name} is {saved_values.get(name)}, this "
                                      f"run's is {own}; it belongs to another run")
        for name, own_array in self.arrays().items():
            saved = arrays.get(name)
            if saved is None or saved.shape != own_array.shape or saved.dtype != own_array.dtype:
                raise CheckpointError(f"the checkpoint's array '{name}' is missing or of another "
                                      "shape; delete the checkpoint to start the run again")
        self.team.close()  # the next replicas are forked with the optimizer's restored numbers
        for name, own_array in self.arrays().items():
            own_array[...] = arrays[name]
        self.optimizer.restore(scalars["optimizer"])
        self.step, self.first_loss = scalars["step"], scalars["first_loss"]
        self.recent = deque(scalars["recent"], maxlen=RECENT)
        self._is_scored[...] = False
        scored = scalars.get("scored")  # None also of an older checkpoint
        if scored and scored["texts"] == self._marks():
            for *at, total, by_block in scored["windows"]:
                self._totals[*at], self._by_block[*at], self._is_scored[*at] = total, by_block, True


def training(trainer: Trainer, eval_every: int | None,
          rung_step: int | None = None) -> Iterator[Step | Eval | Done]:
    """Run to the last step: a Step each, an Eval every eval_every steps and at the end, Done.

    rung_step, where given, is evaluated after too, whether or not its turn has come.

    A trainer restored at a step that was due for evaluation evaluates there again, but for what
    is scored already, since the one that was under way may have been lost.
    """
    def is_due() -> bool:
        return trainer.step in (rung_step, trainer.n_steps) or bool(
            eval_every and trainer.step and trainer.step % eval_every == 0)

    score: Score | None = None
    if is_due():
        score = trainer.evaluate()
        yield Eval(trainer.step, trainer.tokens, score)
    while trainer.step < trainer.n_steps:
        yield trainer.advance()
        if is_due():
            score = trainer.evaluate()
            yield Eval(trainer.step, trainer.tokens, score)
    assert score is not None  # is_due holds at the last step
    if not math.isfinite(score.nats):
        raise Diverged(f"validation loss {score.nats:g} after the last step")
    yield Done(trainer.step, trainer.tokens, trainer.train_loss, score)


def seeded(seed: int, step: int) -> np.random.Generator:
    """The generator for samples drawn at a step; independent of initialisation and data order."""
    return np.random.default_rng([seed, 2, step])
