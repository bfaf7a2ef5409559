"""What decides where several things are wrong: the one that the others follow from."""

import numpy as np

from engine.config import Config
from engine.trace.compare import Deviation
from engine.trace.failure import Failure
from engine.trace.judge import judge
from engine.trace.replay import Past
from engine.trace.state import Odd
from engine.trace.update import Moved
from engine.trace.watch import Seen

WRONG = Deviation("scale", "it is 3 times what its inputs give", 3.0)
INFINITE = Odd("infinite weight", 1, "mlp.down", "one entry")
MOMENT = Odd("optimizer moment", 0, "optimizer.v of attn.qkv", "-1")
FAST = Moved(7, 0.1, 100.0, 0.0, 100.0, False, 0, "attn.qkv")
ODD_START = Odd("initial scale", 0, "attn.proj", "3 times")


def failure(odd: list[Odd], *seen: Seen) -> Failure:
    ids = np.zeros(4, np.int32)
    return Failure(9, odd, [], (ids, ids), list(seen), [], 0, 0.02, norm_is_over=False)


def tensor(name: str, deviation: Deviation | None = None, n_bad: int = 0) -> Seen:
    return Seen("forward", 0, name, 1.0, 1.0, n_bad, None, deviation)


def cause(now: Failure, past: Past) -> str:
    return judge(Config(), now, past).causes[0].partition(":")[0]


def test_a_moment_comes_before_the_weight_it_spoilt_and_that_before_all_that_follows() -> None:
    seen = tensor("norm1", WRONG)
    assert cause(failure([INFINITE], seen), Past(3, [MOMENT])) == "optimizer moment"
    assert cause(failure([INFINITE], seen), Past(3)) == "infinite weight"
    assert cause(failure([], seen), Past(3, [], [FAST])) == "missing scale"
    assert cause(failure([], tensor("norm1")), Past(3, [ODD_START], [FAST])) == "learning rate"
    assert cause(failure([], tensor("norm1")), Past(0, [ODD_START])) == "missing scale"
    assert cause(failure([], tensor("norm1", n_bad=2)), Past(3)) == "learning rate"


def test_where_a_weight_comes_from_is_told() -> None:
    now = failure([INFINITE])
    assert "in the state at step 3" in judge(Config(), now, Past(3, [INFINITE])).causes[0]
    assert "from outside" in judge(Config(), now, Past(3)).causes[0]
    made = Past(3, made=(6, [INFINITE], []))
    assert "so since update 6" in judge(Config(), now, made).causes[0]


def test_an_overflow_is_no_fault_of_an_operation() -> None:
    over = tensor("norm1", Deviation("overflow", "too large"))
    found = judge(Config(), failure([], over, tensor("norm2", n_bad=3)), Past(3))
    assert (found.tensor, found.what) == ("norm1", "left the finite numbers first")


def test_a_token_that_training_itself_made_large_is_no_cause() -> None:
    token = Odd("poisoned token", None, "embed", "id 7", 7, 40)
    now = failure([token], tensor("norm1"))
    slow = Moved(7, 0.1, 1.0, 0.0, 1.0, False, None, "embed")
    assert cause(now, Past(3, [], [slow], is_same=True)) == "learning rate"
    foreign = Moved(7, 0.1, 1.0, 0.0, 1.0, True, None, "embed")
    found = judge(Config(), now, Past(3, [], [slow, foreign], is_same=True))
    assert found.causes[0].endswith("so since step 7, by more than that update gives")
    assert cause(now, Past(3, [], [slow], is_same=False)) == "poisoned token"


def test_a_row_that_updates_could_have_made_is_no_poison() -> None:
    """Where rate and decay together make weights larger at every update, rows stand out by that."""
    row = Odd("poisoned token", None, "embed", "id 3 has a row of size 500", 3, 30, 500.0)
    runaway, past = Config(lr=0.3, weight_decay=10.0), Past(18, [row])
    now = failure([row], tensor("norm1"))
    assert judge(runaway, now, past).causes[0].startswith("learning rate: times weight decay")
    assert cause(now, past) == "poisoned token"  # at a usual rate
    assert judge(runaway, now, Past(3, [row])).causes[0].startswith("poisoned token")
    whole = Odd("infinite weight", None, "embed", "one entry", 3)
    assert judge(runaway, failure([whole]), Past(18)).causes[0].startswith("poisoned token")
    far = Past(10**6, [row])  # beyond any number of a float
    assert judge(runaway, now, far).causes[0].startswith("learning rate")
