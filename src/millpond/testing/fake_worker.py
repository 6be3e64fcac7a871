"""A worker without a process: the handler's instance, and the worker's own code that runs its calls on the test's loop.

Each call is claimed, decoded, run and answered as in a real worker, one a turn of the loop. What a process can suffer
is said with a method: `die`, `freeze`, `thaw`. Plain operations run to their end once begun, as nothing interrupts the
test's own thread; async ones and streams are stopped as they are in a process, and so is what is held.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from millpond.errors import Interrupted
from millpond.logger.escaping import brief_of
from millpond.seams import EXPORT_CONCURRENT, Death
from millpond.simulator.simulated_worker import LATE, RUNNING, WITHDRAWN, SimulatedWorker
from millpond.testing.direct_answers import DirectAnswers, private
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
from millpond.worker.loop import Running
from millpond.worker.replies import without_our_frames
from millpond.worker.saving import Saver
from millpond.worker.stack import TASK_CALL
from millpond.worker.steps import plan

if TYPE_CHECKING:
    from millpond.seams import AnswerKind
    from millpond.simulator.simulated_worker import HeldCall
    from millpond.testing.engine import FakeEngine
    from millpond.wire.frames import Fields
    from millpond.wire.saved import Saved

FIRST_PID = 2**22  # above what Linux gives to processes, so that no test hits a real one


class FakeWorker:
    """One worker of a `FakeEngine`; its methods are for the pool's loop.

    `handler` is the handler's instance once it was made; `memory_bytes` and `answers_pings` are what the pool finds
    when it looks after the worker, to be set by the test. `model` says what it holds of its pool.
    """

    def __init__(self, engine: FakeEngine, record: Any) -> None:
        self.id: int = record.id
        self.pid = FIRST_PID + self.id
        self.handler: Any = None
        self.answers_pings = True
        self.memory_bytes: int | None = None
        self._engine = engine
        self.record = record
        self._runner: MemoryRunner | None = None
        self.model = SimulatedWorker(engine.settings.concurrency)
        self._logbook = Logbook.create()
        self._logbook.close_fd()
        self._free = list(range(POSITIONS - 1, -1, -1))  # positions of the logbook
        self._begun: dict[int, tuple[HeldCall, float]] = {}  # position -> call that began, when
        self._withheld: list[tuple[Callable[..., None], tuple[Any, ...]]] = []  # said while frozen
        self._tasks: set[asyncio.Task[None]] = set()
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
        begun = self.model.die()
        for task in self._tasks:
            task.cancel()
        self._logbook.close()
        self._engine.remove(self)
        death = Death(signal, exit_code, stderr_tail)
        self._engine.events.gone(self.record, death, begun if started is None else started)

    @property
    def is_alive(self) -> bool:
        """Whether it lives."""
        return self.model.is_alive

    @property
    def is_frozen(self) -> bool:
        """Whether it was frozen, and not thawed since."""
        return self.model.is_frozen

    def freeze(self) -> None:
        """Stop it like SIGSTOP: nothing more is begun or said until `thaw`."""
        self.model.is_frozen = True
        self._engine.events.stopped(self.record, True)

    def thaw(self) -> None:
        """Let it go on like SIGCONT, beginning with what it could not say."""
        self.model.is_frozen = False
        self._engine.events.stopped(self.record, False)
        withheld, self._withheld = self._withheld, []
        for fact, details in withheld:
            self._say(fact, *details)
        self._wake()

    def __repr__(self) -> str:
        state = "dead" if not self.is_alive else "frozen" if self.is_frozen else "alive"
        return f"<FakeWorker {self.id} {state}, {len(self.model.running)} running, {len(self.model.waiting)} unread>"

    # The engine's side

    def begin(self) -> None:
        """Make the handler and get ready, beginning with the loop's next turn."""
        self._start_task(self._begin())

    def take(self, call: Any) -> None:
        """Receive a call."""
        if call.session is not None and not self.model.knows(call.session):
            self._introduce(call.session)
        self.model.take(call).note = private(call.payload)
        self._wake()

    def interrupt(self, call: Any) -> None:
        """Ask a call to stop."""
        held = self.model.interrupt(call.id)
        if held is not None and held.state == RUNNING:
            running: Running = held.note
            self._logbook.request_interrupt(running.fields[3])
            running.stop()

    def credit(self, call_id: int, items: int) -> None:
        """Let a stream go on."""
        held = self.model.running.get(call_id)
        if held is not None:
            held.note.grant(items)

    def forget(self, number: int) -> None:
        """Drop a session."""
        self.model.forget_session(number)
        if self._runner is not None:
            self._runner.session_slots.pop(number, None)

    def pong(self) -> None:
        """Answer a ping, if it does."""
        if self.answers_pings:
            self._say(self._engine.events.ponged, self.record, self.model.ping())

    def leave(self) -> None:
        """Say goodbye when everything is done."""
        self.model.stop()
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
        self.model.is_ready = True
        self._say(events.ready, self.record, self.pid)
        self._wake()

    def _make_runner(self) -> MemoryRunner:
        engine = self._engine
        codec = make_codec(engine.settings.codec, engine.settings.buffer_threshold)
        limit = engine.settings.max_payload
        answers = DirectAnswers(codec, limit, self._answer, self._item, self._saved)
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
        """Begin one export and one call, as far as there are any and it is free for them."""
        self._is_awake = False
        model, now = self.model, self._engine.clock.now()
        if model.can_begin_export:
            self._begin_or_pass_over(model.begin_export(now), now)
        if model.can_begin:
            self._begin_or_pass_over(model.begin(now), now)
        elif model.is_done:
            self._start_task(self._say_goodbye())

    def _begin_or_pass_over(self, held: HeldCall, now: float) -> None:
        if held.state == RUNNING:
            self._start_task(self._serve(held.call, held.note, self._header(held, now)))
        else:
            self._say(self._tell, held, "expired" if held.state == LATE else "skipped", None, now, now, 0, 0)
        self._wake()

    def _header(self, held: HeldCall, now: float) -> Running:
        """The call as its frame would tell of it, at a position of the logbook; the model has seen to its deadline."""
        call, position = held.call, self._free.pop()
        self._logbook.reset(position)
        self._begun[position] = held, now
        number = call.session.number if call.session is not None else 0
        fields = (0, CALL, 0, position, call.operation, call.form, self.id, call.id, number, math.inf, 0.0)
        running = held.note = Running(fields, self._engine.settings.stream_window)
        return running

    async def _serve(self, call: Any, payload: bytes | Encoded, running: Running) -> None:
        runner = self._runner
        assert runner is not None
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

    async def _is_let_go(self, call: Any, running: Running) -> bool:
        """Wait while the test holds the call; false if it was asked to stop meanwhile, and heard."""
        is_beside = call.operation == EXPORT_CONCURRENT
        held = None if is_beside else self._engine.holding.entered(self.id, call.id, call.op.name)
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

    def _introduce(self, session: Any) -> None:
        """Be told of a session, before the first call of it."""
        assert self._runner is not None
        snapshot, flags = session.snapshot, SEGMENTED if isinstance(session.snapshot, Parts) else 0
        slot = SessionSlot(session.number, Session(session.id, session.generation), snapshot, flags, session.lease)
        self._runner.session_slots[session.number] = slot

    # What it says

    def _answer(self, fields: Fields, kind: AnswerKind, value: Any, flags: int, nbytes: int) -> None:
        held, began = self._begun[fields[3]]
        self._say(self._tell, held, kind, value, began, self._engine.clock.now(), flags, nbytes)

    def _tell(
        self, held: HeldCall, kind: AnswerKind, value: Any, started: float, ended: float, flags: int, nbytes: int
    ) -> None:
        model, events = self.model, self._engine.events
        if held.state == RUNNING:
            model.end(held, kind)
            position = held.note.fields[3]
            del self._begun[position]
            self._free.append(position)
            self._wake()
        elif held.state == WITHDRAWN and held.call.operation == EXPORT_CONCURRENT:
            return  # it was given up, and took no slot
        call_id, now = model.read(held), self._engine.clock.now()
        events.answered(self.record, call_id, kind, value, started, ended, flags, now, nbytes)
        events.batch_end()

    def _emit(self, call_id: int, name: str, measurements: Any, metadata: Any, suppressed: int) -> bool:
        self._say(self._emitted, call_id, name, measurements, metadata, suppressed)
        return True

    def _emitted(self, *message: Any) -> None:
        self._engine.events.emitted(self.record, *message)
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
        """A task of ours came to its end; one that failed is a bug that must not pass in silence.

        Of a dead worker it may find the logbook gone: what it wanted to say is heard by nobody.
        """
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and self.is_alive:
            task.get_loop().call_exception_handler({"message": f"{self!r} failed", "exception": task.exception()})


def _explain(error: Exception) -> str:
    error = cast("Exception", without_our_frames(error))
    return f"{type_name(type(error))}: {error_text(error)}\n\n{traceback_text(error).rstrip()}"
