"""What there is to see at one moment: the values that `screen` and `lines` draw. Nothing here draws or asks."""

from __future__ import annotations

from dataclasses import dataclass

from millpond.cli.demo.gallery import Picture
from millpond.cli.demo.roster import Row
from millpond.cli.demo.vitals import Vitals


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment of the demo; times in seconds, `rates` and `p99s` one value a bin of the history.

    What the callers counted, and beside it `vitals`: what the pool's own metrics say.
    """

    phase: str
    elapsed_s: float
    length_s: float | None  # None where nobody knows how long it takes
    share: float | None = None  # of the phase that is done, where something else than time says so
    workers: tuple[Row, ...] = ()
    queued: int = 0
    running: int = 0
    sessions: int = 0
    rate: float = 0.0
    p50_s: float = 0.0
    p99_s: float = 0.0
    rates: tuple[float, ...] = ()
    p99s: tuple[float, ...] = ()
    answered: int = 0
    right: int = 0
    mistakes: int = 0
    lost: int = 0
    told: int = 0
    reopened: int = 0
    vitals: Vitals | None = None
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
