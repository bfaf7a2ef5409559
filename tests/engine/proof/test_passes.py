"""Which passes a run makes."""

from engine.config import Config
from engine.proof.passes import Pass, passes_of

CONFIG = Config(batch_size=5, seq_len=16)


def test_replicas_of_unequal_rows_are_each_a_pass() -> None:
    assert [one for one in passes_of(CONFIG, 2) if one.learns] == [
        Pass(3, 16, learns=True), Pass(2, 16, learns=True)]
    assert [one.n_batch for one in passes_of(CONFIG, 64) if one.learns] == [1]


def test_every_window_of_a_slice_is_a_pass_once() -> None:
    windows = [[(0, 64, 16), (1024, 64, 16), (2048, 1, 7)], [(0, 3, 16)]]
    scored = [one for one in passes_of(CONFIG, 1, windows) if not one.learns and one.before is None]
    assert scored == [Pass(64, 16), Pass(3, 16), Pass(1, 7)]
    assert [one for one in passes_of(CONFIG) if not one.learns][0] == Pass(64, 16)
