"""The blocking loop: one call after the other in the main thread, for handlers without async code.

Reads, runs each call in order, and each answer is on its way before the next operation starts. Frames that come while
a stream waits for its reader are kept in order. `parallel` is the loop for everything else.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from millpond.wire import frames
from millpond.wire.frames import BYE, CALL, CANCEL, CREDIT, ProtocolError
from millpond.wire.mainmodule import define
from millpond.worker.handler_session import slot_of
from millpond.worker.running_call import Running
from millpond.worker.steps import drive, plan
from millpond.worker.waiting import Waiting

if TYPE_CHECKING:
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
