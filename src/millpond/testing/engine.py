"""An engine without processes: its workers' handlers live in the test, and its failures come when the test says so.

Given to a pool as `engine=`. Everything happens on the pool's loop and in the same order each time; with a
`ManualClock`, at the time the test says, too.
"""

from __future__ import annotations

import asyncio
import importlib
from collections import deque
from typing import Any

from millpond.clock import MonotonicClock
from millpond.errors import StartFailed
from millpond.seams import Clock, EngineEvents, EngineSpec, HandlerFacts, NoStack
from millpond.testing.direct_answers import parts_of, private
from millpond.testing.fake_worker import FakeWorker
from millpond.testing.holding import Held, Holding
from millpond.wire.codec import Codec, Encoded, make_codec
from millpond.wire.handlerspec import encode_arguments, encode_handler, load_handler
from millpond.wire.wording import traceback_text
from millpond.worker.handler import facts_of


class Sent:
    """A call as it was given to a worker: `worker` (id), `call_id`, `operation`, and `session` (id or `None`)."""

    def __init__(self, worker: int, call: Any, codec: Codec) -> None:
        self.worker = worker
        self.call_id: int = call.id
        self.operation: str = call.op.name
        self.session: str | None = call.session.id if call.session is not None else None
        self._payload: bytes | Encoded = private(call.payload)
        self._form: int = call.form
        self._codec = codec

    def arguments(self) -> Any:
        """What travelled: `(args, kwargs)`, the first of a function's being its encoded form; empty for an errand.

        Of a call by a document its body.
        """
        if self._form:
            stream, buffers = parts_of(self._payload)
            return b"".join((stream, *buffers))
        if not len(self._payload):
            return ()
        args, kwargs = self._codec.decode_arguments(*parts_of(self._payload))
        return tuple(args), kwargs

    def __repr__(self) -> str:
        return f"<Sent call {self.call_id} {self.operation} to worker {self.worker}>"


