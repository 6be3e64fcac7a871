"""The local engine: workers as processes of this machine, forked from a warden's warm image or spawned afresh.

Carries out orders and emits events (`seams.Engine`, `seams.EngineEvents`); decides nothing about calls. The death of a
worker is reported when it is reaped and everything it had answered was read.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from millpond.engine import kernel
from millpond.engine import warden_protocol as protocol
from millpond.engine.endpoints import OutputRing
from millpond.engine.frame_handlers import FrameHandlers
from millpond.engine.image_set import ImageSet, OperationNumbers
from millpond.engine.inbox import Inbox
from millpond.engine.link import Link
from millpond.engine.oom import OomCounters
from millpond.engine.stacks import StackReader
from millpond.engine.supervisor import Supervisor
from millpond.engine.warden_protocol import check_not_run_again
from millpond.logger.pool_logger import PoolLogger
from millpond.seams import Death, EngineEvents, EngineSpec, HandlerFacts, NoStack
from millpond.wire import frames
from millpond.wire.buffers import GIVEN_AT_ONCE_BYTES
from millpond.wire.codec import make_codec
from millpond.wire.definitions import Definitions

log = PoolLogger("millpond.engine")

WORKER_PROGRAM = "millpond.worker.main"
_FRAME_EXTRA = 1024 * 1024  # a frame may exceed `max_payload` by what surrounds the payload
_PATIENCE_S = 1.0  # for the warden to report the death of a worker whose socket closed, or that was to be killed
_PAST_LOGS = 8  # dead workers whose output is kept


class LocalEngine:
    """`program` names the module that workers run. Opened once; everything on one loop's thread."""

    def __init__(self, program: str = WORKER_PROGRAM) -> None:
        self._program = program
        self._links: dict[int, Link] = {}  # worker id -> link, until its death is reported
        self._lost: list[Link] = []  # those whose warden died, until they are known to be dead
        self._past: dict[int, OutputRing] = {}  # worker id -> what it wrote, of the last that died
        self._images: ImageSet  # made by `open`
        self._is_opened = False
        self._numbers = OperationNumbers()
        self._notes: set[str] = set()  # those that were logged
        self._ending: asyncio.Task[None] | None = None
        self._is_closed = False
        self._facts: HandlerFacts | None = None

    async def open(self, spec: EngineSpec, events: EngineEvents) -> HandlerFacts | None:
        """Start the warden and wait for its image; `StartFailed` ends with the user's traceback."""
        if self._is_closed or self._is_opened:
            raise RuntimeError("an engine is opened once; make another")
        check_not_run_again()
        self._loop = asyncio.get_running_loop()
        self._spec = spec
        self._events = events
        codec = make_codec(spec.settings.codec, spec.settings.buffer_threshold)
        self._oom = OomCounters()
        self._handlers = FrameHandlers(codec, events, self._numbers, self._distrust)
        self._inbox = Inbox(self._loop, self._handlers.handle, self._socket_ended, self._distrust)
        self._images = ImageSet(self._loop, spec, self._program, self)
        self._is_opened = True
        try:
            self._facts = self._lasting(await self._images.make())
        except BaseException:
            self._end_now()
            raise
        return self._facts

    async def close(self) -> None:
        """End every process and free every descriptor; a second close waits for the first."""
        self._is_closed = True
        if not self._is_opened:
            return
        if self._ending is None:
            self._ending = self._loop.create_task(self._images.quit())
            # Not in the task itself: one that is cancelled before its first step runs no line of it.
            self._ending.add_done_callback(lambda _: self._end_now())
        await asyncio.wait([self._ending])

    async def renew(self) -> HandlerFacts | None:
        """Make another image and wait for it; the present one keeps its workers till they go."""
        if self._is_closed or not self._is_opened or self._images.is_unsettled:
            raise RuntimeError("an engine is renewed while it is open, once at a time")
        facts = self._lasting(await self._images.make())
        if facts is None:
            self._handlers.facts = None  # the next worker reports them
        else:
            self._facts = facts
        return facts

    def settle(self, is_kept: bool) -> None:
        """Let the image go that is not to be started from any more."""
        if self._is_closed:
            return
        self._images.settle(is_kept)
        present = self._images.present
        if present is not None and present.lost_because:  # it may have lost its warden while the other was present
            self._events.engine_lost(present.lost_because)
        else:
            self._events.engine_back()

    def revive(self) -> None:
        """Try to have a warden again."""
        if self._images.present is not None:
            self._images.present.revive()

    def facts(self) -> HandlerFacts | None:
        """The handler's facts, from the image or from the first worker that was ready."""
        return self._facts or self._handlers.facts

    def start(self, worker: Any) -> None:
        """Begin to make a worker."""
        supervisor = self._images.present
        assert supervisor is not None
        limit = self._spec.settings.max_payload + _FRAME_EXTRA
        try:
            if self._is_closed or supervisor.lost_because:
                raise OSError(supervisor.lost_because or "the engine is closed")
            link = Link(worker, self._spec.settings, limit, self._loop, self._spec.definitions or Definitions())
        except OSError as error:
            # Not at once: the core gave the order and is not done with it. It hears of this as of any other death.
            self._loop.call_soon(self._refuse, worker, f"no worker could be started: {error}")
            return
        link.supervisor = supervisor
        link.defined = supervisor.defined
        self._links[link.id] = link
        try:
            self._inbox.watch(link)
            supervisor.order(protocol.START, link.id, endpoints=link.endpoints)
        except BaseException:
            self._drop(link)
            raise

    def send(self, worker: Any, call: Any) -> None:
        """Give a call to a worker; one whose death was reported meanwhile takes none."""
        link = self._links.get(worker.id)
        if link is not None:
            link.send(call)

    def holds(self, worker: Any, call: Any) -> bool:
        """Whether the worker was given the call and has not answered it."""
        link = self._links.get(worker.id)
        return link is not None and link.holds(call.id)

    def withdraw(self, worker: Any, call: Any) -> bool:
        """Take back a call that was sent. True: proven that it did not start, and will not."""
        link = self._links.get(worker.id)
        return link is not None and link.withdraw(call.id)

    def interrupt(self, worker: Any, call: Any) -> None:
        """Ask the operation to stop, by signal and by frame: which of them is heard depends on what it is doing."""
        link = self._links.get(worker.id)
        if link is None or not link.holds(call.id) or self._handlers.give_up(link, call.id):
            return
        # Giving up what was being decoded handles the frames behind it, and the answer may have been one of these. The
        # signal may find the worker at its next call: it looks into the logbook for which call is meant, and lets
        # another go on.
        if link.holds(call.id):
            link.request_interrupt(call.id)
            link.supervisor.order(protocol.SIGNAL, link.id, signal.SIGURG)

    def credit(self, worker: Any, call_id: int, items: int) -> None:
        """Let a stream go on by so many items."""
        self._write(worker, frames.CREDIT, call_id=call_id, amount=items)

    def forget_session(self, worker: Any, number: int) -> None:
        """Drop a session's record in the worker."""
        link = self._links.get(worker.id)
        if link is not None:
            link.forget_session(number)

    def ping(self, worker: Any) -> None:
        """Ask for a sign."""
        self._write(worker, frames.PING)

    def stop(self, worker: Any) -> None:
        """Let the worker finish what it has, tear down and exit."""
        self._write(worker, frames.BYE)

    def kill(self, worker: Any) -> None:
        """End a worker and everything it started."""
        link = self._links.get(worker.id)
        if link is not None:
            link.supervisor.order(protocol.SIGNAL, link.id, signal.SIGKILL)
            self._allow(_PATIENCE_S, self._insist, link)

    def check(self) -> None:
        """Look for workers that are out of step: half a frame came, and then nothing. And give back unused memory."""
        now, most = time.monotonic(), GIVEN_AT_ONCE_BYTES
        for link in list(self._links.values()):
            self._inbox.look_at(link)
            most -= link.give_back(now, most)

    def heartbeat(self, worker: Any) -> float:
        """When its interpreter last gave a sign (monotonic seconds, 0.0 for never)."""
        link = self._links.get(worker.id)
        return link.logbook.heartbeat() if link is not None else 0.0

    def is_stopped(self, worker: Any) -> bool:
        """Whether the kernel shows its process as stopped."""
        link = self._links.get(worker.id)
        return link is not None and bool(link.pid) and kernel.is_stopped(link.pid)

    def catch_up(self) -> None:
        """Read what every worker and the wardens have sent until now; before `open` nobody has."""
        if self._is_opened:
            self._images.catch_up()
        for link in list(self._links.values()):
            if not link.is_gone:
                self._inbox.catch_up(link)

    def memory(self, worker: Any) -> int | None:
        """Its private memory in bytes, if that can be read."""
        link = self._links.get(worker.id)
        return kernel.private_memory(link.pid) if link is not None and link.pid else None

    async def stack(self, worker: Any) -> str:
        """The stacks of its threads; who asks while another does gets the same."""
        link = self._links.get(worker.id)
        if link is None:
            raise NoStack("the worker is gone")
        if link.asking is None or link.asking.done():
            link.asking = self._loop.create_task(StackReader(link, self._spec.run_id).read())
            link.asking.add_done_callback(_seen)
        return await asyncio.shield(link.asking)

    def logs(self, worker: Any | None = None) -> str:
        """What a worker wrote; of all, what the warden and the last dead ones wrote comes first."""
        rings = self._past | {link.id: link.ring for link in self._links.values()}
        if worker is not None:
            return rings[worker.id].text() if worker.id in rings else ""
        image = self._images.outputs if self._is_opened else []
        return "".join(ring.text() for ring in (*image, *rings.values()))

    def _lasting(self, facts: HandlerFacts | None) -> HandlerFacts | None:
        return None if facts is None else self._numbers.lasting(facts)

    def _end_now(self) -> None:
        """What is left of a closing when there is no time: kill, reap, free. Does not wait for the loop."""
        self._is_closed = True
        self._images.end_now()
        for link in list(self._links.values()):
            self._report_death(link, -signal.SIGKILL)

    # What supervisors tell

    def reported(self, record: protocol.Record) -> None:
        """Take note of what the warden reports of a worker."""
        kind, worker_id, number, text = record
        if kind == protocol.NOTE:
            self._note(text.decode(errors="replace"))
        link = self._links.get(worker_id)
        if link is None:
            return
        if kind == protocol.STARTED:
            link.pid = number
        elif kind == protocol.GONE:
            self._report_death(link, number)
        elif kind in (protocol.STOPPED, protocol.CONTINUED):
            self._events.stopped(link.worker, kind == protocol.STOPPED)
        elif kind == protocol.START_FAILED:
            message = text.decode(errors="replace")
            self._events.start_failed(link.worker, message, message)
            self._report_death(link, None)

    def has_workers(self, supervisor: Supervisor) -> bool:
        """Whether a worker of this image lives."""
        return any(link.supervisor is supervisor for link in self._links.values())

    def warden_back(self, supervisor: Supervisor) -> None:
        """Workers can be started again, if this is the image they are made from."""
        if supervisor is self._images.present:
            self._events.engine_back()

    def warden_lost(self, supervisor: Supervisor) -> None:
        """Report that its workers are lost; their deaths follow when none of them lives any more."""
        # Its workers are killed with it, but each may live for a moment yet, or have been stopped. A death that is
        # reported too early would let a call or a session go on elsewhere beside itself: the deaths are reported after
        # the sweep, when none is left (`warden_swept`).
        lost = [link for link in self._links.values() if link.supervisor is supervisor and link not in self._lost]
        self._lost += lost
        if supervisor is self._images.present:
            self._events.engine_lost(supervisor.lost_because)
        else:
            supervisor.clear()
        self._events.workers_lost([link.worker for link in lost], "its warden ended")

    def warden_swept(self, supervisor: Supervisor) -> None:
        """Report the deaths of the workers that a lost warden left."""
        lost = [link for link in self._lost if link.supervisor is supervisor]
        self._lost = [link for link in self._lost if link.supervisor is not supervisor]
        for link in lost:
            self._report_death(link, -signal.SIGKILL)

    def _note(self, text: str) -> None:
        """Log what a warden noticed, once; its successor notices the same."""
        if text not in self._notes:
            self._notes.add(text)
            log.warning("%s", text)

    def _drop(self, link: Link) -> None:
        """Free a link; what became of its worker is reported by the caller."""
        link.is_gone = True
        self._inbox.unwatch(link)
        link.close()
        del self._links[link.id]

    def _report_death(self, link: Link, status: int | None) -> None:
        """Report a death, after everything the worker had sent; `status`: exit code, or signal negated."""
        if link.is_gone:
            return
        # What it sent before it died is still in the socket's buffer, and is delivered first: a call that was answered
        # is not lost. Then the logbook, which nobody writes any more, shows which of the others had begun. Only then is
        # the link freed, and its memory with it. Processes it started may still write to its pipes: of that a megabyte
        # is read.
        self._inbox.drain(link)
        if link.reading and not self._is_closed:
            link.when_read = partial(self._report_death, link, status)
            return
        started = link.started_calls()
        self._drop(link)
        self._past[link.id] = link.ring
        if len(self._past) > _PAST_LOGS:
            del self._past[next(iter(self._past))]
        self._images.maybe_dismiss(link.supervisor)
        hint = self._oom.hint() if status == -signal.SIGKILL else ""
        self._events.gone(link.worker, _death(status, link.stderr.tail(), hint), started)

    def _refuse(self, worker: Any, message: str) -> None:
        self._events.start_failed(worker, message, message)
        self._events.gone(worker, Death(None, None), ())

    def _socket_ended(self, link: Link) -> None:
        """Usually it died and the warden is about to report how; else it closed its socket and is of no use."""
        # The end of the socket and the warden's report of one death come in any order. The report decides, because only
        # it says how. The socket's end starts a clock, for a worker that lives on without it, and for a warden that
        # hangs.
        link.is_at_end = True
        self._allow(_PATIENCE_S, self._insist, link)

    def _allow(self, seconds: float, judge: Callable[[Link], None], link: Link) -> None:
        """Judge when the pool has run for so many seconds from now."""
        since = time.monotonic()

        def look() -> None:
            if link.is_gone:
                return
            left = seconds - (time.monotonic() - since - self._events.stood_still(since))
            if left > 0:
                self._loop.call_later(left, look)
            else:
                judge(link)

        self._loop.call_later(seconds, look)

    def _insist(self, link: Link) -> None:
        """The worker should be dead by now: kill it without the warden's help as well."""
        if link.is_gone or link.when_read is not None:
            return
        link.supervisor.order(protocol.SIGNAL, link.id, signal.SIGKILL)
        # The warden may be stopped, or busy. The pid may be another process's by now, if the warden has reaped the
        # worker and its report is on the way: only a process that carries the run id is killed.
        if link.pid:
            kernel.kill_carrier(link.pid, self._spec.run_id)
        self._allow(2 * _PATIENCE_S, self._suspect, link)

    def _suspect(self, link: Link) -> None:
        """Dead, or never started, and no report from the warden: then it is the warden that hangs."""
        if not link.is_gone and link.when_read is None and (link.is_at_end or not link.pid):
            log.error("the warden does not answer; it is replaced, and with it all workers")
            link.supervisor.replace()

    def _distrust(self, link: Link, error: Exception) -> None:
        """Nothing more is read of a worker that broke the protocol."""
        link.is_distrusted = True
        log.error("worker %d (pid %d) broke the protocol and is killed: %s", link.id, link.pid, error)
        self._events.distrusted(link.worker, str(error))

    def _write(self, worker: Any, kind: int, call_id: int = 0, amount: int = 0) -> None:
        link = self._links.get(worker.id)
        if link is not None:
            link.write(kind, call_id, amount=amount)


def _seen(task: asyncio.Task[str]) -> None:
    """Whoever asked may have left: an error is not to be missed then."""
    if not task.cancelled():
        task.exception()


def make_engine(name: str, start_method: str) -> LocalEngine:
    """The engine of that name. Raises `ValueError` for an unknown one, `OSError` where the system cannot carry it."""
    if name != "local":
        raise ValueError(f"unknown engine {name!r}; there is 'local'")
    kernel.check_platform(sys.platform, start_method)
    return LocalEngine()


def _death(status: int | None, stderr_tail: str, hint: str) -> Death:
    if status is not None and status < 0:
        return Death(-status, None, stderr_tail, hint)
    return Death(None, status, stderr_tail)
