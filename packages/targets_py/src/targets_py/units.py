"""Durations and sizes as people read them."""

from __future__ import annotations

import math

BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def pretty_sec(seconds: float) -> str:
    """A duration in seconds as text: whole milliseconds below a second, then days to tenths of a second.

    Example:
        >>> pretty_sec(0.0114), pretty_sec(61.5)
        ('12ms', '1m 1.5s')
    """
    milliseconds = seconds * 1000
    if milliseconds < 1000:
        return f"{math.ceil(round(milliseconds, 6))}ms"
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    rest = f"{round(seconds % 60, 1):g}"
    pieces = [f"{value}{unit}" for value, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if value]
    if rest != "0":
        pieces.append(f"{rest}s")
    return " ".join(pieces)


def pretty_bytes(size: float) -> str:
    """A size in bytes as text, in powers of 1000 with at most two decimals.

    Example:
        >>> pretty_bytes(4371)
        '4.37 kB'
    """
    amount, unit = float(size), 0
    while amount >= (1000 if unit == 0 else 999.95) and unit < len(BYTE_UNITS) - 1:
        amount /= 1000
        unit += 1
    text = f"{amount:.2f}".rstrip("0").rstrip(".")
    return f"{text} {BYTE_UNITS[unit]}"