class FakeEngine:
    """`workers` are those alive, by id; `sent` is every call that was given to one, in order."""

    def __init__(self) -> None:
        self.workers: dict[int, FakeWorker] = {}
        self.sent: list[Sent] = []
        self.holding = Holding()
        self.clock: Clock = MonotonicClock()
        self.handler: type | None = None
        self.arguments = b""
        self.handler_facts: HandlerFacts
        self._facts: HandlerFacts | None = None  # the same, once they are known
        self.new_handler: type | None = None  # what `replace_workers` is to find in place of the handler
        self._handler_before: type | None = None
        self._start_failures: deque[str] = deque()
        self._revivals_to_fail = 0
        self._starts_go_on = asyncio.Event()
        self._starts_go_on.set()

    # For tests

    def hold(self, operation: str | None = None, *, is_stubborn: bool = False) -> None:
        """Keep each call of this operation (of all) from now on: begun, and before its first line.

        An interrupt ends a held call, unless it is stubborn: that one goes on until it is released or killed.
        """
        self.holding.hold(operation, is_stubborn)

    def release(self, operation: str | None = None) -> None:
        """Let go what is held of this operation (of all), and hold no more of it."""
        self.holding.release(operation)

    def held(self, operation: str | None = None) -> list[Held]:
        """The calls held now, oldest first."""
        return self.holding.of(operation)

    async def wait_held(self, count: int = 1, operation: str | None = None, timeout: float = 10.0) -> list[Held]:
        """Wait until so many are held, and return them; `TimeoutError` after `timeout` seconds of the machine's."""
        async with asyncio.timeout(timeout):
            return await self.holding.wait(count, operation)

    def hold_starts(self) -> None:
        """Let no worker become ready."""
        self._starts_go_on.clear()

    def release_starts(self) -> None:
        """Let workers become ready again, first those that were kept."""
        self._starts_go_on.set()

    def fail_starts(self, message: str, count: int = 1) -> None:
        """Let the next `count` workers fail to start, each saying `message`."""
        self._start_failures.extend([message] * count)

    def lose(self, message: str, revivals_to_fail: int = 0) -> None:
        """Be lost with all workers, as an engine whose warden died; the next so many tries to revive it fail."""
        self._revivals_to_fail = revivals_to_fail
        workers = list(self.workers.values())
        self.events.engine_lost(message)
        self.events.workers_lost([worker.record for worker in workers], message)
        for worker in workers:
            worker.die(9)

    # The workers' side

    async def may_start(self) -> None:
        """Wait while starts are held; raises `RuntimeError` if this one is to fail."""
        await self._starts_go_on.wait()
        if self._start_failures:
            raise RuntimeError(self._start_failures.popleft())

    def remove(self, worker: FakeWorker) -> None:
        """Count a dead worker no more."""
        self.workers.pop(worker.id, None)
        self.holding.forget(worker.id)

    # `millpond.seams.Engine`

    async def open(self, spec: EngineSpec, events: EngineEvents) -> HandlerFacts | None:
        """Look at the handler; `StartFailed` ends with the traceback of what its module or `preload` raised."""
        self.events = events
        self.settings = spec.settings
        self.clock = spec.clock or MonotonicClock()
        self._codec = make_codec(spec.settings.codec, spec.settings.buffer_threshold)
        self._spec = spec
        return self._use(self._load())

    async def renew(self) -> HandlerFacts | None:
        """Look at the handler again, or at `new_handler`, which must have the same operations."""
        self._handler_before = self.handler
        return self._use(self.new_handler or self._load())

    def settle(self, is_kept: bool) -> None:
        """Keep the handler, or make workers of the one before again."""
        if not is_kept:
            self._use(self._handler_before)

    async def close(self) -> None:
        """End every worker."""
        for worker in list(self.workers.values()):
            worker.die()

    def facts(self) -> HandlerFacts | None:
        """The handler's facts."""
        return self._facts

    def start(self, worker: Any) -> None:
        """Begin to make a worker."""
        made = self.workers[worker.id] = FakeWorker(self, worker)
        made.begin()

    def revive(self) -> None:
        """Be there again, or lost again."""
        loop = asyncio.get_running_loop()
        if self._revivals_to_fail:
            self._revivals_to_fail -= 1
            loop.call_soon(self.events.engine_lost, "it could not be revived")
        else:
            loop.call_soon(self.events.engine_back)

    def send(self, worker: Any, call: Any) -> None:
        """Give a call to a worker; one that died meanwhile takes none."""
        there = self.workers.get(worker.id)
        if there is not None:
            self.sent.append(Sent(worker.id, call, self._codec))
            there.take(call)

    def holds(self, worker: Any, call: Any) -> bool:
        """Whether the worker was given the call and has not answered it."""
        there = self.workers.get(worker.id)
        return there is not None and call.id in there.model.held

    def withdraw(self, worker: Any, call: Any) -> bool:
        """Take back a call. True: it did not start, and will not."""
        there = self.workers.get(worker.id)
        return there is not None and there.model.withdraw(call.id)

    def interrupt(self, worker: Any, call: Any) -> None:
        """Ask the operation to stop."""
        there = self.workers.get(worker.id)
        if there is not None:
            there.interrupt(call)

    def credit(self, worker: Any, call_id: int, items: int) -> None:
        """Let a stream go on by so many items."""
        there = self.workers.get(worker.id)
        if there is not None:
            there.credit(call_id, items)

    def forget_session(self, worker: Any, number: int) -> None:
        """Drop a session's record in the worker."""
        there = self.workers.get(worker.id)
        if there is not None:
            there.forget(number)

    def check(self) -> None:
        """Nothing here is ever half sent."""

    def ping(self, worker: Any) -> None:
        """Ask for a sign."""
        there = self.workers.get(worker.id)
        if there is not None:
            asyncio.get_running_loop().call_soon(there.pong)

    def stop(self, worker: Any) -> None:
        """Let the worker tear down and go."""
        there = self.workers.get(worker.id)
        if there is not None:
            there.leave()

    def kill(self, worker: Any) -> None:
        """End a worker."""
        there = self.workers.get(worker.id)
        if there is not None:
            asyncio.get_running_loop().call_soon(there.die, 9)

    def heartbeat(self, worker: Any) -> float:
        """A frozen worker gives no sign; any other just did."""
        there = self.workers.get(worker.id)
        return 0.0 if there is None or there.is_frozen else self.clock.now()

    def is_stopped(self, worker: Any) -> bool:
        """Whether the test froze it."""
        there = self.workers.get(worker.id)
        return there is not None and there.is_frozen

    def catch_up(self) -> None:
        """Nothing is left unread: what a worker says is heard at once."""

    def memory(self, worker: Any) -> int | None:
        """What the test says."""
        there = self.workers.get(worker.id)
        return None if there is None else there.memory_bytes

    async def stack(self, worker: Any) -> str:
        """There is none: a fake worker is no process."""
        raise NoStack("a fake worker is no process, and has no stack of its own")

    def logs(self, worker: Any | None = None) -> str:
        """Nothing: what handlers print goes where the test's own output goes."""
        return ""

    def _load(self) -> type | None:
        spec = self._spec
        try:
            for name in spec.settings.preload:
                importlib.import_module(name)
            handler = spec.handler if isinstance(spec.handler, type) else load_handler(encode_handler(spec.handler))
            if handler is not None and hasattr(handler, "preload"):
                handler.preload()
            self.arguments = encode_arguments(spec.args, spec.kwargs)
        except Exception as error:
            raise StartFailed(f"no worker can be started: {traceback_text(error).rstrip()}") from error
        return handler

    def _use(self, handler: type | None) -> HandlerFacts:
        """Make workers of this handler from now on."""
        self.handler, self.handler_facts = handler, facts_of(handler)
        self._facts = self.handler_facts
        return self.handler_facts
