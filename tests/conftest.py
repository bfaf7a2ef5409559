"""What several test modules share. The BLAS settings must be made before numpy is imported."""

import os
import signal

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
# The referee of the tokenizer's tests would leave threads behind, and teams fork in this process.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest

# A signal that is ignored at start stays ignored by the agent, and the tests begin with none: under
# nohup, or behind & in a script, they would inherit such.
for number, usual in ((signal.SIGINT, signal.default_int_handler),
                      (signal.SIGTERM, signal.SIG_DFL), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

collect_ignore = ["strategies/example_package"]  # its own tests run where a test installs it


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=20, help="kills of a chaos night (-m chaos)")
    parser.addoption("--long", action="store_true", help="longer faults, too (-m chaos)")


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
