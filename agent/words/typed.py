"""Quantities as people type them: 4m, 8h, 3G, 100k."""

import re

from engine.errors import UserError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MEGABYTES = {"k": 1e-3, "m": 1.0, "g": 1e3, "t": 1e6}  # 10⁶ bytes, as peak_mb


def seconds(text: str) -> float:
    """90s, 4m, 8h, 1.5h, 1h30m. A bare number is refused: 4 may be hours to who types it."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise UserError(f"'{text}' is not a duration; write 90s, 4m, 8h or 1h30m")
    found = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if found <= 0:
        raise UserError(f"a duration of {text} leaves no time; write 90s, 4m, 8h or 1h30m")
    return found


def megabytes(text: str) -> float:
    """3G, 800M, 1.5g, with or without a B; in MB of 10⁶ bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt])b?", text.lower())
    if not match or float(match[1]) <= 0:
        raise UserError(f"'{text}' is not an amount of memory; write 3G or 800M")
    return float(match[1]) * MEGABYTES[match[2]]
