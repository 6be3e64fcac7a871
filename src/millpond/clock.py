"""The clock of real pools."""

from __future__ import annotations

import time


class MonotonicClock:
    """CLOCK_MONOTONIC, which all processes of a machine share; wall-clock changes do not reach it."""

    now = staticmethod(time.monotonic)
