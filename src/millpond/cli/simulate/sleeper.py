"""The handler of a validated simulation: its start and its calls take the time they are told to, and do nothing."""

from __future__ import annotations

import time
from typing import Any


class Sleeper:
    """Takes so many seconds to be made."""

    def __init__(self, start_s: float) -> None:
        time.sleep(start_s)

    def work(self, seconds: float, *, session: Any = None) -> float:
        """Take so many seconds; when it began, by the clock that all processes of the machine share."""
        began = time.monotonic()
        time.sleep(seconds)
        return began
