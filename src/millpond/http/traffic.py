"""The server's own figures: requests by route and class of status, and how long they took.

Plain numbers, added to where a request is answered. Routes are those of the table, so that no client makes series.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

from millpond.metrics.catalogue import Family
from millpond.metrics.readers import Sample

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
UNANSWERED = 499  # the client left first
OTHER = "(other)"  # no route
CALL = "/v1/pools/{pool}/call/{operation}"
SESSION_CALL = "/v1/pools/{pool}/sessions/{session}/call/{operation}"


class Traffic:
    """What one application has answered."""

    def __init__(self) -> None:
        self.running = 0  # requests that are being answered
        self.connections: Callable[[], int] | None = None  # how many are open, if the server tells
        self._answered: dict[tuple[str, int], int] = {}  # route and class of status -> requests
        self._took = [0] * (len(BOUNDS_S) + 1)  # by the first bound that is not exceeded
        self._seconds = 0.0

    def note(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = route, status // 100
        self._answered[key] = self._answered.get(key, 0) + 1
        self._took[bisect_left(BOUNDS_S, seconds)] += 1
        self._seconds += seconds

    def families(self) -> list[Family]:
        """The figures as metrics."""
        counts: list[Sample] = [
            ("", (("route", route), ("status", f"{status}xx")), float(count))
            for (route, status), count in self._answered.items()
        ]
        bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
        upto = [float(count) for count in accumulate(self._took)]
        took: list[Sample] = [("_bucket", (("le", bound),), n) for bound, n in zip(bounds, upto, strict=True)]
        took += [("_sum", (), self._seconds), ("_count", (), upto[-1])]
        found = [
            Family("millpond_http_requests_total", "counter", "", "Requests that were answered.", counts),
            Family("millpond_http_request_seconds", "histogram", "seconds", "How long answering them took.", took),
            _gauge("millpond_http_requests_running", "Requests that are being answered.", self.running),
        ]
        if self.connections is not None:
            found.append(_gauge("millpond_http_connections", "Connections that are open.", self.connections()))
        return found


def _gauge(name: str, text: str, value: int) -> Family:
    return Family(name, "gauge", "", text, [("", (), float(value))])
