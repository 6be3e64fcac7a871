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

    One first-in-first-out lane a priority: within a lane keys rise, because time does. Calls that come back (withdrawn
    in time, or to be retried) are older than their lane's end and stand in a short sorted list of their own.
    """

    __slots__ = ("_lanes", "_returned", "_size")

    def __init__(self) -> None:
        # priority -> call id -> call; the ordinary priority's lane stays, so that it is not made anew for each call
        self._lanes: dict[int, OrderedDict[int, Call]] = {0: OrderedDict()}
        self._returned: list[tuple[float, int, Call]] = []  # (key, id, call), ascending
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Call]:
        for _, _, call in self._returned:
            yield call
        for lane in self._lanes.values():
            yield from lane.values()

    def push(self, call: Call) -> None:
        """Add a call behind those of its priority."""
        lane = self._lanes.get(call.priority)
        if lane is None:
            lane = self._lanes[call.priority] = OrderedDict()
        lane[call.id] = call
        call.place = self
        self._size += 1

    def put_back(self, call: Call) -> None:
        """Let a call that was taken out stand again where its key says."""
        insort(self._returned, (call.key, call.id, call))
        call.place = self
        self._size += 1

    def head(self) -> Call | None:
        """The call to be served next, left where it is."""
        if not self._size:
            return None
        lanes = self._lanes
        if len(lanes) == 1 and not self._returned:
            return next(iter(lanes[0].values()))
        heads = [next(iter(lane.values())) for lane in lanes.values() if lane]
        if self._returned:
            heads.append(self._returned[0][2])
        return min(heads, key=_key)

    def remove(self, call: Call) -> None:
        """Take a call out, wherever it stands."""
        lane = self._lanes.get(call.priority)
        if lane is not None and lane.pop(call.id, None) is not None:
            if not lane and call.priority:
                del self._lanes[call.priority]
        else:
            del self._returned[bisect_left(self._returned, (call.key, call.id))]
        call.place = None
        self._size -= 1


def _key(call: Call) -> tuple[float, int]:
    return call.key, call.id
