"""The attendant: a thread beside the main one that gives signs of life, and does errands while the main one is busy.

It writes the time into the logbook as long as this interpreter runs Python: it says nothing while native code holds the
interpreter's lock, which is how the parent tells such a worker from others. Errands come on a socket of its own; they
take out the states of sessions that have no call here, and are answered where all calls are. With each sign of life it
does the worker's `chore`.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import traceback
from time import monotonic
from typing import TYPE_CHECKING

from millpond.wire.frames import CALL, FrameReader, ProtocolError
from millpond.worker.channel import Disconnected
from millpond.worker.running_call import Running
from millpond.worker.steps import drive, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.wire.logbook import Logbook
    from millpond.worker.runner import Runner

BEAT_S = 0.5
_READ_BYTES = 64 * 1024
_LONGEST_FRAME = 64 * 1024  # an errand has no body


class Attendant:
    """`side` is the socket that errands come on; without one there are none."""

    def __init__(self, logbook: Logbook, side: socket.socket | None, incarnation: int) -> None:
        self._logbook = logbook
        self._side = side
        self._reader = FrameReader(_LONGEST_FRAME, incarnation)
        self._runner: Runner | None = None
        self._poll = select.poll()
        if side is not None:
            side.setblocking(False)
            self._poll.register(side, select.POLLIN)
            os.register_at_fork(after_in_child=side.close)

    def start(self, chores: Sequence[Callable[[], None]] = ()) -> None:
        """Beat twice a second from now on, and do the chores, which do not raise."""
        self._logbook.beat(monotonic())
        threading.Thread(target=self._live, args=(chores,), name="millpond-attendant", daemon=True).start()

    def serve(self, runner: Runner) -> None:
        """Do errands from now on."""
        self._runner = runner

    def _live(self, chores: Sequence[Callable[[], None]]) -> None:
        while True:
            has_errands = bool(self._poll.poll(BEAT_S * 1000))
            self._logbook.beat(monotonic())
            for do in chores:
                do()
            if has_errands:
                try:
                    self._read()
                except Disconnected:
                    return
                except Exception:
                    traceback.print_exc()
                    self._hang_up()

    def _read(self) -> None:
        assert self._side is not None
        try:
            data = self._side.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        for fields, body in self._reader.feed(data):
            if fields[1] != CALL or self._runner is None:
                raise ProtocolError(f"no frame of kind {fields[1]} is an errand")
            started = self._runner.run(fields, body)
            if started is not None:
                running = Running(fields, 0)
                drive(plan(self._runner, running, body, started), running, _never)

    def _hang_up(self) -> None:
        """No more errands; the beat goes on."""
        assert self._side is not None
        self._poll.unregister(self._side)


def _never(running: Running) -> None:
    raise AssertionError("an errand is no stream")
