"""In what order merged rows stand, and what merged runs are called: of the rows alone.

Whichever ledger took in which, the same rows end in the same order under the same labels. Rows of
one home keep their own order; those of several are laid beside each other by their stamps, so that
a number that is larger is a row that is later, as every question to a ledger takes it to be.

A label stays with the home whose first run is the oldest; the same label of another home gets that
home's letter behind it: the second home's E3 is E3b, the third's E3c.
"""

import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from agent.ledger.merge_rows import STAMPS, Row, Rows, home_of

_OWN = re.compile(r"([A-Z][0-9]+)[a-z]+")  # a label with a home's letter behind it


def in_order(table: str, ours: Rows, theirs: Rows, met: Mapping[str, Rows]) -> list[str]:
    """The keys of a table's merged rows.

    ours, theirs  in the order of each file
    met           all merged rows, by table
    """
    rows = met[table]

    def stamp(key: str) -> str:
        return str(rows[key][STAMPS[table]] or "")

    if table in ("corpora", "grids"):
        return sorted(rows, key=lambda key: (stamp(key), key))
    chains: dict[str, tuple[list[str], list[str]]] = {}
    for i, side in enumerate((ours, theirs)):
        for key in side:
            if key in rows:
                chains.setdefault(home_of(table, rows[key], met), ([], []))[i].append(key)
    woven = [list(_stamped(_woven(*pair, stamp), stamp, home)) for home, pair in chains.items()]
    return [key for _, _, _, key in heapq.merge(*woven)]


def _stamped(keys: Iterable[str], stamp: Callable[[str], str],
             home: str) -> Iterable[tuple[str, str, int, str]]:
    """Keys with their stamps, none earlier than that before it: a clock may be set back."""
    last = ""
    for i, key in enumerate(keys):
        last = max(last, stamp(key))
        yield last, home, i, key


def _woven(ours: Sequence[str], theirs: Sequence[str],
           stamp: Callable[[str], str]) -> list[str]:
    """Two accounts of one home as one: what both tell stands fast, between it the stamps decide."""
    known, both = set(ours), set(ours) & set(theirs)
    if len(both) == len(theirs):
        return list(ours)
    before: dict[str, list[str]] = {}  # what only they tell, by what follows it
    waiting: list[str] = []
    for key in theirs:
        if key in known:
            before[key], waiting = waiting, []
        else:
            waiting.append(key)
    found: list[str] = []
    alone: list[str] = []
    for key in ours:
        if key in both:
            found += [*_side_by_side(alone, before.get(key, []), stamp), key]
            alone = []
        else:
            alone.append(key)
    return found + _side_by_side(alone, waiting, stamp)


def _side_by_side(ours: list[str], theirs: list[str], stamp: Callable[[str], str]) -> list[str]:
    chains = [[(last, key) for last, _, _, key in _stamped(keys, stamp, "")]
              for keys in (ours, theirs)]
    return [key for _, key in heapq.merge(*chains)]


def own_label(label: str) -> str:
    """A label as its home gave it."""
    found = _OWN.fullmatch(label)
    return found[1] if found else label


def letter(rank: int) -> str:
    """a, b, …, z, aa, ab, …"""
    text = ""
    while rank >= 0:
        text, rank = chr(ord("a") + rank % 26) + text, rank // 26 - 1
    return text


def labels(runs: Rows) -> dict[str, str]:
    """The label of each run by its uid.

    runs  with the labels that their homes gave them
    """
    first: dict[str, tuple[str, str]] = {}
    for uid, run in runs.items():
        if home := run.get("home"):
            first[home] = min(first.get(home, ("~", "")), (run["created_at"], uid))
    letters = {home: letter(i) for i, home in enumerate(sorted(first, key=lambda one: first[one]))}
    ranks = {home: i for i, home in enumerate(sorted(first, key=lambda one: first[one]))}

    def turn(uid: str) -> tuple[bool, int, str, str]:
        """Rows of a printed table first, then the homes from the oldest on."""
        run = runs[uid]
        return run["source"] != "published", ranks.get(run.get("home") or "", -1), run[
            "created_at"], uid

    given: dict[str, str] = {}
    taken: set[str] = set()
    again: list[str] = []
    for uid in sorted(runs, key=turn):
        label = runs[uid]["label"]
        (again.append(uid) if label in taken else given.update({uid: label}))
        taken.add(label)
    for uid in again:
        given[uid] = _free(runs[uid], letters, taken)
        taken.add(given[uid])
    return given


def _free(run: Row, letters: Mapping[str, str], taken: set[str]) -> str:
    """The label with its home's letter, or the next where two copies of one home gave the same."""
    base = run["label"] + letters.get(run.get("home") or "", "")
    tries = (f"{base}{letter(i)}" for i in range(len(taken) + 1))
    return base if base not in taken else next(one for one in tries if one not in taken)
