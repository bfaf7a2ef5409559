"""The floor of a training step: its matrix products alone, spread perfectly over the processes."""


import numpy as np

from engine.bench.clock import seconds
from engine.blocks import attention_blocks, padded, time_chunk
from engine.config import Config
from engine.model import Array
from engine.training import Team, parts


class Floor:
    """The matrix products of one step and nothing else, on as many processes as the step.

    Products of one shape share their operands, so that nothing is read cold that a step has warm.
    """

    def __init__(self, config: Config, n_replicas: int) -> None:
        rng = np.random.default_rng(0)
        operands: dict[tuple[int, int, int, int], tuple[Array, Array, Array]] = {}
        self.products: list[list[tuple[Array, Array, Array]]] = []
        for rows in parts(config.batch_size, n_replicas):
            shapes = step_products(config, rows.stop - rows.start)
            for shape in shapes:
                if shape not in operands:
                    operands[shape] = _operands(rng, *shape)
            self.products.append([operands[shape] for shape in shapes])
        self.team = Team(n_replicas, [self._all])

    def _all(self, rank: int) -> None:
        for a, b, out in self.products[rank]:
            np.matmul(a, b, out=out)

    def steps(self, n: int) -> list[float]:
        """Seconds of each of n times all products."""
        return [seconds(lambda: self.team.run(0)) for _ in range(n)]

    def close(self) -> None:
        self.team.close()


def step_products(config: Config, n_batch: int) -> list[tuple[int, int, int, int]]:
    """(how many, rows, inner, columns) of every matrix product of a step on n_batch sequences.

    Each weight W (m, k) with n tokens takes three: forward, by the weight, by the input. Causal
    attention takes six a block of queries; making its scores again for backward is not needed
    by the mathematics, so it is not in the floor. RWKV takes twelve a chunk.
    """
    n, d, found = n_batch * config.seq_len, config.head_size, []
    weights = [shape for name, shape in config.shapes().items()
               if name.startswith("block") and len(shape) == 2]
    for m, k in [*weights, (config.vocab_size, config.n_embd)]:
        found += [(1, m, k, n), (1, m, n, k), (1, n, m, k)]
    if config.mixer == "rwkv":
        k = time_chunk(config.seq_len)
        many = config.n_layer * config.n_head * n_batch * padded(config.seq_len) // k
        return found + 3 * [(many, d, k, d), (many, k, d, d), (many, k, d, k), (many, k, k, d)]
    for rows, times in attention_blocks(n_batch, config.n_head, config.seq_len, 0) * config.n_layer:
        many, queries = config.n_head * (rows.stop - rows.start), times.stop - times.start
        keys = times.stop
        found += [(many, keys, d, queries), (many, d, keys, queries), (many, d, queries, keys),
                  (many, queries, d, keys), (many, queries, keys, d), (many, d, queries, keys)]
    return found


def _operands(rng: np.random.Generator, many: int, m: int, k: int,
              n: int) -> tuple[Array, Array, Array]:
    lead = () if many == 1 else (many,)
    a, b = (rng.standard_normal((*lead, *shape), dtype=np.float32) for shape in ((m, k), (k, n)))
    return a, b, np.empty((*lead, m, n), np.float32)


