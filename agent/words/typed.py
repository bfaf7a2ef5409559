"""Quantities as people type them: 4m, 8h, 3G, 100k."""

import re

from agent.words.said import cut
from engine.errors import UserError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_SECONDS = 100 * 365 * 86400.0  # later than that no calendar is sure of
MAX_MEGABYTES = 1e12
SHOWN = 40  # characters of what was typed
MEGABYTES = {"k": 1e-3, "m": 1.0, "g": 1e3, "t": 1e6}  # 10⁶ bytes, as peak_mb


def seconds(text: str) -> float:
    """90s, 4m, 8h, 1.5h, 1h30m. A bare number is refused: 4 may be hours to who types it."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise UserError(f"'{cut(text, SHOWN)}' is not a duration; write 90s, 4m, 8h or 1h30m")
    found = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if found <= 0:
        raise UserError(f"a duration of {cut(text, SHOWN)} leaves no time; write 90s, 4m, 8h or "
                        "1h30m")
    if found > MAX_SECONDS:
        raise UserError(f"a duration of {cut(text, SHOWN)} is over a hundred years; leave it out "
                        "to work until told to stop, or write 8h")
    return found


def megabytes(text: str) -> float:
    """3G, 800M, 1.5g, with or without a B; in MB of 10⁶ bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt])b?", text.lower())
    found = float(match[1]) * MEGABYTES[match[2]] if match else 0.0
    if not 0 < found <= MAX_MEGABYTES:
        raise UserError(f"'{cut(text, SHOWN)}' is not an amount of memory; write 3G or 800M")
    return found
