"""Replicas give the run of one process, the same bits every time, and never outlive their leader.

A process that forks must have no other thread of ours: tests/conftest.py sees to that.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.config import EVAL_TOKENS, OPTIMIZERS, Config
from engine.errors import Diverged, Left, ReplicaDied
from engine.model.gpt import GPT
from engine.training import checkpoint, parallel
from engine.training.evaluate import nats_in, score_model
from engine.training.parallel import Team, parts, shared_zeros
from engine.training.train import Shard, Step, Texts, Trainer, training
from tests.support.patience import patience

ROOT = Path(__file__).parents[3]
CONFIG = Config(n_embd=16, n_layer=2, n_head=2, n_hidden=20, vocab_size=257, seq_len=16,
                batch_size=5, lr=1e-3)
N_STEPS = 9
OPTIMIZER = pytest.mark.parametrize("optimizer", OPTIMIZERS)
REPLICAS = pytest.mark.parametrize("n", [1, 2, 3])  # five rows: 5, 3 + 2, 2 + 2 + 1
GROUP_SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


def text(n, seed):
    """Tokens that mostly step up by one, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    return (np.cumsum(1 + (rng.random(n) < 0.1) * rng.integers(0, 50, n)) % 257).astype(np.uint16)


# Five windows to score, the last one short: with three replicas two of them score two.
TEXTS = Texts(text(300, 0), text(4 * EVAL_TOKENS + 10, 1), n_valid_bytes=9000)


@pytest.fixture
def trainer():
    """A function that makes trainers, which end with the test."""
    made = []

    def make(n, kind=Trainer, n_steps=N_STEPS, texts=TEXTS, **changes):
        made.append(kind(replace(CONFIG, **changes), 3, n_steps, texts, n))
        return made[-1]

    yield make
    for run in reversed(made):
        run.close()


@pytest.fixture
def team():
    """A function that makes teams, which end with the test."""
    made = []

    def make(n, *phases):
        made.append(Team(n, phases))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()


