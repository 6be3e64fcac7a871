"""What a check of `doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about the machine: what it is, whether that is well, and what to do if not."""

    about: str
    level: Level
    text: str
    remedy: str = ""


def ok(about: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(about, "ok", text)


def warning(about: str, text: str, remedy: str) -> Finding:
    """Pools run, and may run into it."""
    return Finding(about, "warning", text, remedy)


def wrong(about: str, text: str, remedy: str) -> Finding:
    """Pools cannot run so."""
    return Finding(about, "wrong", text, remedy)
