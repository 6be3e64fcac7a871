"""What a pool would cost that knew when each request comes: the yardstick that no policy without foresight is held to.

Each request finds a worker that is ready; an idle one is kept exactly if that is no dearer than to start another in
time.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def clairvoyant_worker_seconds(
    arrivals: Sequence[float], services: Sequence[float], cold_s: float, t0: float, t1: float
) -> float:
    """Worker-seconds between `t0` and `t1` for requests that come at `arrivals`, ascending, and take `services`.

    A request takes over the worker that became free last, at f, if it comes by f + cold_s: [f, arrival] is paid. Else
    that worker goes, and another is started in time: [arrival - cold_s, arrival]. There may be any number of workers.
    """
    paid = 0.0
    busy: list[float] = []  # heap: when each becomes free
    free: list[float] = []  # since when each is, ascending

    for arrival, service in zip(arrivals, services, strict=True):
        while busy and busy[0] <= arrival:
            free.append(heapq.heappop(busy))
        begin = arrival - cold_s
        if free:
            begin = max(begin, free.pop())
        end = arrival + service
        heapq.heappush(busy, end)
        paid += max(0.0, min(end, t1) - max(begin, t0))
    return paid
