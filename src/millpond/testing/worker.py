"""A worker without a process: the handler's instance, and the worker's own code that runs its calls on the test's loop.

Each call is claimed, decoded, run and answered as in a real worker, one a turn of the loop. What a process can suffer
is said with a method: `die`, `freeze`, `thaw`. Plain operations run to their end once begun, as nothing interrupts the
test's own thread; async ones and streams are stopped as they are in a process, and so is what is held.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from millpond.errors import Interrupted
from millpond.logger.escaping import brief_of
from millpond.seams import EXPORT_ASIDE, EXPORTS, Death
from millpond.testing.answers import DirectAnswers, private
from millpond.testing.running import MemoryRunner, carry_out
from millpond.wire.codec import Encoded, make_codec
from millpond.wire.frames import CALL, SEGMENTED
from millpond.wire.handlerspec import load_arguments
from millpond.wire.logbook import POSITIONS, Logbook
from millpond.wire.segments import Parts
from millpond.wire.wording import error_text, traceback_text, type_name
from millpond.worker import emitting
from millpond.worker.handler import operations_of
from millpond.worker.handler_session import Session, SessionSlot
from millpond.worker.replies import without_our_frames
from millpond.worker.running_call import Running
from millpond.worker.saving import Saver
from millpond.worker.stack import TASK_CALL
from millpond.worker.steps import plan

if TYPE_CHECKING:
    from millpond.seams import AnswerKind
    from millpond.testing.engine import FakeEngine
    from millpond.wire.frames import Fields
    from millpond.wire.saved import Saved

FIRST_PID = 2**22  # above what Linux gives to processes, so that no test hits a real one


class FakeWorker:
    """One worker of a `FakeEngine`; its methods are for the pool's loop.

    `handler` is the handler's instance once it was made; `memory_bytes` and `answers_pings` are what the pool finds
    when it looks after the worker, to be set by the test.
    """

    def __init__(self, engine: FakeEngine, record: Any) -> None:
        self.id: int = record.id
        self.pid = FIRST_PID + self.id
        self.handler: Any = None
        self.is_alive = True
        self.is_frozen = False
        self.answers_pings = True
        self.memory_bytes: int | None = None
        self._engine = engine
        self.record = record
        self._runner: MemoryRunner | None = None
        self._answers: DirectAnswers | None = None
        self._logbook = Logbook.create()
        self._logbook.close_fd()
        self._free = list(range(POSITIONS - 1, -1, -1))
        self._calls: dict[int, Any] = {}  # position -> call: sent and not answered
        self._positions: dict[int, int] = {}  # call id -> where it was put last
        self._leases: dict[int, int] = {}  # number of each session it has -> the lease it was introduced under
        self._taken_back: set[int] = set()  # positions of those the pool withdrew in time
        self._inbox: deque[tuple[Any, int, bytes | Encoded]] = deque()  # calls it has not got to
        self._errands: deque[tuple[Any, int]] = deque()  # those for its attendant, done whatever else it does
        self._running: dict[int, Running] = {}  # position -> call it works on
        self._begun_at: dict[int, float] = {}
        self._withheld: list[tuple[Callable[..., None], tuple[Any, ...]]] = []  # said while frozen
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_leaving = False
        self._is_awake = False
        self._emitter = emitting.Emitter(self._emit, engine.settings.emit_rate, engine.clock.now)

    # For tests

    def die(
        self,
        signal: int | None = None,
        exit_code: int | None = None,
        stderr_tail: str = "",
        started: list[int] | None = None,
    ) -> None:
        """End the worker: by a signal (9 if nothing is said) or with an exit code.

        `started` are ids of calls that are to count as begun; by default those it had claimed.
        """
        if not self.is_alive:
            return
        if signal is None and exit_code is None:
            signal = 9
        begun = self._claimed() if started is None else started
        self.is_alive = False
        for task in self._tasks:
            task.cancel()
        self._inbox.clear()
        self._logbook.close()
        self._engine.bury(self)
        self._engine.events.gone(self.record, Death(signal, exit_code, stderr_tail), begun)

    def freeze(self) -> None:
        """Stop it like SIGSTOP: nothing more is begun or said until `thaw`."""
        self.is_frozen = True
        self._engine.events.stopped(self.record, True)

    def thaw(self) -> None:
        """Let it go on like SIGCONT, beginning with what it could not say."""
        self.is_frozen = False
        self._engine.events.stopped(self.record, False)
        withheld, self._withheld = self._withheld, []
        for fact, details in withheld:
            self._say(fact, *details)
        self._wake()

    def __repr__(self) -> str:
        state = "dead" if not self.is_alive else "frozen" if self.is_frozen else "alive"
        return f"<FakeWorker {self.id} {state}, {len(self._running)} running, {len(self._inbox)} unread>"

    # The engine's side

    def begin(self) -> None:
        """Make the handler and get ready, beginning with the loop's next turn."""
        self._start_task(self._begin())

    def take(self, call: Any) -> None:
        """Receive a call."""
        if call.session is not None and self._leases.get(call.session.number) != call.session.lease:
            self._meet(call.session)
        position = self._positions[call.id] = self._free.pop()
        self._logbook.reset(position)
        self._calls[position] = call
        if call.operation == EXPORT_ASIDE:
            self._errands.append((call, position))
        else:
            self._inbox.append((call, position, private(call.payload)))
        self._wake()

    def withdraw(self, call: Any) -> bool:
        """Give a call back, if it was not begun."""
        if not self.holds(call) or not self._logbook.withdraw(self._positions[call.id]):
            return False
        self._taken_back.add(self._positions[call.id])
        return True

    def interrupt(self, call: Any) -> None:
        """Ask a call to stop."""
        if self.holds(call):
            position = self._positions[call.id]
            self._logbook.request_interrupt(position)
            running = self._running.get(position)
            if running is not None:
                running.stop()

    def credit(self, call_id: int, items: int) -> None:
        """Let a stream go on."""
        for running in self._running.values():
            if running.fields[7] == call_id:
                running.grant(items)

    def forget(self, number: int) -> None:
        """Drop a session."""
        self._leases.pop(number, None)
        if self._runner is not None:
            self._runner.session_slots.pop(number, None)

    def pong(self) -> None:
        """Answer a ping, if it does."""
        if self.answers_pings:
            held = sum(call.operation != EXPORT_ASIDE for call in self._calls.values())
            self._say(self._engine.events.ponged, self.record, held)

    def leave(self) -> None:
        """Say goodbye when everything is done."""
        self._is_leaving = True
        self._wake()

    # Its life

    async def _begin(self) -> None:
        engine, events = self._engine, self._engine.events
        emitting.HERE.set(self._emitter)
        try:
            await engine.may_start()
            args, kwargs = load_arguments(engine.arguments)
            self.handler = engine.handler(*args, **kwargs) if engine.handler is not None else None
            await self._run_hook("setup")
            self._say(events.warming, self.record, self.pid)
            await self._run_hook("warmup")
        except Exception as error:
            self._say(events.start_failed, self.record, _explain(error), brief_of(without_our_frames(error)))
            self._say(self.die, None, 1)
            return
        self._runner = self._make_runner()
        self._say(events.ready, self.record, self.pid)
        self._wake()

    def _make_runner(self) -> MemoryRunner:
        engine = self._engine
        codec = make_codec(engine.settings.codec, engine.settings.buffer_threshold)
        limit = engine.settings.max_payload
        answers = self._answers = DirectAnswers(codec, limit, self._answer, self._item, self._saved)
        operations = operations_of(self.handler, engine.handler_facts)
        hooks = {name: getattr(self.handler, name) for name in engine.handler_facts.hooks}
        saver = Saver(codec, limit, hooks) if engine.settings.durability != "none" else None
        return MemoryRunner(self._logbook, codec, answers, operations, hooks, saver)

    async def _run_hook(self, name: str) -> None:
        if name in self._engine.handler_facts.hooks:
            made = getattr(self.handler, name)()
            if inspect.isawaitable(made):
                await made

    async def _say_goodbye(self) -> None:
        try:
            await self._run_hook("teardown")
        finally:
            self.die(exit_code=0)

    # Its calls

    def _wake(self) -> None:
        if not self._is_awake and self.is_alive:
            self._is_awake = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Begin one call, if there is one and a slot for it."""
        self._is_awake = False
        if not self.is_alive or self.is_frozen or self._runner is None:
            return
        while self._errands:
            self._start_task(self._attend(*self._errands.popleft()))
        if self._inbox and len(self._running) < self._engine.settings.concurrency:
            call, position, payload = self._inbox.popleft()
            running = self._running[position] = self._header(call, position)
            self._start_task(self._serve(call, position, running, payload))
            self._wake()
        elif self._is_leaving and not self._running and not self._inbox:
            self._start_task(self._say_goodbye())

    async def _attend(self, errand: Any, position: int) -> None:
        """Do an errand beside the calls."""
        runner, running = self._runner, self._header(errand, position)
        assert runner is not None
        started = runner.admit(running.fields, b"")
        if started is not None:
            await carry_out(plan(runner, running, b"", started), running)

    def _header(self, call: Any, position: int) -> Running:
        """The call as its frame would tell of it; whether it is late is decided by the pool's clock, now."""
        deadline = math.inf if self._engine.clock.now() < call.deadline else 0.0
        number = call.session.number if call.session is not None else 0
        fields = (0, CALL, 0, position, call.operation, 0, self.id, call.id, number, deadline, 0.0)
        return Running(fields, self._engine.settings.stream_window)

    async def _serve(self, call: Any, position: int, running: Running, payload: bytes | Encoded) -> None:
        runner = self._runner
        assert runner is not None
        self._begun_at[position] = self._engine.clock.now()
        emitting.HERE.set(self._emitter)  # each call is a task, with a context of its own
        TASK_CALL.set(call.id)
        if call.trace is not None:
            runner.headers[call.id] = call.trace.header
        started = runner.admit(running.fields, b"")
        if started is not None:
            if await self._is_let_go(call, running):
                await carry_out(plan(runner, running, cast("bytes", payload), started), running)
            else:
                runner.failed(running.fields, started, Interrupted(), is_stopped=True)
        runner.headers.pop(call.id, None)
        del self._running[position]
        self._wake()

    async def _is_let_go(self, call: Any, running: Running) -> bool:
        """Wait while the test holds the call; false if it was asked to stop meanwhile, and heard."""
        held = self._engine.holding.entered(self.id, call.id, call.op.name)
        if held is None:
            return True
        running.bell = held.bell
        try:
            while not held.is_released and (held.is_stubborn or not running.is_stopped):
                held.bell.clear()
                await held.bell.wait()
        finally:
            self._engine.holding.left(held)
        return held.is_released or not running.is_stopped

    def holds(self, call: Any) -> bool:
        return call.id in self._positions

    def _meet(self, session: Any) -> None:
        """Be told of a session, before the first call of it."""
        assert self._runner is not None
        baggage, flags = session.baggage, SEGMENTED if isinstance(session.baggage, Parts) else 0
        slot = SessionSlot(session.number, Session(session.id, session.generation), baggage, flags, session.lease)
        self._runner.session_slots[session.number] = slot
        self._leases[session.number] = session.lease

    def _claimed(self) -> list[int]:
        """The calls that have begun, by what the logbook says."""
        return [
            call.id
            for position, call in self._calls.items()
            if position not in self._taken_back and self._logbook.is_claimed(position)
        ]

    # What it says

    def _answer(self, fields: Fields, kind: AnswerKind, value: Any, flags: int) -> None:
        position = fields[3]
        now = self._engine.clock.now()
        nbytes = self._answers.nbytes if self._answers is not None else 0
        self._say(self._tell, position, fields[7], kind, value, self._begun_at.pop(position, now), now, flags, nbytes)

    def _tell(
        self,
        position: int,
        call_id: int,
        kind: AnswerKind,
        value: Any,
        started: float,
        ended: float,
        flags: int,
        nbytes: int,
    ) -> None:
        call = self._calls.pop(position)
        if self._positions.get(call_id) == position:
            del self._positions[call_id]
        self._free.append(position)
        was_taken_back = position in self._taken_back
        self._taken_back.discard(position)
        if was_taken_back and call.operation == EXPORT_ASIDE:
            return  # it was given up, and took no slot
        # That it passed over a call which was taken back names no call: the same may be here again by now.
        told_id = 0 if was_taken_back else call_id
        if kind == "ok" and call.operation in EXPORTS:
            self._leases.pop(call.session.number, None)
        now = self._engine.clock.now()
        self._engine.events.answered(self.record, told_id, kind, value, started, ended, flags, now, nbytes)
        self._engine.events.batch_end()

    def _emit(self, call_id: int, name: str, measurements: Any, metadata: Any, suppressed: int) -> bool:
        self._say(self._emitted, call_id, name, measurements, metadata, suppressed)
        return True

    def _emitted(self, *told: Any) -> None:
        self._engine.events.emitted(self.record, *told)
        self._engine.events.batch_end()

    def _saved(self, fields: Fields, saved: Saved) -> None:
        self._say(self._engine.events.saved, self.record, fields[7], *saved)

    def _item(self, fields: Fields, value: Any) -> None:
        self._say(self._engine.events.item, self.record, fields[7], value)

    def _say(self, fact: Callable[..., None], *details: Any) -> None:
        if self.is_frozen:
            self._withheld.append((fact, details))
        elif self.is_alive:
            fact(*details)

    def _start_task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of ours came to its end; one that failed is a bug that must not pass in silence."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            task.get_loop().call_exception_handler({"message": f"{self!r} failed", "exception": task.exception()})


def _explain(error: Exception) -> str:
    error = cast("Exception", without_our_frames(error))
    return f"{type_name(type(error))}: {error_text(error)}\n\n{traceback_text(error).rstrip()}"
