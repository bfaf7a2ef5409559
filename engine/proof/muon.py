"""The matrix products of Muon's update: a matrix by its own transpose, and squares beside it."""

from collections.abc import Iterator

from engine.blocks import matrices
from engine.config import Config
from engine.proof.operands import Pool, Product, cut


def of_muon(config: Config, pool: Pool) -> Iterator[Product]:
    """What makes the matrices of a block orthogonal, each shape once."""
    for shape in dict.fromkeys((one.rows, one.columns) for one in matrices(config)):
        n, m, _ = cut(min(shape), max(shape), min(shape))
        is_wide = shape[0] <= shape[1]
        x = pool.operand(n, m) if is_wide else pool.operand(m, n)
        gram, power = pool.operand(n, n), pool.operand(n, n)
        yield Product(*((x, x.T) if is_wide else (x.T, x)), pool.result(n, n))
        yield Product(gram, gram.T, pool.result(n, n))
        yield Product(*((power, x) if is_wide else (x, power)), pool.result(*x.shape))
