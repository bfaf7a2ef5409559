"""What several test modules share. The BLAS settings must be made before numpy is imported."""

import gc
import os
import signal
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
# The referee of the tokenizer's tests would leave threads behind, and teams fork in this process.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest

from agent.machine import container, guard

# A signal that is ignored at start stays ignored by the agent, and the tests begin with none: under
# nohup, or behind & in a script, they would inherit such.
for number, usual in ((signal.SIGINT, signal.default_int_handler),
                      (signal.SIGTERM, signal.SIG_DFL), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

WORKER_MB = 1000  # what a worker and the nights it starts take at most
collect_ignore = ["strategies/example_package"]  # its own tests run where a test installs it


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=20, help="kills of a chaos night (-m chaos)")
    parser.addoption("--trials", type=int, default=1, help="runs at once in it")
    parser.addoption("--long", action="store_true", help="longer faults, too (-m chaos)")


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" not in os.environ and hasattr(config, "cache"):
        # Kernels are compiled once for all tests, whatever one takes for its person's home.
        os.environ["XDG_CACHE_HOME"] = str(config.cache.mkdir("programs"))
    if hasattr(config, "workerinput"):
        # A worker has a second thread, which waits for orders and holds nothing that a forked
        # replica needs; test_worker.py sees to it that the program has none.
        config.addinivalue_line("filterwarnings", "ignore:This process .* is multi-threaded"
                                ":DeprecationWarning")


def pytest_collection_finish():
    """What was collected stays to the end: no later look for garbage goes through all of it."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers(config):
    """A worker for each core where whole folders are asked for; otherwise none at all.

    Each worker collects everything anew, which a few tests are not worth. None is taken, either,
    where tests are chosen by words or marks, or where what they print is to be seen.
    """
    is_part = config.option.keyword or config.option.markexpr not in config.getini("addopts")
    is_whole = all(Path(name.partition("::")[0]).is_dir() for name in config.args)
    if is_part or not is_whole or config.option.capture == "no":
        return 0
    return n_workers(container.n_cores(), guard.free_mb())


def n_workers(n_cores, free_mb):
    """Workers that have a core and memory each; none where there is room for one alone."""
    n = n_cores if free_mb is None else min(n_cores, int(free_mb / WORKER_MB))
    return n if n > 1 else 0


@pytest.fixture
def central_differences():
    """A function: (f, x, h) → gradient of the number f() by x, whose entries it moves by ±h."""

    def differences(f, x, h):
        gradient = x.copy()
        for i in range(x.size):
            here = x.flat[i]
            x.flat[i] = here + h
            above = f()
            x.flat[i] = here - h
            gradient.flat[i] = (above - f()) / (2 * h)
            x.flat[i] = here
        return gradient

    return differences
