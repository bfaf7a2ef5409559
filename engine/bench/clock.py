"""Seconds, and a program beside ours that is asked to measure its own."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.errors import UserError

PEERS = Path(__file__).parents[2] / "tests" / "bench"  # in a checkout; a wheel has no tests


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Peer:
    """A Python program of tests/bench that answers every line with a line of JSON.

    It may use all cores. UserError, with `package` in it, where there is no such program or where
    it ends instead of answering.
    """

    def __init__(self, script: str, package: str, *arguments: str, settle_s: float = 0.0) -> None:
        self.package, self.settle_s = package, settle_s
        if not (PEERS / script).exists():
            raise UserError(f"there is no {PEERS / script}: the {package} peer lives with the "
                            "tests of a checkout and is not installed; measure it there")
        environment = {name: value for name, value in os.environ.items()
                       if not name.endswith("NUM_THREADS")}
        self.process = subprocess.Popen([sys.executable, str(PEERS / script), *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)

    def ask(self, line: str | int) -> Any:
        """Its answer; then settle_s, in which its threads stop spinning."""
        assert self.process.stdin is not None  # both are pipes
        with contextlib.suppress(BrokenPipeError):  # a peer that is gone leaves no answer either
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        answer = self._answer()
        time.sleep(self.settle_s)
        return answer

    def finish(self) -> Any:
        """Its last word, which it gives when its input ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Gone, whatever it was doing."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what it did not read
                pipe.close()
        self.process.wait()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise UserError(f"the {self.package} peer ended with status {self.process.wait()}; is "
                            f"{self.package} installed? python -m pip install {self.package}")
        return json.loads(line)
