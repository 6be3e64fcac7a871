"""The order of service: calls wait by age, and a priority is worth a fixed amount of it.

A call's key is the time of its submission less `priority x priority_age`, fixed when it enters, so that whoever waits
long enough comes first and nothing starves. Comes after admission, before dispatch.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Reversible

    from millpond.core.records.call import Call


FEW = 8  # priorities whose work is told apart


class CallQueue:
    """Calls that may run next, in the order of their keys; adding, taking and leaving are O(1) in the calls waiting.

    One first-in-first-out lane a priority: within a lane keys rise, because time does. Calls that come late (withdrawn
    in time, to be retried, or moved up in their session's line) are older than their lane's end: these stand in a
    sorted list, O(log n) and a move of memory. `size` is what `len` gives, without the call. `expected_s` is the work
    that waits, in seconds, as far as it could be told when it came.
    """

    __slots__ = ("_lanes", "_late", "_special", "expected_s", "size", "variance")

    def __init__(self) -> None:
        # priority -> call id -> call; the ordinary priority's lane stays, so that it is not made anew for each call
        self._lanes: dict[int, OrderedDict[int, Call]] = {0: OrderedDict()}
        self._late: list[tuple[float, int, Call]] = []  # (key, id, call), ascending
        self.size = 0
        self.expected_s = self.variance = 0.0
        self._special: dict[int, float] = {}  # priority but 0 -> its part of `expected_s`, while it has a lane

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Call]:
        for _, _, call in self._late:
            yield call
        for lane in self._lanes.values():
            yield from lane.values()

    def push(self, call: Call) -> None:
        """Add a call where its key says: behind those of its priority, unless it is older."""
        lane = self._lanes.get(call.priority)
        if lane is None:
            lane = self._lanes[call.priority] = OrderedDict()
        if lane and _key(next(reversed(lane.values()))) > _key(call):
            insort(self._late, (call.key, call.id, call))
        else:
            lane[call.id] = call
        call.line = self
        self.size += 1
        service = call.op.service
        call.expected = service.mean_s
        if call.expected:
            call.spread = service.variance
            self.expected_s += call.expected
            self.variance += call.spread
            if call.priority:
                self._special[call.priority] = self._special.get(call.priority, 0.0) + call.expected

    def head(self) -> Call | None:
        """The call to be served next, left where it is."""
        if not self.size:
            return None
        lanes = self._lanes
        if len(lanes) == 1 and not self._late:
            return next(iter(lanes[0].values()))
        heads = [next(iter(lane.values())) for lane in lanes.values() if lane]
        if self._late:
            heads.append(self._late[0][2])
        return min(heads, key=_key)

    def oldest(self) -> float | None:
        """When the call was submitted that stands here longest, if any does."""
        firsts = [next(iter(lane.values())) for lane in self._lanes.values() if lane]
        firsts += (call for _, _, call in self._late)
        return min((call.submitted_at for call in firsts), default=None)

    def overdue(self, patience_s: float, window_s: float, now: float, most: int) -> tuple[int, float]:
        """How many calls are so old, and by no more than the window, up to `most`; and when the next will be, unless
        there are so many. A window of 0 has no end.
        """
        count, next_at = 0, math.inf
        lines: list[Reversible[Call]] = [[call for _, _, call in self._late]]
        lines += (lane.values() for lane in self._lanes.values())
        for line in lines:
            for call in reversed(line) if window_s else line:
                old_at = call.submitted_at + patience_s
                if old_at > now:
                    next_at = min(next_at, old_at)
                    if not window_s:
                        break
                elif window_s and old_at + window_s < now:
                    break
                else:
                    count += 1
                    if count >= most:
                        return count, math.inf
        return count, next_at

    def remove(self, call: Call) -> None:
        """Take a call out, wherever it stands."""
        lane = self._lanes.get(call.priority)
        if lane is not None and lane.pop(call.id, None) is not None:
            if not lane and call.priority:
                del self._lanes[call.priority]
        else:
            del self._late[bisect_left(self._late, (call.key, call.id))]
        call.line = None
        self.size -= 1
        if not self.size:  # what rounding left is forgotten
            self.expected_s = self.variance = 0.0
            self._special.clear()
        elif call.expected:
            self.expected_s -= call.expected
            self.variance -= call.spread
            if call.priority:
                self._special[call.priority] = self._special.get(call.priority, 0.0) - call.expected
                if call.priority not in self._lanes:
                    del self._special[call.priority]

    def share_ahead(self, priority: int, key: float) -> float:
        """What share of the work here would come before a new call, at most: that of its priority and of those above
        it, and of each below in which any call is old enough.
        """
        ahead = self.expected_s
        special = self._special
        if not special or len(self._lanes) > FEW or not ahead:
            return 1.0
        for other, lane in self._lanes.items():
            if other < priority and lane and next(iter(lane.values())).key > key:
                ahead -= special.get(other, 0.0) if other else self.expected_s - sum(special.values())
        return max(0.0, ahead / self.expected_s)


def _key(call: Call) -> tuple[float, int]:
    return call.key, call.id
