"""What the real pools run: a handler that takes time to start, and an operation that says when it began."""

from __future__ import annotations

import time


class Waiter:
    """Uses no processor to speak of, so that the pools that are compared do not take it from each other."""

    def __init__(self, start_s: float) -> None:
        time.sleep(start_s)

    def work(self, seconds: float) -> float:
        """When it began, by the clock that all processes of a machine share."""
        began = time.monotonic()
        time.sleep(seconds)
        return began