def has_children():
    """Whether this process has a child, running or not yet waited for."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def state(run):
    """Everything that decides how a run goes on."""
    arrays = {name: array.tobytes() for name, array in run.arrays().items()}
    return arrays, run.scalars(), run.evaluate()


# --- parts and shared memory -----------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 5, 6, 1000])
@pytest.mark.parametrize("n_parts", [1, 2, 3, 7])
def test_parts_cover_everything_once_in_order_and_nearly_evenly(n, n_parts):
    found = parts(n, n_parts)
    sizes = [part.stop - part.start for part in found]
    assert [i for part in found for i in range(part.start, part.stop)] == list(range(n))
    assert len(found) == n_parts
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 100_000])
def test_shared_memory_begins_as_zeros(n, dtype):
    array = shared_zeros(n, dtype)
    assert (array.shape, array.dtype) == ((n,), dtype)
    assert not np.any(array)
    array[...] = 1
    assert np.all(array == 1)


def test_shared_memory_lives_as_long_as_a_view_of_it():
    view = shared_zeros(100_000)[7:].reshape(-1, 3)
    view[...] = 5.0
    assert np.all(view == 5.0)


def test_replicas_write_into_shared_memory_and_into_no_other(team):
    shared, private = shared_zeros(3), np.zeros(3)

    def write(rank):
        shared[rank] = private[rank] = rank + 1

    team(3, write).run(0)
    assert shared.tolist() == [1, 2, 3]
    assert private.tolist() == [1, 0, 0]


# --- a team ----------------------------------------------------------------------------------


def test_a_team_of_one_forks_nothing(team):
    ranks = []
    one = team(1, ranks.append)
    one.run(0)
    one.run(0)
    assert ranks == [0, 0]
    assert one.pids == []
    assert not has_children()


def test_replicas_are_forked_by_the_first_phase_and_then_kept(team):
    seen, base = shared_zeros(2), [0]

    def see(rank):
        seen[rank] += base[0]

    two = team(2, see)
    assert two.pids == []
    base[0] = 7
    two.run(0)
    pids = two.pids
    base[0] = 1  # after the fork: the replica does not see it
    two.run(0)
    assert seen.tolist() == [8, 14]
    assert two.pids == pids
    assert len(pids) == 1


def test_a_phase_has_ended_everywhere_when_the_next_begins(team):
    count, total = shared_zeros(3), shared_zeros(3)

    def add(rank):
        count[rank] += 1

    def look(rank):
        total[rank] += count.sum()

    three = team(3, add, look)
    for _ in range(100):
        three.run(0)
        three.run(1)
    assert total.tolist() == 3 * [3 * 100 * 101 / 2]


@pytest.mark.parametrize("n_looks", [0, 2, 3, 9])
def test_an_answer_that_comes_while_it_is_looked_for_is_heard_as_one_that_is_waited_for(
        n_looks, monkeypatch):
    """And the end of the other side is met in both ways."""
    ours, theirs = socket.socketpair()
    looked = []

    def look():
        looked.append(len(looked))
        if len(looked) == min(n_looks, 3):
            theirs.send(b"x")

    monkeypatch.setattr(parallel.os, "sched_yield", look)
    with ours:
        with theirs:
            if not n_looks:
                theirs.send(b"x")
            assert parallel._receive(ours, n_looks) == b"x"
            assert len(looked) == min(n_looks, 3)
        assert parallel._receive(ours, n_looks) == b""


def test_replicas_of_more_processes_than_cores_sleep_at_once(monkeypatch):
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda pid: {0, 1})
    assert [Team(n, ())._looks > 0 for n in (1, 2, 3)] == [True, True, False]


def test_closing_leaves_no_process_and_may_be_repeated(team):
    three = team(3, lambda rank: None)
    three.run(0)
    assert has_children()
    three.close()
    assert not has_children()
    assert three.pids == []
    three.close()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_replica_killed_between_two_phases_is_named_with_its_signal(rank, team):
    four = team(4, lambda rank: None)
    four.run(0)
    pid = four.pids[rank - 1]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ReplicaDied) as caught:
        four.run(0)
    assert str(caught.value) == f"replica {rank} (pid {pid}) ended with signal 9"
    assert not has_children()


def test_several_dead_replicas_leave_nothing_behind_either(team):
    four = team(4, lambda rank: rank < 2 or os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(ReplicaDied, match=r"^replica 2 \(pid \d+\) ended with signal 9$"):
        four.run(0)
    assert not has_children()


def test_an_exception_in_a_replica_is_printed_there_and_ends_the_team(team, capfd):
    def fail(rank):
        if rank == 1:
            raise ValueError("what went wrong in the replica")

    two = team(2, fail)
    with pytest.raises(ReplicaDied, match=r"^replica 1 \(pid \d+\) ended with exit status 1$"):
        two.run(0)
    assert not has_children()
    printed = capfd.readouterr().err
    assert printed.startswith("Traceback (most recent call last):")
    assert "ValueError: what went wrong in the replica" in printed


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_a_replica_never_returns_into_its_leaders_code(end, team, capfd):
    def leave(rank):
        if rank == 1:
            raise end

    with pytest.raises(ReplicaDied, match="ended with exit status 1"):
        team(2, leave).run(0)
    assert end.__name__ in capfd.readouterr().err


def test_teams_may_be_closed_in_any_order(team):
    first, second = team(2, lambda rank: None), team(2, lambda rank: None)
    first.run(0)
    second.run(0)  # its replica holds a copy of the first leader's end
    first.close()
    second.run(0)
    second.close()
    assert not has_children()


def test_an_exception_in_the_leader_leaves_no_answer_behind_for_the_next_phase(team):
    count, is_first = shared_zeros(2), [True]

    def fail_once(rank):
        count[rank] += 1
        if rank == 0 and is_first.pop():
            raise KeyboardInterrupt

    two = team(2, fail_once)
    with pytest.raises(KeyboardInterrupt):
        two.run(0)
    assert not has_children()
    is_first.append(False)
    two.run(0)
    assert count.tolist() == [2, 2]


def test_a_fork_that_fails_leaves_no_half_a_team(team, monkeypatch):
    fork, left = os.fork, iter([True])

    def fork_once():
        if not next(left, False):
            raise BlockingIOError("no more processes")
        return fork()

    monkeypatch.setattr(os, "fork", fork_once)
    with pytest.raises(BlockingIOError, match="no more processes"):
        team(3, lambda rank: None).run(0)
    assert not has_children()


@GROUP_SIGNALS
def test_a_signal_while_forking_cannot_reach_a_replica(number, team, monkeypatch):
    fork = os.fork

    def fork_under_fire():
        pid = fork()
        if pid == 0:
            os.kill(os.getpid(), number)
        return pid

    def ended(_number, _frame):
        os._exit(3)  # what a handler of the leader's would do in a replica

    before = signal.signal(number, ended)
    monkeypatch.setattr(os, "fork", fork_under_fire)
    three = team(3, lambda rank: None)
    three.run(0)
    three.run(0)
    signal.signal(number, before)
    assert len(three.pids) == 2


# --- the same bits every time ----------------------------------------------------------------


@OPTIMIZER
@REPLICAS
def test_the_same_number_of_replicas_gives_the_same_bits_on_every_run(n, optimizer, trainer):
    first, second = (trainer(n, optimizer=optimizer, grad_accum=2) for _ in range(2))
    events = list(training(first, eval_every=4))
    assert len(events) == N_STEPS + 3 + 1
    assert list(training(second, eval_every=4)) == events
    assert state(second) == state(first)


@OPTIMIZER
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("stop", [0, 4, N_STEPS])
def test_resuming_with_replicas_equals_never_stopping(stop, n, optimizer, tmp_path, trainer):
    whole, run = (trainer(n, optimizer=optimizer, grad_accum=2, warmup_frac=0.3)
                  for _ in range(2))
    events = list(training(whole, eval_every=3))
    before = [run.advance() for _ in range(stop)]
    checkpoint.save(tmp_path / "run.npz", run.arrays(), run.scalars())
    resumed = Trainer(run.config, run.seed, run.n_steps, run.texts, n)
    resumed.restore(*checkpoint.load_newest(tmp_path / "run.npz"))
    after = list(training(resumed, eval_every=3))
    ended = state(resumed)
    resumed.close()
    steps = [event for event in events if isinstance(event, Step)]
    assert before + [event for event in after if isinstance(event, Step)] == steps
    assert after == events[len(events) - len(after):]
    assert ended == state(whole)


@OPTIMIZER
def test_evaluations_on_the_way_change_no_bit(optimizer, trainer):
    plain, watched = (trainer(2, optimizer=optimizer) for _ in range(2))
    steps = [event for event in training(plain, eval_every=None) if isinstance(event, Step)]
    watched_steps = [event for event in training(watched, eval_every=1) if isinstance(event, Step)]
    assert watched_steps == steps
    assert state(watched) == state(plain)


# --- another number of replicas: equal to rounding -------------------------------------------


@OPTIMIZER
@pytest.mark.parametrize("grad_accum", [1, 2])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_number_of_replicas_changes_ten_steps_by_rounding_only(
        n, grad_accum, optimizer, trainer):
    """Measured: losses 2e-9, norms 1.5e-7, gradients 4e-7, parameters 5e-4 learning rates."""
    one, several = (trainer(count, n_steps=10, optimizer=optimizer, grad_accum=grad_accum)
                    for count in (1, n))
    steps = [(one.advance(), several.advance())]
    gradient, other = one.grads[0].buffer, several.grads[0].buffer
    assert np.max(np.abs(other - gradient)) < 2e-6 * np.max(np.abs(gradient))
    steps += [(one.advance(), several.advance()) for _ in range(9)]
    for wanted, got in steps:
        assert got.loss == pytest.approx(wanted.loss, rel=1e-7)
        assert got.grad_norm == pytest.approx(wanted.grad_norm, rel=1e-6)
        assert (got.step, got.tokens, got.lr) == (wanted.step, wanted.tokens, wanted.lr)
    # A sign that Lion takes of a gradient near zero may turn, so not of every parameter.
    is_apart = np.abs(several.params.buffer - one.params.buffer) > 1e-2 * CONFIG.lr
    assert np.mean(is_apart) < 1e-3
    assert several.evaluate().nats == pytest.approx(one.evaluate().nats, rel=1e-7)


def test_every_window_is_scored_by_one_replica_and_all_take_part(trainer, monkeypatch):
    run = trainer(3)
    (found,) = run.windows
    scorer, count = shared_zeros(len(found), np.int64), shared_zeros(len(found))

    def noted(losses, tokens, window):
        index = found.index(window)
        scorer[index], count[index] = os.getpid(), count[index] + 1
        return nats_in(losses, tokens, window)

    monkeypatch.setattr("engine.training.train.nats_in", noted)
    run.evaluate()
    assert count.tolist() == 5 * [1]
    assert sorted(np.unique(scorer, return_counts=True)[1]) == [1, 2, 2]


@OPTIMIZER
@pytest.mark.parametrize("n", [2, 3])
def test_the_score_of_the_same_parameters_does_not_depend_on_the_replicas(n, optimizer, trainer):
    one, several = (trainer(count, optimizer=optimizer) for count in (1, n))
    for _ in range(4):
        one.advance()
    several.restore(one.arrays(), one.scalars())
    assert several.evaluate() == one.evaluate()


@OPTIMIZER
@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_evaluation_left_between_windows_leaves_the_run_as_it_was(n, optimizer, trainer):
    texts = replace(TEXTS, valid=text(9 * EVAL_TOKENS, 2))
    calm, left = (trainer(n, texts=texts, optimizer=optimizer) for _ in range(2))
    for run in (calm, left):
        run.advance()
    calm.advance()
    answers = iter([False, True])  # to the leader, before each window of its own
    left.should_leave = lambda *_: next(answers)
    with pytest.raises(Left, match="at step 1 was left"):
        left.evaluate()
    left.should_leave = lambda *_: False
    left.advance()
    assert left.evaluate() == calm.evaluate()
    assert left.scalars() == calm.scalars()


@OPTIMIZER
@pytest.mark.parametrize("n", [2, 3])
def test_the_score_of_a_shard_does_not_depend_on_the_replicas(n, optimizer, trainer):
    edges = tuple(range(0, 6 * EVAL_TOKENS, 333))
    shards = {"confirm": Shard(text(edges[-1] + 1, 2), 11_000, edges),
              "test": Shard(text(40, 3), 70)}
    one, several = (trainer(count, texts=replace(TEXTS, shards=shards), optimizer=optimizer)
                    for count in (1, n))
    for _ in range(4):
        one.advance()
    several.restore(one.arrays(), one.scalars())
    for name in ("test", "confirm", None, "test"):
        assert several.evaluate(name) == one.evaluate(name)
    assert replace(one.evaluate("confirm"), block_bits=()) == score_model(
        GPT(one.config), one.evaluation_params(), shards["confirm"].tokens, 11_000)


def test_schedule_free_with_replicas_is_evaluated_at_its_average(trainer):
    run = trainer(3, optimizer="schedule_free", warmup_frac=0.0, lr=0.01)
    for _ in range(N_STEPS):
        run.advance()
    score = run.evaluate()
    average = run.evaluation_params()
    assert np.max(np.abs(average.buffer - run.params.buffer)) > 1e-3
    assert score == score_model(GPT(run.config), average, TEXTS.valid, TEXTS.n_valid_bytes)
    assert score != score_model(GPT(run.config), run.params, TEXTS.valid, TEXTS.n_valid_bytes)


@OPTIMIZER
def test_a_run_may_be_set_back_while_its_replicas_serve(optimizer, trainer):
    whole, run = (trainer(2, optimizer=optimizer) for _ in range(2))
    arrays, scalars = {}, {}
    for step in range(N_STEPS):
        if step == 4:
            arrays = {name: array.copy() for name, array in run.arrays().items()}
            scalars = run.scalars()
        assert run.advance() == whole.advance()
    run.restore(arrays, scalars)
    for _ in range(N_STEPS - 4):
        run.advance()
    assert state(run) == state(whole)


def test_a_run_goes_on_with_another_number_of_replicas(trainer):
    whole, first, second = trainer(1), trainer(2), trainer(3)
    wanted = [whole.advance().loss for _ in range(N_STEPS)]
    got = [first.advance().loss for _ in range(4)]
    second.restore(first.arrays(), first.scalars())
    got += [second.advance().loss for _ in range(N_STEPS - 4)]
    assert got == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize(("batch_size", "n_replicas"), [(1, 1), (2, 2), (3, 3)])
def test_a_batch_smaller_than_the_team_has_fewer_replicas(batch_size, n_replicas, trainer):
    run = trainer(3, batch_size=batch_size)
    run.advance()
    assert run.n_replicas == n_replicas
    assert len(run.team.pids) == n_replicas - 1


def test_a_slice_of_one_window_is_scored_by_a_team_as_by_one(trainer):
    texts = replace(TEXTS, valid=TEXTS.valid[:17])
    assert trainer(3, texts=texts).evaluate() == trainer(1, texts=texts).evaluate()


# --- ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["_gradient", "_reduce", "_update", "_score"])
@pytest.mark.parametrize("rank", [1, 2])
def test_a_replica_killed_in_any_phase_ends_the_run_and_leaves_nothing(phase, rank, trainer):
    def killed(self, own_rank):
        if own_rank == rank and self.step == self._asked[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        getattr(Trainer, phase)(self, own_rank)

    run = trainer(3, kind=type("Killed", (Trainer,), {phase: killed}))
    with pytest.raises(ReplicaDied, match=rf"^replica {rank} \(pid \d+\) ended with signal 9$"):
        list(training(run, eval_every=1))
    assert not has_children()


def test_divergence_is_met_by_a_team_as_by_one(trainer):
    run = trainer(3)
    run.advance()
    run.params.views["block0.attn.proj"][:3, :3] = np.nan
    before = run.params.buffer.tobytes()
    with pytest.raises(Diverged, match="^loss nan, gradient norm nan at step 2$"):
        run.advance()
    assert run.params.buffer.tobytes() == before
    run.close()
    assert not has_children()


LEADER = """
import os, signal, sys
import numpy as np
from engine.config import Config
from engine.training.train import Texts, Trainer

