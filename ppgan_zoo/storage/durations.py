"""Durations in words, and when it is worth telling of one."""

from __future__ import annotations

MEASURED_S = 5.0
"""Seconds of work, after its beginning, from which the rest is estimated."""

WORTH_S = 15.0
"""Work that will end within these seconds is not told of."""

HEARTBEAT_S = 60.0
"""Seconds between two lines that say where work is."""


def in_time(seconds: float) -> str:
    """Return a duration in words: ``45 s``, ``4 min 10 s``, ``1 h 35 min``, ``3 days 4 h``."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        minutes, rest = divmod(round(whole / 10) * 10, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def in_short(seconds: float) -> str:
    """Return the time of an iteration: ``85 ms`` or ``1.6 s``."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
