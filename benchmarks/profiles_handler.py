"""The handler that profiles are compared with; imported by name in the workers."""

from __future__ import annotations

import time

LOAD_S = 1.0  # what making an instance takes


class Plain:
    """Starts at once."""

    def echo(self, value: int) -> int:
        """The shortest call there is."""
        return value

    def pause(self, seconds: float) -> float:
        """Keep the worker for so long, without its processor; when that began, on the machine's clock."""
        began = time.monotonic()
        time.sleep(seconds)
        return began


class Slow(Plain):
    """Takes a second to start."""

    def __init__(self) -> None:
        time.sleep(LOAD_S)
