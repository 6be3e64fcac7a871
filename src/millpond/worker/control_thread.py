"""The control thread, beside the main one: gives signs of life, and runs internal calls while the main one is busy.

It writes the time into the logbook as long as this interpreter runs Python: it says nothing while native code holds the
interpreter's lock, which is how the parent tells such a worker from others. Internal calls for it come on a socket of
its own; they export the states of sessions that have no call here, and are answered where all calls are. There it is
asked for the stacks of all threads, too. With each sign of life it does the worker's periodic duties.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket
import threading
import traceback
from time import monotonic
from typing import TYPE_CHECKING

from millpond.wire import stacks
from millpond.wire.frames import CALL, STACKS, FrameReader, ProtocolError
from millpond.worker.channel import Disconnected
from millpond.worker.loop import Running
from millpond.worker.steps import drive, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.wire.logbook import Logbook
    from millpond.worker.runner import Runner

BEAT_S = 0.5
_READ_BYTES = 64 * 1024
_LONGEST_FRAME = 64 * 1024  # an internal call has no body


class ControlThread:
    """`side` is the socket that internal calls come on, `stacks` the file for the stacks of all threads."""

    def __init__(self, logbook: Logbook, side: socket.socket, incarnation: int, stacks: int) -> None:
        self._logbook = logbook
        self.side = side
        self._stacks = stacks
        self._reader = FrameReader(_LONGEST_FRAME, incarnation)
        self.runner: Runner | None = None  # of the internal calls, once they are to be run
        self._poll = select.poll()
        side.setblocking(False)
        self._poll.register(side, select.POLLIN)
        os.register_at_fork(after_in_child=side.close)

    def install(self) -> None:
        """See that faulthandler answers the signal for stacks, in this thread and no other (see `wire.stacks`).

        From the main thread: those that are made after it block what it blocks.
        """
        if stacks.SIGNAL is not None:
            signal.pthread_sigmask(signal.SIG_BLOCK, (stacks.SIGNAL,))
            faulthandler.register(stacks.SIGNAL, file=self._stacks, all_threads=True)

    def start(self, duties: Sequence[Callable[[], None]] = ()) -> None:
        """Beat twice a second from now on, and do the duties, which do not raise."""
        self._logbook.beat(monotonic())
        threading.Thread(target=self._live, args=(duties,), name="millpond-control", daemon=True).start()

    def _live(self, duties: Sequence[Callable[[], None]]) -> None:
        if stacks.SIGNAL is not None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (stacks.SIGNAL,))
        while True:
            has_calls = bool(self._poll.poll(BEAT_S * 1000))
            self._logbook.beat(monotonic())
            for do in duties:
                do()
            if has_calls:
                try:
                    self._read()
                except Disconnected:
                    return
                except Exception:
                    traceback.print_exc()
                    self._hang_up()

    def _read(self) -> None:
        try:
            data = self.side.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        # The main thread may be in any line of its own meanwhile. It holds no call of the session: the parent sends
        # none until this one is answered, and so nobody else changes the slot. The handler's own threads may change the
        # state while it is encoded; that raises at worst, and then the parent knows that this state cannot be taken out
        # so. What the main thread adds to and removes from the table of slots are single steps of a dictionary.
        for fields, body in self._reader.feed(data):
            if fields[1] == STACKS:
                self._write_stacks(fields[7])
                continue
            if fields[1] != CALL or self.runner is None:
                raise ProtocolError(f"no frame of kind {fields[1]} is an internal call")
            started = self.runner.run(fields, body)
            if started is not None:
                running = Running(fields, 0)
                drive(plan(self.runner, running, body, started), running, _never)

    def _write_stacks(self, number: int) -> None:
        os.write(self._stacks, stacks.begin_mark(number))
        faulthandler.dump_traceback(file=self._stacks, all_threads=True)
        os.write(self._stacks, stacks.end_mark(number))

    def _hang_up(self) -> None:
        """No more internal calls; the beat goes on."""
        self._poll.unregister(self.side)


def _never(running: Running) -> None:
    raise AssertionError("an internal call is no stream")
