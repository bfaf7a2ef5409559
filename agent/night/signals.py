"""Signals that ask a night to end: which of them count, and what each says of the reason.

One that was ignored when the process began stays ignored: `nohup` ignores SIGHUP, a shell without
job control SIGINT for what it starts with &, and `trap '' TERM` what its owner wants ignored.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

REASONS = {
    signal.SIGINT: "asked to by Ctrl-C (SIGINT)",
    signal.SIGTERM: "asked to by SIGTERM",
    signal.SIGHUP: "asked to by SIGHUP, as its terminal closed (nohup, tmux or a unit of `agent "
                   "service` outlives it)",
}
LAST_WORD_S = 0.5  # for who leaves at once; a reader who does not read is not waited for

Handler = Callable[[int, FrameType | None], object]


class Asked(KeyboardInterrupt):
    """A signal that came before there was anything to save; the text says which."""


@contextmanager
def taken(handler: Handler) -> Iterator[None]:
    """Have the handler called on each signal that asks to end and was not ignored.

    To write to a terminal from the background stops nobody meanwhile (`stty tostop`).
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread alone
        return
    before = {number: signal.signal(number, handler) for number in REASONS
              if signal.getsignal(number) is not signal.SIG_IGN}
    before[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def interrupting(note: Callable[[str], None]) -> Iterator[None]:
    """Leave at once, while nothing runs that could be saved; `note` is told why."""
    def leave(number: int, _frame: FrameType | None) -> None:
        raise Asked(REASONS[signal.Signals(number)])

    with taken(leave):
        try:
            yield
        except Asked as asked:
            note(str(asked))
            raise


def say_at_once(text: str) -> None:
    """Write to stderr, as far as it takes it now; also from within a signal handler."""
    def write() -> None:
        try:
            os.write(2, text.encode())
        except OSError:
            pass  # nobody listens

    thread = threading.Thread(target=write, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return
    thread.join(LAST_WORD_S)
