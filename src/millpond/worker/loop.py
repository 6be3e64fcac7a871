"""The blocking loop: one call after the other in the main thread, for handlers without async code.

Reads, runs each call in order, and each answer is on its way before the next operation starts. Frames that come while
a stream waits for its reader are kept in order. `parallel` is the loop for everything else, which hears frames in the
same way.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from millpond.cores import cores
from millpond.wire import frames
from millpond.wire.frames import BYE, CALL, CANCEL, CREDIT, ProtocolError
from millpond.wire.mainmodule import define
from millpond.worker.handler_session import slot_of
from millpond.worker.steps import drive, plan

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable

    from millpond.wire.frames import Body, Fields
    from millpond.worker.channel import FrameChannel
    from millpond.worker.interrupts import Interrupts
    from millpond.worker.runner import Runner


class BlockingLoop:
    """Serves one worker until it is told goodbye; `Disconnected` if the parent goes without a word."""

    def __init__(self, channel: FrameChannel, interrupts: Interrupts, window: int, busy_poll: float) -> None:
        self._channel = channel
        self._waiting = Waiting(channel, busy_poll)
        self._interrupts = interrupts
        self._window = window
        self._inbox: deque[tuple[Fields, Body]] = deque()  # frames that were read and not acted upon

    def run_hook(self, hook: Callable[[], Any]) -> None:
        """Run `setup`, `warmup` or `teardown`."""
        hook()

    def serve(self, runner: Runner) -> None:
        """Run calls until BYE."""
        inbox = self._inbox
        while True:
            while not inbox:
                inbox.extend(self._waiting.receive())
                self._interrupts.reinstall()
            fields, body = inbox.popleft()
            if fields[1] == CALL:
                started = runner.run(fields, body)
                if started is not None:
                    running = Running(fields, self._window)
                    drive(plan(runner, running, body, started), running, self._wait_for_credit)
            elif fields[1] == BYE:
                return
            else:
                note(runner, fields, body)
            body = b""  # a large one would stay in memory while the worker is idle

    def _wait_for_credit(self, running: Running) -> None:
        """Read until the stream is granted items or told to stop; what is not for it stays in the inbox, in order."""
        inbox = self._inbox
        while True:
            # Credit, or a CANCEL, may be behind calls that were sent before it. So all frames are looked at, and those
            # for others go back to the end, one after the other: after a whole round they are in order again.
            for _ in range(len(inbox)):
                frame = inbox.popleft()
                if not hear(running, frame[0]):
                    inbox.append(frame)
            if running.may_go_on():
                return
            inbox.extend(self._channel.receive())


@dataclass(slots=True, eq=False, repr=False)
class Running:
    """One call beyond the fast path, as the frames that arrive meanwhile see it.

    `granted` items may be sent in all, `sent` were; `bell` wakes who waits for more. `task` is the asyncio task while
    it waits for the handler's own code, so that only that is cancelled. The loop that reads the socket grants and
    stops; whoever runs the call counts what was sent and waits. Each number has one writer: threads need no lock.
    """

    fields: Fields
    granted: int
    sent: int = 0
    started: float = 0.0  # when it was claimed
    is_stopped: bool = False
    bell: asyncio.Event | threading.Event | None = None
    task: Any = None

    def grant(self, items: int) -> None:
        """The reader took so many items."""
        self.granted += items
        self._ring()

    def stop(self) -> None:
        """The caller gave the call up. Said again it changes nothing: a clean-up is not to be cancelled as well."""
        # `task` is set only while the task waits for the handler's own code, and read on the same thread: our own code
        # is never cancelled. `is_stopped` comes before the bell, so that who is woken sees it.
        if self.task is not None and not self.is_stopped:
            self.task.cancel()
        self.is_stopped = True
        self._ring()

    def may_go_on(self) -> bool:
        """Whether there is no need to wait: for another item, or to stop."""
        return self.sent < self.granted or self.is_stopped

    def _ring(self) -> None:
        if self.bell is not None:
            self.bell.set()


def hear(running: Running, fields: Fields) -> bool:
    """Act upon a frame that is for a running call; whether it was."""
    if fields[1] not in (CREDIT, CANCEL) or fields[7] != running.fields[7]:
        return False
    if fields[1] == CREDIT:
        running.grant(fields[5])
    else:
        running.stop()
    return True


def note(runner: Runner, fields: Fields, body: Body, held: int = 0) -> None:
    """Act upon a frame that is for no call; CREDIT and CANCEL are for one that has ended.

    `held` are the calls that came before it and are not answered.
    """
    # CREDIT and CANCEL cross the answer of their call on the way: the parent sent them before it came. Ids of calls are
    # not used again, so that they can hit no other.
    kind = fields[1]
    if kind == frames.OPEN_SESSION:
        runner.session_slots[fields[8]] = slot_of(fields, body)
    elif kind == frames.FORGET_SESSION:
        runner.session_slots.pop(fields[8], None)
    elif kind == frames.DEFINE:
        define(str(body[: fields[4]], "utf-8"), bytes(body[fields[4] :]))
    elif kind == frames.PING:
        runner.answers.send(frames.PONG, fields, float(held))
    elif kind not in (CREDIT, CANCEL):
        raise ProtocolError(f"no frame of kind {kind} comes from a parent")


class Waiting:
    """How a worker that serves in its main thread waits for a request; `busy_poll` in seconds, 0 to always sleep.

    To wake a process costs more than a small call does: with one caller at a time it was half of the round trip. So a
    worker whose last request came alone, and within `busy_poll` of the answer before it, looks for the next one that
    long before it sleeps. A worker that is rarely asked, or always has work, never polls; a burst costs one poll in
    vain.
    """

    __slots__ = ("_busy_poll_s", "_channel", "_is_close")

    def __init__(self, channel: FrameChannel, busy_poll: float) -> None:
        self._channel = channel
        # On a single core the request can only come while this process does not run.
        self._busy_poll_s = busy_poll if cores() > 1 else 0.0
        self._is_close = False  # whether the last request came alone and soon

    def receive(self) -> list[tuple[Fields, Body]]:
        """The frames that come next, perhaps none that is complete."""
        since = monotonic()
        frames = self._poll(since + self._busy_poll_s) if self._is_close else []
        if not frames:
            frames = self._channel.receive()
        self._is_close = len(frames) == 1 and monotonic() - since < self._busy_poll_s
        return frames

    def _poll(self, until: float) -> list[tuple[Fields, Body]]:
        receive = self._channel.receive
        while monotonic() < until:
            frames = receive(socket.MSG_DONTWAIT)
            if frames:
                return frames
            os.sched_yield()  # whoever else has work on this core goes first
        return []
