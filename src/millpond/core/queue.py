"""The order of service: calls wait by age, and a priority is worth a fixed amount of it.

A call's key is the time of its submission less `priority x priority_age`, fixed when it enters, so that whoever waits
long enough comes first and nothing starves. Comes after admission, before dispatch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core.call import Call


class CallQueue:
    """Calls that may run next, in the order of their keys; adding, taking and leaving are O(1) in the calls waiting.

    One first-in-first-out lane a priority: within a lane keys rise, because time does. Calls that come late (withdrawn
    in time, to be retried, or moved up in their session's line) are older than their lane's end: these stand in a
    sorted list, O(log n) and a move of memory. `size` is what `len` gives, without the call.
    """

    __slots__ = ("_lanes", "_late", "size")

    def __init__(self) -> None:
        # priority -> call id -> call; the ordinary priority's lane stays, so that it is not made anew for each call
        self._lanes: dict[int, OrderedDict[int, Call]] = {0: OrderedDict()}
        self._late: list[tuple[float, int, Call]] = []  # (key, id, call), ascending
        self.size = 0

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
        call.place = self
        self.size += 1

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

    def remove(self, call: Call) -> None:
        """Take a call out, wherever it stands."""
        lane = self._lanes.get(call.priority)
        if lane is not None and lane.pop(call.id, None) is not None:
            if not lane and call.priority:
                del self._lanes[call.priority]
        else:
            del self._late[bisect_left(self._late, (call.key, call.id))]
        call.place = None
        self.size -= 1


def _key(call: Call) -> tuple[float, int]:
    return call.key, call.id
