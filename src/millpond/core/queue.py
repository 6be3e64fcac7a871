"""The order of service: calls wait by age, and a priority is worth a fixed amount of it.

A call's key is the time of its submission less `priority x priority_age`, fixed when it enters, so that whoever waits
long enough comes first and nothing starves. Comes after admission, before dispatch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.core.call import Call


class CallQueue:
    """Calls that may run next, in the order of their keys; each operation is O(1) in the calls waiting.

    One first-in-first-out lane a priority; the head with the smallest key is the head of the queue. Within a lane keys
    rise, because time does.
    """

    __slots__ = ("_lanes", "_size")

    def __init__(self) -> None:
        # priority -> call id -> call; the ordinary priority's lane stays, so that it is not made anew for each call
        self._lanes: dict[int, OrderedDict[int, Call]] = {0: OrderedDict()}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Call]:
        for lane in self._lanes.values():
            yield from lane.values()

    def push(self, call: Call) -> None:
        """Add a call behind those of its priority."""
        self._lane(call.priority)[call.id] = call
        call.place = self
        self._size += 1

    def push_front(self, call: Call) -> None:
        """Put back a call that was ahead of all others of its priority."""
        lane = self._lane(call.priority)
        lane[call.id] = call
        lane.move_to_end(call.id, last=False)
        call.place = self
        self._size += 1

    def head(self) -> Call | None:
        """The call to be served next, left where it is."""
        lanes = self._lanes
        if not self._size:
            return None
        if len(lanes) == 1:
            return next(iter(lanes[0].values()))
        return min((next(iter(lane.values())) for lane in lanes.values() if lane), key=_key)

    def pop(self) -> Call:
        """Take the head out. Raises `IndexError` when nothing waits."""
        call = self.head()
        if call is None:
            raise IndexError("nothing waits")
        self.remove(call)
        return call

    def remove(self, call: Call) -> None:
        """Take a call out, wherever it stands."""
        lane = self._lanes[call.priority]
        del lane[call.id]
        if not lane and call.priority:
            del self._lanes[call.priority]
        call.place = None
        self._size -= 1

    def _lane(self, priority: int) -> OrderedDict[int, Call]:
        lane = self._lanes.get(priority)
        if lane is None:
            lane = self._lanes[priority] = OrderedDict()
        return lane


def _key(call: Call) -> float:
    return call.key
