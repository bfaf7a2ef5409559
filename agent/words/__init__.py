"""Quantities as people read them (`said`) and type them (`typed`), and the lines they stand in.

In come numbers and words, out come words and numbers; nothing else. Every wing may use it, and it
uses none.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.words.glossary import everything as everything
    from agent.words.glossary import explained as explained
    from agent.words.lines import PLAIN as PLAIN
    from agent.words.lines import Level as Level
    from agent.words.lines import Page as Page
    from agent.words.lines import Row as Row
    from agent.words.lines import Told as Told
    from agent.words.lines import cut_at_word as cut_at_word
    from agent.words.lines import cut_list as cut_list
    from agent.words.lines import first_clause as first_clause
    from agent.words.lines import fitted as fitted
    from agent.words.lines import laid_out as laid_out
    from agent.words.lines import wrapped as wrapped
    from agent.words.said import UNITS as UNITS
    from agent.words.said import UNKNOWN as UNKNOWN
    from agent.words.said import amount as amount
    from agent.words.said import at_once as at_once
    from agent.words.said import clock as clock
    from agent.words.said import count as count
    from agent.words.said import counted as counted
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
    from agent.words.signs import in_ascii as in_ascii
    from agent.words.signs import is_narrow as is_narrow

__all__, __getattr__ = doors(__name__, {
    "glossary": ("everything", "explained"),
    "lines": ("Level", "PLAIN", "Page", "Row", "Told", "cut_at_word", "cut_list", "first_clause",
              "fitted", "laid_out", "wrapped"),
    "said": ("UNITS", "UNKNOWN", "amount", "at_once", "clock", "count", "counted", "cut",
             "decimal", "duration", "megabytes", "one_line", "percent", "printable", "runs",
             "seconds_between", "size", "told_error"),
    "signs": ("in_ascii", "is_narrow"),
}, modules=("signs", "typed"))
