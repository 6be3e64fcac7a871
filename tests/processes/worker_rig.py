"""A real worker process, executed without a warden, with the test as its parent on the other end of the socket."""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import msgspec

from millpond.wire import frames, stacks
from millpond.wire.codec import PickleCodec
from millpond.wire.exceptions import restore
from millpond.wire.frames import HEADER, FrameReader
from millpond.wire.handlerspec import encode_arguments, encode_handler
from millpond.wire.logbook import Logbook

WAIT_S = 60.0

BOOT = """
import os, sys, msgspec
config, fds = msgspec.msgpack.decode(bytes.fromhex(sys.argv[1]))
sys.path[:] = config["sys_path"]
from millpond.worker.main import main

def orphaned(parent=os.getppid()):
    from millpond.engine import guard
    guard.finish(parent)

main(config, fds, None, orphaned)
"""


class RealWorker:
    """One process. Every wait is bounded by `WAIT_S`; `close` kills what is left of it."""

    def __init__(self, handler: Any, args: tuple[Any, ...] = (), **config: Any) -> None:
        self.codec = PickleCodec()
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(WAIT_S)
        self.logbook = Logbook.create()
        told = {
            "incarnation": 1,
            "parent": (os.getpid(), "MainProcess"),
            "codec": "pickle",
            "max_payload": 2**26,
            "concurrency": 1,
            "buffer_threshold": 2**16,
            "buffer_bytes": 0,
            "stream_window": 16,
            "emit_rate": 100.0,
            "busy_poll": 0.0002,
            "handler": encode_handler(handler),
            "arguments": encode_arguments(args, {}),
            "sys_path": sys.path,
            **config,
        }
        self.side, their_side = socket.socketpair()
        self.stacks = stacks.create_file()
        fds = {
            "data": theirs.fileno(),
            "side": their_side.fileno(),
            "stacks": self.stacks,
            "logbook": self.logbook.fd,
        }
        boot = msgspec.msgpack.encode([told, fds]).hex()
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOT, boot],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(fds.values()),
            start_new_session=True,
        )
        theirs.close()
        their_side.close()
        self.facts: dict[str, Any] = {}
        self._reader = FrameReader(2**31, 1)
        self._frames: list[tuple[frames.Fields, Any]] = []
        self._call_id = 0

    def frame(self, kind: int, body: bytes = b"", operation: int = 0, call_id: int = 0) -> None:
        """Send one frame."""
        position = call_id % 256
        self.socket.sendall(
            HEADER.pack(len(body), kind, 0, position, operation, 0, 1, call_id, 0, math.inf, 0.0) + body
        )

    def next_frame(self, *kinds: int) -> tuple[frames.Fields, Any]:
        """The next frame of one of these kinds; `EOFError` when the worker is gone."""
        while True:
            for index, (fields, body) in enumerate(self._frames):
                if fields[1] in kinds:
                    del self._frames[index]
                    return fields, body
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._frames += self._reader.feed(data)

    def ready(self) -> RealWorker:
        """Wait for the handshake."""
        fields, body = self.next_frame(frames.READY, frames.START_FAILED)
        self.facts = msgspec.msgpack.decode(body)
        assert fields[1] == frames.READY, self.facts
        return self

    def send(self, name: str, *args: Any) -> int:
        """Start a call."""
        self._call_id += 1
        self.logbook.reset(self._call_id % 256)
        number = 1 + [operation["name"] for operation in self.facts["operations"]].index(name)
        self.frame(frames.CALL, self.codec.encode((args, {})), number, self._call_id)
        return self._call_id

    def answer(self) -> tuple[int, Any]:
        """The next answer: its kind, and the result or the exception."""
        fields, body = self.next_frame(frames.OK, frames.RAISED, frames.FAULT, frames.INTERRUPTED)
        if fields[1] == frames.OK:
            return frames.OK, self.codec.decode(body)
        if fields[1] == frames.RAISED:
            return frames.RAISED, restore(body, "pickle")
        return fields[1], body

    def call(self, name: str, *args: Any) -> Any:
        """Make a call and give its result."""
        self.send(name, *args)
        kind, value = self.answer()
        assert kind == frames.OK, value
        return value

    def wait_claimed(self, call_id: int) -> None:
        """Until the call may be running."""
        end = time.monotonic() + WAIT_S
        while not self.logbook.is_claimed(call_id % 256):
            assert time.monotonic() < end
            select.select([], [], [], 0.002)

    def interrupt(self, call_id: int) -> None:
        """What the engine does to stop a call."""
        self.logbook.request_interrupt(call_id % 256)
        self.process.send_signal(signal.SIGURG)

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.process.wait(WAIT_S)

    def read_stderr(self) -> str:
        """All it ever wrote there; it has to be gone."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode(errors="replace")

    def close(self) -> None:
        """Kill it with its group, and give everything back."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(WAIT_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.socket.close()
        self.side.close()
        os.close(self.stacks)
        self.logbook.close()