asked, leader = [], os.getpid()

def ask(*_):
    if os.getpid() != leader:
        os._exit(9)  # a handler is for the leader alone
    asked.append(1)

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)  # whatever the shell of the tests ignores
    if "asked" in sys.argv:
        signal.signal(number, ask)
    elif number == signal.SIGINT:
        signal.signal(number, signal.default_int_handler)
tokens = np.arange(3000, dtype=np.uint16) % 257
config = Config(n_embd=16, n_layer=1, n_head=2, vocab_size=257, seq_len=16, batch_size=3)
run = Trainer(config, 0, 10**6, Texts(tokens, tokens, 3000), n_replicas=3)
run.advance()
print("ready", *run.team.pids, flush=True)
if "idle" in sys.argv:
    sys.stdin.read()
while not asked:
    run.advance()
run.advance()
run.evaluate()
run.close()
print("closed", flush=True)
"""


@pytest.fixture
def leader():
    """A function that starts a leader of two replicas in a process group of its own."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", LEADER, *arguments], cwd=ROOT, start_new_session=True, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        assert re.fullmatch(r"ready \d+ \d+\n", process.stdout.readline())
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("activity", ["idle", "busy"])
def test_replicas_do_not_outlive_a_killed_leader(activity, leader):
    process = leader(activity)
    process.kill()
    # The replicas hold the other end of these pipes: they end when nobody is left.
    out, err = process.communicate(timeout=patience(30))
    assert process.returncode == -signal.SIGKILL
    assert (out, err) == ("", "")


