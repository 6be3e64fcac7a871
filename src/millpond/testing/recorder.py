"""Keeps every event a pool says, in order, and waits for the one a test needs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from millpond.events import Event
from millpond.telemetry.bus import HasTelemetry

_numbers = itertools.count(1)


class EventRecorder:
    """Records from the moment it is made until `close`, or the end of its `with`; `events` as for `Bus.attach`."""

    def __init__(self, pool: HasTelemetry, events: str | Iterable[str] | None = None) -> None:
        self.events: list[Event] = []
        self._bus = pool.telemetry
        self._id = f"event-recorder-{next(_numbers)}"
        self._waiting: set[Callable[[], object]] = set()  # wake one task each, from whichever thread an event comes
        self._bus.attach(self._id, events, self._hear)

    def names(self) -> list[str]:
        """The events' names, in order."""
        return [event.name for event in self.events]

    def of(self, name: str, **fields: Any) -> list[Event]:
        """The events of that name whose fields have these values."""
        return [event for event in self.events if event.name == name and _has(event, fields)]

    async def wait(self, name: str, count: int = 1, timeout: float = 10.0, **fields: Any) -> list[Any]:
        """Wait until `count` such events were said, since the recorder was made, and return them.

        Raises `TimeoutError` after `timeout` seconds (of the machine's clock), naming what was said instead. Works for
        a `SyncPool` too, from any loop.
        """
        bell = asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, bell.set)
        self._waiting.add(wake)
        try:
            async with asyncio.timeout(timeout):
                while len(found := self.of(name, **fields)) < count:
                    await bell.wait()
                    bell.clear()
                return found
        except TimeoutError:
            wanted = f"{count} x {name} {fields or ''}".rstrip()
            said = ", ".join(self.names()) or "nothing"
            raise TimeoutError(f"not within {timeout} s: {wanted}; said was {said}") from None
        finally:
            self._waiting.discard(wake)

    def close(self) -> None:
        """Record no more. Idempotent."""
        self._bus.detach(self._id)

    def __enter__(self) -> EventRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        for wake in list(self._waiting):
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                wake()


def _has(event: Event, fields: dict[str, Any]) -> bool:
    return all(hasattr(event, name) and getattr(event, name) == value for name, value in fields.items())
