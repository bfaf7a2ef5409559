"""A child that takes more memory than it may is ended for real, and the night goes on."""

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

from agent.home.paths import Home, RunFolder
from agent.ledger.ledger import Ledger
from agent.machine.clock import Clock
from agent.night.daemon import Daemon
from agent.night.night import Night
from agent.search.campaign import Plan
from agent.trial.runner import Process, Runner
from tests.support.parts import Listener, a_folder, a_run

# It takes 20 MB more every tick, and is deaf to a polite request.
HOG = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
taken = []
print("started", flush=True)
while True:
    taken.append(bytearray(20_000_000) if len(taken) < 40 else b"")
"""
QUICK = """
import json, sys
line = dict(kind="done", step=1, tokens=32, train_loss=1.0, nats=1.0, bpb=1.0, tok_per_s=1.0,
            peak_mb=1.0, elapsed_s=1.0)
open(sys.argv[1], "w").write(json.dumps(line) + "\\n")
"""


def spent_s() -> float:
    """What the children that ended took of the processors: for one that never rests, its life
    on a quiet machine, and not longer where others work, too.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_child_past_max_ram_is_gone_within_7_s_and_the_loop_goes_on(tmp_path: Path) -> None:
    before_s = spent_s()
    began_s: list[float] = []
    ended_s: list[float] = []

    def spawn(folder: RunFolder) -> Process:
        code = QUICK if began_s else HOG
        child = subprocess.Popen([sys.executable, "-c", code, str(folder.events)],
                                 stdout=subprocess.PIPE, start_new_session=True)
        began_s.append(time.monotonic())
        watchers.append(threading.Thread(target=note_end, args=[child]))
        watchers[-1].start()
        return child

    def note_end(child: "subprocess.Popen[bytes]") -> None:
        assert child.stdout is not None
        child.stdout.read()  # ends with the process
        child.stdout.close()
        ended_s.append(time.monotonic())

    watchers: list[threading.Thread] = []

    home = Home(tmp_path)
    with Ledger.open(home.ledger) as ledger:
        hog, next_one = a_run(ledger, seed=1), a_run(ledger, seed=2)
        for run in (hog, next_one):
            a_folder(home, run)
        runner = Runner(ledger, home, Clock(), 300.0, spawn=spawn)
        night = Night(runner, Plan(300.0, max_runs=2), observer=Listener(),
                      prepare=lambda vocab_size: None)  # type: ignore[arg-type,return-value]
        night._tokens_of = lambda run: None  # type: ignore[assignment,method-assign]
        Daemon(night).run()
        for watcher in watchers:
            watcher.join()
        killed, finished = ledger.runs()
    assert spent_s() - before_s < 7
    assert ended_s[0] < began_s[1]
    assert (killed.state, finished.state) == ("killed", "finished")
    assert killed.error is not None
    assert killed.error.endswith("over --max-ram 300 MB")
    assert killed.peak_mb is not None
    assert killed.peak_mb > 300
