"""Durations as rules and expressions write them: `5m`, `1h30m`, `500ms`; a year has 365 days."""

from __future__ import annotations

import re

UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
DURATION = re.compile("".join(rf"(?:(\d+){unit})?" for unit in UNITS_MS))


def parse_duration(text: str) -> int:
    """Milliseconds; raises `ValueError` for what is no duration. `0` needs no unit."""
    found = DURATION.fullmatch(text) if text else None
    if text == "0":
        return 0
    if found is None:
        raise ValueError(f"{text!r} is no duration; write 30s, 5m, 1h30m or 500ms, the larger unit first")
    return sum(int(number) * size for number, size in zip(found.groups(), UNITS_MS.values(), strict=True) if number)


def duration_text(ms: int) -> str:
    """The shortest way to write `ms`, from weeks down."""
    if ms == 0:
        return "0s"
    parts = []
    for unit, size in UNITS_MS.items():
        if unit != "y" and ms >= size:
            parts.append(f"{ms // size}{unit}")
            ms %= size
    return "".join(parts)
