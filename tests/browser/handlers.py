"""What the workers of the live page's tests run."""

from __future__ import annotations

import sys
import time


class Talking:
    """Sleeps, and talks."""

    def nap(self, seconds: float) -> None:
        time.sleep(seconds)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
