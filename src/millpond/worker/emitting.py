"""`millpond.emit`: a handler says something of its own, and the parent's listeners hear it with worker and call.

Never waits, and never sends more than the pool allows: what is too much is counted and told with the next that goes
through. Outside a worker it does nothing.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from millpond.wire.emitted import check_name, described, measured
from millpond.wire.frames import EVENT, pack
from millpond.worker.stack import call_id_of, shielded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from millpond.wire.emitted import Number, Plain
    from millpond.worker.channel import FrameChannel

    Send = Callable[[int, str, dict[str, Number], dict[str, Plain], int], bool]

BURST_S = 1.0  # seconds' worth of events that may go out at once


class Emitter:
    """One worker's. `send` is given call id, name, measurements, metadata and how many were suppressed before it.

    A bucket of `rate` events a second. Threads of a handler share it without a lock: at worst one more goes through.
    """

    __slots__ = ("_left", "_most", "_now", "_rate", "_send", "_since", "_suppressed")

    def __init__(self, send: Send, rate: float, now: Callable[[], float] = monotonic) -> None:
        self._send = send
        self._rate = rate
        self._most = max(1.0, rate * BURST_S) if rate else 0.0
        self._left = self._most
        self._now = now
        self._since = now()
        self._suppressed = 0

    def emit(self, call_id: int, name: str, measurements: dict[str, Number], metadata: dict[str, Plain]) -> bool:
        """Send an event, unless there were too many."""
        # Two threads at once may both read what is left before either has taken of it: one event too many goes through,
        # or a count of the suppressed is told twice or not at all. A lock would be one that a signal handler finds
        # taken.
        now = self._now()
        self._left = min(self._most, self._left + (now - self._since) * self._rate)
        self._since = now
        if self._left < 1.0:
            self._suppressed += 1
            return False
        self._left -= 1.0
        suppressed, self._suppressed = self._suppressed, 0
        return self._send(call_id, name, measurements, metadata, suppressed)


_process: list[Emitter] = []  # the one of this process, if it is a worker: of all its threads
HERE: ContextVar[Emitter | None] = ContextVar("millpond_emitter", default=None)  # of a worker that is no process


def install(channel: FrameChannel, incarnation: int, rate: float) -> None:
    """From now on this process is a worker whose events go to its parent."""

    def send(
        call_id: int, name: str, measurements: dict[str, Number], metadata: dict[str, Plain], suppressed: int
    ) -> bool:
        if channel.is_disowned:
            return False
        body = msgspec.msgpack.encode([name, measurements, metadata, suppressed])
        channel.post(pack(len(body), EVENT, 0, 0, 0, 0, incarnation, call_id, 0, 0.0, 0.0) + body)
        return True

    _process[:] = [Emitter(send, rate)]


@shielded
def emit(name: str, measurements: Mapping[str, Any] | None = None, /, **metadata: Any) -> bool:
    """From inside a worker: say an event of your own, such as `millpond.emit("model.tokens", {"tokens": 12})`.

    It reaches the listeners of `pool.telemetry` as a `UserEvent` with worker, call and operation. `measurements` are
    numbers; metadata are texts (cut at 200 characters), numbers, booleans or `None`. A worker may say `emit_rate`
    events a second, a second's worth at once; how many were suppressed is told with the next. Returns whether it was
    sent: never outside a worker. Raises `ValueError` for a name that is none or begins like the pool's own, `TypeError`
    for values that cannot be sent.
    """
    emitter = HERE.get() or (_process[0] if _process else None)
    if emitter is None:
        return False
    message = check_name(name), measured(measurements or {}), described(metadata)
    return emitter.emit(call_id_of(sys._getframe()), *message)