DYING_LEADER = """
import os, signal
from engine.training.parallel import Team

leader = os.getpid()

def phase(rank):
    if rank == 0:
        os.kill(leader, signal.SIGKILL)
    while os.getppid() == leader:
        pass  # a replica that is still computing when its leader is gone

Team(3, [phase]).run(0)
"""


def test_replicas_whose_leader_dies_while_they_compute_end_without_a_word():
    found = subprocess.run([sys.executable, "-c", DYING_LEADER], cwd=ROOT, text=True,
                           capture_output=True, timeout=patience(30))
    assert (found.returncode, found.stdout, found.stderr) == (-signal.SIGKILL, "", "")


@GROUP_SIGNALS
def test_a_signal_to_the_whole_group_leaves_the_replicas_serving_until_the_leader_closes(
        number, leader):
    process = leader("asked")
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=patience(30))
    assert (process.returncode, out, err) == (0, "closed\n", "")


@GROUP_SIGNALS
def test_a_signal_that_ends_the_leader_ends_the_replicas(number, leader):
    process = leader("busy")
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=patience(30))
    assert process.returncode == -number
    assert out == ""


# --- memory ----------------------------------------------------------------------------------

MEASURE = """
import os, sys
import numpy as np
from engine.config import Config
from engine.training.train import Texts, Trainer

def entry(name, key, pid):
    with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as file:
        return int(file.read().partition(f"{key}:")[2].split()[0]) * 1024 / 1e6

config = Config()
tokens = np.zeros(5000, np.uint16)
run = Trainer(config, 0, 100, Texts(tokens, tokens, 5000), n_replicas=int(sys.argv[1]))
run.advance()
run.evaluate()
run.advance()
pids = [os.getpid(), *run.team.pids]
# Program files are shared with whatever else runs here: what this process maps, once.
mb = entry("status", "RssFile", os.getpid()) + sum(
    entry("smaps_rollup", key, pid) for key in ("Pss_Anon", "Pss_Shmem") for pid in pids)
run.close()
print(mb / config.predicted_mb(len(pids)))
"""


def has_proportional_memory():
    try:
        return "Pss_Shmem:" in Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return False


@pytest.mark.skipif(not has_proportional_memory(), reason="this kernel does not tell Pss_Shmem")
@pytest.mark.skipif("QEMU_CPU" in os.environ, reason="the emulator's own memory is counted, too")
@pytest.mark.parametrize("n", [1, 2])
def test_the_memory_of_a_group_is_within_15_percent_of_the_prediction(n):
    found = subprocess.run([sys.executable, "-c", MEASURE, str(n)], cwd=ROOT, text=True,
                           capture_output=True, check=True)
    assert float(found.stdout) == pytest.approx(1.0, abs=0.15)
