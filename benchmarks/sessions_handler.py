"""The handler whose sessions are measured; imported by name in the workers."""

from __future__ import annotations

import os
import time
from typing import Any


class Notes:
    """A session here is a counter and what it is asked to hold beside it."""

    def hold(self, kind: str, size: int, *, session: Any) -> None:
        """Hold `size` random bytes, or a dictionary of so many keys."""
        if kind == "bytes":
            session.state["held"] = os.urandom(size)
        else:
            session.state["held"] = {f"key {n}": {"value": n, "text": "some text"} for n in range(size)}

    def count(self, *, session: Any) -> int:
        """One more; what a durable pool answered here may not be lost."""
        session.state["n"] = session.state.get("n", 0) + 1
        return int(session.state["n"])

    def value(self, *, session: Any) -> int:
        """The count, unchanged."""
        return int(session.state.get("n", 0))

    def where(self, *, session: Any) -> int:
        """The process that has the session."""
        return os.getpid()

    def think(self, seconds: float, *, session: Any) -> float:
        """Wait on behalf of the session, as an agent does for its model; when it began, on the machine's clock."""
        began = time.monotonic()
        session.state["n"] = session.state.get("n", 0) + 1
        time.sleep(seconds)
        return began

    def pause(self, seconds: float) -> None:
        """Keep a worker busy."""
        time.sleep(seconds)
