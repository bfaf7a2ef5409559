"""Quantities and foreign text in the words that people read; a dash stands for what is unknown."""

import datetime as dt

UNKNOWN = "-"
UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))  # the largest first
MOST_CLUSTER = 40  # letters of where a cluster is
ONE_LINE = 160  # letters of a foreign message that are worth repeating


def duration(seconds: float | None) -> str:
    """42 s, 7 min, 2 h 13 min or 3 d 4 h; below zero, as between two clocks, is 0 s."""
    if seconds is None:
        return UNKNOWN
    if seconds < 59.5:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one stamp of the ledger to another."""
    return (dt.datetime.fromisoformat(later) - dt.datetime.fromisoformat(earlier)).total_seconds()


def clock(stamp: str | None) -> str:
    """A stamp of the ledger as 2026-03-24 10:11 UTC."""
    return UNKNOWN if stamp is None else f"{stamp[:10]} {stamp[11:16]} UTC"


def count(number: float | None) -> str:
    """1,024."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def runs(n: int) -> str:
    """1 run, 2 runs."""
    return f"{n} run" if n == 1 else f"{n} runs"


def at_once(n: int, cluster: str | None = None) -> str:
    """One run at a time (--trials K), 4 runs at once, 4 runs at once on cluster local:4."""
    if cluster is not None:
        return f"{runs(n)} at once on cluster {printable(cut(cluster, MOST_CLUSTER))}"
    return "one run at a time (--trials K)" if n == 1 else f"{runs(n)} at once"


def decimal(number: float | None, digits: int) -> str:
    return UNKNOWN if number is None else f"{number:.{digits}f}"


def megabytes(number: float | None) -> str:
    return UNKNOWN if number is None else f"{number:,.0f} MB"


def size(n: int | None) -> str:
    """1.3M or 45.2k, as the experiment table writes parameters."""
    if n is None:
        return UNKNOWN
    return f"{n / 1e6:.1f}M" if n >= 999_950 else f"{n / 1e3:.1f}k"


def counted(n: int) -> str:
    """1.3M or 45k: a count in a line that has little room."""
    return f"{n / 1e6:.1f}M" if n >= 1e6 else f"{n / 1e3:.0f}k"


def amount(n: float) -> str:
    """12.3k, 456k, 3.1M: three digits."""
    for unit, sign in UNITS:
        if n >= 0.9995 * unit:
            return f"{n / unit:.3g}{sign}"
    return f"{n:.0f}"


def percent(share: float | None) -> str:
    """-1.3% for -0.013."""
    return UNKNOWN if share is None else f"{100 * share:+.1f}%"


def printable(text: str) -> str:
    """Text without what would steer the terminal: a byte-level model can write any byte."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}"
                   for c in text)


def cut(text: str, width: int) -> str:
    """Text in at most so many characters, its end marked where some are missing."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def one_line(text: object, width: int = ONE_LINE) -> str:
    """What foreign code says, as one line that can be printed and kept."""
    try:
        told = str(text)
    except Exception:  # noqa: BLE001 its own __str__ may be what is broken
        told = type(text).__name__
    return cut(printable(" ".join(told.split())), width)


def told_error(error: BaseException) -> str:
    """An exception's kind and message in one line."""
    kind, message = one_line(type(error).__name__), one_line(error)
    return kind if message in ("", kind) else f"{kind}: {message}"
