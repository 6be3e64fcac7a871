"""How the seconds of a chart are told: since its beginning, in a unit that the span has some of, or as times of day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from millpond.report.ticks import time_ticks, unit_of_time, written

DAY_S = 86_400.0
STEPS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0)
LONG_STEPS_S = (3_600.0, 7_200.0, 10_800.0, 14_400.0, 21_600.0, 43_200.0)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Names its `unit`, the place and words of its `marks`, and tells any second of it."""

    unit: str
    marks: tuple[tuple[float, str], ...]
    unit_s: float = 1.0
    epoch: float | None = None

    def tell(self, second: float) -> str | float:
        """A second, as a table has it."""
        return second / self.unit_s if self.epoch is None else time_of_day(self.epoch + second)


def axis_of(start: float, end: float, epoch: float | None, at_most: int) -> TimeAxis:
    """The axis from `start` to `end`, with `at_most` marks; second 0 is the Unix time `epoch`, if there is one."""
    if epoch is None:
        unit, unit_s = unit_of_time(end - start)
        places = time_ticks(start / unit_s, end / unit_s, at_most, unit)
        return TimeAxis(unit, tuple((place * unit_s, written(place)) for place in places), unit_s)
    least = (end - start) / at_most
    step = next((one for one in (*STEPS_S, *LONG_STEPS_S) if one >= least), DAY_S * -(-least // DAY_S))
    first = -(-(epoch + start) // step)
    marks = []
    while first * step <= epoch + end:
        marks.append((first * step - epoch, _mark(first * step, step)))
        first += 1
    return TimeAxis("UTC", tuple(marks), epoch=epoch)


def time_of_day(wall: float) -> str:
    """A Unix time as hours, minutes and seconds, in UTC."""
    return f"{datetime.fromtimestamp(wall, UTC):%H:%M:%S}"


def _mark(wall: float, step: float) -> str:
    """Midnight is told as a date."""
    if wall % DAY_S == 0:
        return f"{datetime.fromtimestamp(wall, UTC):%b %d}"
    return time_of_day(wall) if step < 60 else time_of_day(wall)[:5]
