"""The worker's own runner of calls, fed from memory, and its plans carried out as tasks of the test's loop."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from millpond.testing.direct_answers import DirectAnswers, parts_of
from millpond.wire.codec import Codec
from millpond.wire.logbook import Logbook
from millpond.worker import parallel
from millpond.worker.runner import Runner
from millpond.worker.tracing import traced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.wire.frames import Fields
    from millpond.worker.channel import FrameChannel
    from millpond.worker.handler import BoundOperation
    from millpond.worker.handler_session import SessionSlot
    from millpond.worker.loop import Running
    from millpond.worker.saving import Saver


class _NoChannel:
    """The runner's socket: there is none, and it is not in a forked child."""

    is_disowned = False


class MemoryRunner(Runner):
    """The worker's runner of calls, whose payloads never were on a wire."""

    __slots__ = ("_decoder", "headers")

    def __init__(
        self,
        logbook: Logbook,
        codec: Codec,
        answers: DirectAnswers,
        operations: list[Any],
        hooks: dict[str, Any],
        saver: Saver | None,
    ) -> None:
        self._decoder = codec
        self.headers: dict[int, bytes] = {}  # call id -> its trace header, while it runs
        channel = cast("FrameChannel", _NoChannel())
        super().__init__(channel, logbook, codec, None, answers, operations, hooks, saver)
        self.interruptions += (asyncio.CancelledError,)

    def decode(
        self, operation: BoundOperation, fields: Fields, body: Any, slot: SessionSlot
    ) -> tuple[Callable[..., Any], Iterable[Any], dict[str, Any]]:
        """What to call with what, in the trace of its caller."""
        function, args, kwargs = super().decode(operation, fields, body, slot)
        header = self.headers.get(fields[7])
        return function if header is None else traced(header, operation.kind, function), args, kwargs

    def document(self, body: Any, flags: int) -> Any:
        """The body of a document."""
        stream, buffers = parts_of(body)
        return b"".join((stream, *buffers))

    def decode_arguments(self, body: Any, flags: int) -> Any:
        """The arguments in a payload."""
        return self._decoder.decode_arguments(*parts_of(body))


async def _credit(running: Running) -> None:
    """Until the call's stream may go on; unlike a worker's task, one of a fake worker may be cancelled meanwhile."""
    running.bell = bell = asyncio.Event()
    while not running.may_go_on():
        bell.clear()
        await bell.wait()


carry_out = partial(parallel.carry_out, wait=_credit)
