"""The parent's side of one warden: starts it, writes orders, reads reports, and notices when it is gone.

Each object is one process, which is never started twice. What the reports mean is decided in `local`, and whether
another warden is made in `supervisor`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable

from millpond.engine import kernel
from millpond.engine import warden_protocol as protocol
from millpond.engine.endpoints import Endpoints

_OUTPUT_BYTES = 64 * 1024
_RETRY_S = 0.02  # while the warden is too busy to read, or too many descriptors are on their way
_PATIENCE_S = 1.0  # for a killed process that is still being torn down


class WardenProcess:
    """Made with its process running; raises `OSError`, and then nothing was started.

    `report` is given every record in order, `output` what the warden writes; `lost` is called once with how it
    ended, when the process is dead and reaped and all it reported was passed on.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        launch: tuple[int, list[str], dict[str, str]],
        report: Callable[[protocol.Record], None],
        output: Callable[[bytes], None],
        lost: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._report = report
        self._output = output
        self._lost = lost
        self._orders: deque[tuple[bytes, Endpoints | None]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._process: subprocess.Popen[bytes]
        self.ended = asyncio.Event()
        with contextlib.ExitStack() as made:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, kernel.CONTROL_KIND)
            made.enter_context(self._socket)
            self._pipe = self._launch(made, theirs, *launch)
            self._watch = kernel.watch(self.pid)
            if self._watch is not None:
                made.callback(os.close, self._watch)
            self._closing = made.pop_all()
        self._listen()

    def order(self, kind: int, worker_id: int, number: int = 0, endpoints: Endpoints | None = None) -> None:
        """Give an order; a worker's `endpoints` go with it, and theirs are closed here when they went."""
        self._orders.append((protocol.pack(kind, worker_id, number), endpoints))
        if self._retry is None:
            self._write()

    @property
    def pid(self) -> int:
        """The warden's process."""
        return self._process.pid

    def kill(self) -> None:
        """Kill the process, and first what is below it; its end is noticed as any other."""
        # It adopts what dead workers leave. One that is stopped or hangs has not ended that, and it may carry no mark.
        if self._process.poll() is None:
            with contextlib.suppress(OSError):  # no descriptor to look with: those with a mark are swept away later
                kernel.kill_below([self.pid])
            self._process.send_signal(signal.SIGKILL)

    def catch_up(self) -> None:
        """Take what it has reported until now."""
        if not self.ended.is_set():
            self._read()

    def finish(self) -> None:
        """Kill the process, take its last reports, and free everything, without the loop. Idempotent."""
        if self.ended.is_set():
            return
        # It is reaped before its last reports are read: until it is dead it could still send some, and what lies in the
        # socket outlives it. Deaths it reported keep their status; the other workers are reported as lost with it.
        self.ended.set()
        self._reap()
        with contextlib.suppress(BlockingIOError):
            while packet := self._receive():
                self._report(protocol.unpack(packet))
        self._read_output()
        for fd in (self._socket.fileno(), self._pipe, self._watch):
            if fd is not None:
                self._loop.remove_reader(fd)
        self._closing.close()
        self._lost(self._how())

    def _launch(
        self, made: contextlib.ExitStack, theirs: socket.socket, plan_fd: int, path: list[str], env: dict[str, str]
    ) -> int:
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        ours, output = os.pipe()
        made.callback(os.close, ours)
        with theirs, open(output, "wb") as written:
            self._process = subprocess.Popen(
                protocol.command("warden", flags, path, theirs.fileno(), plan_fd),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                pass_fds=(theirs.fileno(), plan_fd),
                start_new_session=True,
                env=env,
            )
        made.callback(self._reap)
        return ours

    def _listen(self) -> None:
        self._socket.setblocking(False)
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._loop.add_reader(self._pipe, self._read_output)
        if self._watch is not None:
            self._loop.add_reader(self._watch, self.finish)

    def _write(self) -> None:
        """Write what was ordered, in order; what is not taken now is tried again."""
        # One order that finds no room holds back those behind it: no kill or signal overtakes the start of its worker.
        self._retry = None
        try:
            while self._orders and not self.ended.is_set():
                packet, endpoints = self._orders[0]
                socket.send_fds(self._socket, [packet], endpoints.theirs() if endpoints is not None else [])
                if endpoints is not None:
                    endpoints.close_theirs()
                self._orders.popleft()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ETOOMANYREFS):
                self._retry = self._loop.call_later(_RETRY_S, self._write)
            else:  # the warden is gone, which is noticed elsewhere
                self._orders.clear()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while packet := self._receive():
                self._report(protocol.unpack(packet))
            self._loop.remove_reader(self._socket.fileno())
            self.kill()  # it is ending, or it broke: what counts is the end of the process
            if self._watch is None:
                self.finish()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(protocol.PACKET_LIMIT)
        except ConnectionError:
            return b""

    def _read_output(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while output := os.read(self._pipe, _OUTPUT_BYTES):
                self._output(output)
            self._loop.remove_reader(self._pipe)

    def _reap(self) -> None:
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)

    def _how(self) -> str:
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
