"""Calls a test has stopped: begun in their worker, and kept before the operation's first line until they are released.

Knows neither workers nor engines; `worker` asks it for each call.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Held:
    """One call that is held: in which worker (id), the call's id, its operation. `release` lets this one go on."""

    worker: int
    call_id: int
    operation: str
    is_stubborn: bool
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    is_released: bool = False

    def release(self) -> None:
        """Let it go on; on the pool's loop."""
        self.is_released = True
        self.bell.set()


class Holding:
    """Which operations are held (`None` for all), and the calls that are."""

    def __init__(self) -> None:
        self.calls: dict[int, Held] = {}  # call id -> held call, in the order they began
        self._rules: dict[str | None, bool] = {}  # operation -> whether its calls ignore interrupts
        self._looking: set[asyncio.Event] = set()

    def hold(self, operation: str | None, is_stubborn: bool) -> None:
        """Keep calls that begin from now on."""
        self._rules[operation] = is_stubborn

    def release(self, operation: str | None) -> None:
        """Keep no more of them, and let go those that are kept; of one operation or of all."""
        if operation is None:
            self._rules.clear()
        self._rules.pop(operation, None)
        for held in self.of(operation):
            held.release()

    def of(self, operation: str | None) -> list[Held]:
        """The calls held, oldest first; of one operation or of all."""
        return [held for held in self.calls.values() if operation in (None, held.operation)]

    def entered(self, worker: int, call_id: int, operation: str) -> Held | None:
        """A call begins; what holds it, if anything does."""
        if operation not in self._rules and None not in self._rules:
            return None
        is_stubborn = self._rules.get(operation, self._rules.get(None, False))
        held = self.calls[call_id] = Held(worker, call_id, operation, is_stubborn)
        for bell in self._looking:
            bell.set()
        return held

    def left(self, held: Held) -> None:
        """The call goes on, or was given up."""
        if self.calls.get(held.call_id) is held:  # else its worker died, and the call may be held in another by now
            del self.calls[held.call_id]

    def forget(self, worker: int) -> None:
        """The worker died, and what was held in it is gone."""
        self.calls = {call_id: held for call_id, held in self.calls.items() if held.worker != worker}

    async def wait(self, count: int, operation: str | None) -> list[Held]:
        """Wait until so many are held."""
        bell = asyncio.Event()
        self._looking.add(bell)
        try:
            while len(held := self.of(operation)) < count:
                bell.clear()
                await bell.wait()
            return held
        finally:
            self._looking.discard(bell)
