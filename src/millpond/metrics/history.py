"""History in memory: steps of 1 s for 10 minutes, of 10 s for 2 hours, of 60 s for 24 hours.

Slots of a shorter step are merged into one of the next when its time is full. Each ring is bounded by time and number,
so that memory is flat once they are full. Not thread-safe: the collector's lock is around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import floor, inf

from millpond.metrics.slot import Slot, merge


@dataclass(frozen=True, slots=True)
class Step:
    """A resolution and for how long it is kept, both in seconds."""

    seconds: int
    keep_s: int


STEPS = (Step(1, 600), Step(10, 7_200), Step(60, 86_400))
RESOLUTIONS = tuple(step.seconds for step in STEPS)


class Ring:
    """The slots of one step, the newest last, and those waiting to become one of them."""

    __slots__ = ("_pending", "nbytes", "slots", "step")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.slots: deque[Slot] = deque()
        self._pending: list[Slot] = []
        self.nbytes = 0

    def push(self, slot: Slot) -> None:
        """Keep a slot of this step, and drop what is too old or too much."""
        self.slots.append(slot)
        self.nbytes += slot.nbytes
        most = self.step.keep_s // self.step.seconds
        while len(self.slots) > most or self.slots[0].at < slot.at - self.step.keep_s:
            self.nbytes -= self.slots.popleft().nbytes

    def gather(self, slot: Slot, operations: Callable[[float], bytes]) -> Slot | None:
        """Take a shorter slot; if it ends this step, keep the merged one and give it back.

        `operations(since)` packs the busiest operations since that moment, for steps of a minute.
        """
        begins = slot.at - slot.seconds
        self._pending.append(slot)
        if floor(slot.at / self.step.seconds) == floor(begins / self.step.seconds):
            return None
        first = self._pending[0]
        merged = merge(self._pending, operations(first.at - first.seconds) if self.step is STEPS[-1] else b"")
        self._pending = []
        self.push(merged)
        return merged


class History:
    """The rings of one pool."""

    __slots__ = ("_rings",)

    def __init__(self) -> None:
        self._rings = tuple(Ring(step) for step in STEPS)

    @property
    def nbytes(self) -> int:
        """About how much memory the slots take."""
        return sum(ring.nbytes for ring in self._rings)

    def push(self, slot: Slot, operations: Callable[[float], bytes]) -> list[tuple[int, Slot]]:
        """Keep a new slot; gives back the longer slots that it ended, each with its step in seconds."""
        finest, *longer = self._rings
        finest.push(slot)
        ended: list[tuple[int, Slot]] = []
        made: Slot | None = slot
        for ring in longer:
            made = ring.gather(made, operations) if made is not None else None
            if made is not None:
                ended.append((ring.step.seconds, made))
        return ended

    def read(self, since: float, resolution: int) -> list[Slot]:
        """Slots of one resolution that end after `since` (monotonic), the oldest first."""
        ring = next(ring for ring in self._rings if ring.step.seconds == resolution)
        return [slot for slot in ring.slots if slot.at > since]

    def eldest_at(self) -> float:
        """When the oldest slot of the finest step ended; infinite if there is none."""
        slots = self._rings[0].slots
        return slots[0].at if slots else inf


def resolution_for(seconds: float) -> int:
    """The finest resolution that reaches so far back."""
    return next((step.seconds for step in STEPS if step.keep_s >= seconds), STEPS[-1].seconds)
