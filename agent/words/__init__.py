"""Quantities as people read them (`said`) and as they type them (`typed`).

In come numbers and words, out come words and numbers; nothing else. Every wing may use it, and it
uses none.
"""

from typing import TYPE_CHECKING

from engine.lazy import doors

if TYPE_CHECKING:
    from agent.words.said import UNKNOWN as UNKNOWN
    from agent.words.said import clock as clock
    from agent.words.said import count as count
    from agent.words.said import cut as cut
    from agent.words.said import decimal as decimal
    from agent.words.said import duration as duration
    from agent.words.said import megabytes as megabytes
    from agent.words.said import one_line as one_line
    from agent.words.said import percent as percent
    from agent.words.said import printable as printable
    from agent.words.said import runs as runs
    from agent.words.said import seconds_between as seconds_between
    from agent.words.said import size as size
    from agent.words.said import told_error as told_error

__all__, __getattr__ = doors(__name__, {
    "said": ("UNKNOWN", "clock", "count", "cut", "decimal", "duration", "megabytes", "one_line",
             "percent", "printable", "runs", "seconds_between", "size", "told_error"),
}, modules=("typed",))
