"""The parent's part, played in the test: frames into one end of a socketpair while a real loop runs on the other.

The loop runs in the test's own thread, so that signals reach it; a thread collects what it answers. No process starts.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from millpond.seams import CLOSE_SESSION, EXPORT_SESSION
from millpond.wire import frames, segments
from millpond.wire.buffers import Arena, SlotReader, SlotWriter
from millpond.wire.codec import Encoded, MsgpackCodec, PickleCodec
from millpond.wire.exceptions import restore
from millpond.wire.frames import HEADER, FrameReader
from millpond.wire.functions import encode_function
from millpond.wire.handlerspec import encode_arguments
from millpond.wire.logbook import Logbook
from millpond.worker.main import Worker

BUFFER_BYTES = 8 * 1024 * 1024
WAIT_S = 60.0

CONFIG = {
    "incarnation": 7,
    "codec": "pickle",
    "max_payload": 16 * 1024 * 1024,
    "concurrency": 1,
    "buffer_threshold": 64 * 1024,
    "buffer_bytes": BUFFER_BYTES,
    "stream_window": 4,
    "emit_rate": 100.0,
    "busy_poll": 0.0002,
    "handler": None,
    "arguments": encode_arguments((), {}),
}


class Answer(NamedTuple):
    """One frame of the worker's, decoded."""

    kind: int
    call_id: int
    value: Any
    flags: int
    fields: frames.Fields


class Parent:
    """Sends what a pool would send, then lets the worker run until it was told goodbye."""

    def __init__(self, handler: type | None = None, **config: Any) -> None:
        self.config = {**CONFIG, **config}
        self.logbook = Logbook.create()
        self.inbound, self.outbound = Arena.create(BUFFER_BYTES), Arena.create(BUFFER_BYTES)
        self._writer, self._reader = SlotWriter(self.inbound), SlotReader(self.outbound)
        self.socket, theirs = socket.socketpair()
        self.side, their_side = socket.socketpair()
        self._stacks = os.open(os.devnull, os.O_WRONLY)
        fds = {
            "data": theirs.detach(),
            "side": their_side.detach(),
            "stacks": self._stacks,
            "logbook": os.dup(self.logbook.fd),
            "inbound": os.dup(self.inbound.fd),
            "outbound": os.dup(self.outbound.fd),
        }
        self.worker = Worker(self.config, fds)
        threshold = self.config["buffer_threshold"]
        self.codec = MsgpackCodec(threshold) if self.config["codec"] == "msgpack" else PickleCodec(threshold)
        self.loop, self.runner, self.facts = self.worker.make(handler)
        self.numbers = {facts.name: number for number, facts in enumerate(self.facts.operations, 1)}
        self.answers: list[Answer] = []
        self.on_answer: Callable[[Answer], None] = lambda answer: None
        self.failure: BaseException | None = None
        self._call_ids = itertools.count(1)
        self._early: bytearray | None = bytearray()  # sent once somebody reads: a socket holds some 270 frames
        self._sending = threading.Lock()
        self._goes = False

    # What a pool sends

    def frame(self, kind: int, body: bytes = b"", **fields: Any) -> None:
        """Send one frame; header fields by name."""
        header = HEADER.pack(
            len(body),
            kind,
            fields.get("flags", 0),
            fields.get("position", 0),
            fields.get("operation", 0),
            fields.get("amount", 0),
            7,
            fields.get("call_id", 0),
            fields.get("session", 0),
            fields.get("deadline", math.inf),
            0.0,
        )
        with self._sending:
            if self._early is None:
                self.socket.sendall(header + body)
            else:
                self._early += header + body

    def go(self) -> None:
        """Close the sending half: to the worker the parent is gone."""
        self._goes = True

    def call(self, name: str, *args: Any, session: int = 0, deadline: float = math.inf, **kwargs: Any) -> int:
        """Call an operation; its position in the logbook is its id modulo 256."""
        return self.encoded(self.numbers[name], self.codec.encode_arguments(args, kwargs), session, deadline)

    def function(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
        """Run a plain function."""
        return self.encoded(0, self.codec.encode_arguments((encode_function(function), *args), kwargs))

    def payload(self, operation: int, value: Any, session: int = 0, deadline: float = math.inf) -> int:
        """Send a call with whatever payload."""
        return self.encoded(operation, self.codec.encode(value), session, deadline)

    def encoded(self, operation: int, encoded: Any, session: int = 0, deadline: float = math.inf) -> int:
        """Send a call whose payload is encoded already."""
        flags, body = 0, encoded
        if isinstance(encoded, Encoded):
            flags, body = frames.SEGMENTED, b"".join(segments.pack(encoded, self._writer, 64 * 1024))
        return self.raw(operation, body, flags=flags, session=session, deadline=deadline)

    def raw(self, operation: int, body: bytes, **fields: Any) -> int:
        """Send a call with a body as it is."""
        call_id = next(self._call_ids)
        self.logbook.reset(call_id % 256)
        self.frame(frames.CALL, body, operation=operation, call_id=call_id, position=call_id % 256, **fields)
        return call_id

    def open_session(self, number: int, name: str = "someone", snapshot: Any = None) -> None:
        """Tell the worker of a session, perhaps with the state it had elsewhere."""
        head = msgspec.msgpack.encode([name, 1, 1])
        if snapshot is None:
            self.frame(frames.OPEN_SESSION, head, session=number)
        else:
            body = head + self.codec.encode(snapshot)
            self.frame(frames.OPEN_SESSION, body, session=number, flags=frames.HAS_SNAPSHOT, operation=len(head))

    def close_session(self, number: int) -> int:
        """The internal call that ends a session."""
        return self.raw(CLOSE_SESSION, b"", session=number)

    def export_session(self, number: int) -> int:
        """The internal call that exports a session's state."""
        return self.raw(EXPORT_SESSION, b"", session=number)

    def interrupt(self, call_id: int) -> None:
        """What the engine does to stop a call; only for calls whose signal is to reach this very process."""
        self.logbook.request_interrupt(call_id % 256)
        signal.raise_signal(signal.SIGURG)

    # What the worker does

    def serve(self, goodbye: bool = True) -> list[Answer]:
        """Run the loop until BYE; what it raises instead is kept in `failure`."""
        if goodbye:
            self.frame(frames.BYE)
        sender = threading.Thread(target=self._send_early, daemon=True)
        collector = threading.Thread(target=self._collect, daemon=True)
        sender.start()
        collector.start()
        before = {number: signal.getsignal(number) for number in (signal.SIGURG, signal.SIGINT)}
        self.worker.interrupts.install()
        try:
            self.loop.serve(self.runner)
        except Exception as error:
            self.failure = error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.worker.channel.socket.close()
        collector.join(WAIT_S)
        assert not collector.is_alive()
        return self.answers

    def _send_early(self) -> None:
        with self._sending:
            assert self._early is not None
            self.socket.sendall(self._early)
            self._early = None
            if self._goes:
                self.socket.shutdown(socket.SHUT_WR)

    def _collect(self) -> None:
        reader = FrameReader(2**31, self.config["incarnation"])
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            for fields, body in reader.feed(data):
                answer = Answer(fields[1], fields[7], self._decoded(fields, body), fields[2], fields)
                self.answers.append(answer)
                with contextlib.suppress(OSError):  # the worker has said goodbye meanwhile
                    self.on_answer(answer)

    def _decoded(self, fields: frames.Fields, body: Any) -> Any:
        if fields[1] == frames.RAISED:
            return restore(body, self.codec.name)
        if fields[1] in (frames.FAULT, frames.LOG):
            return msgspec.msgpack.decode(body)
        if fields[1] not in (frames.OK, frames.ITEM):
            return None
        if fields[2] & frames.SEGMENTED:
            return self.codec.decode(*segments.unpack(body, self._reader))
        return self.codec.decode(body)

    def answer(self, call_id: int) -> Answer:
        """The one answer to a call, items aside."""
        found = [a for a in self.answers if a.call_id == call_id and a.kind not in (frames.ITEM, frames.LOG)]
        assert len(found) == 1, found
        return found[0]

    def items(self, call_id: int) -> list[Any]:
        """What a stream gave."""
        return [a.value for a in self.answers if a.call_id == call_id and a.kind == frames.ITEM]

    def value(self, call_id: int) -> Any:
        """The result of a call that went well."""
        answer = self.answer(call_id)
        assert answer.kind == frames.OK, answer
        return answer.value

    def close(self) -> None:
        """Give back what the test holds."""
        for end in (self.socket, self.side, self.worker.channel.socket, self.worker.control.side):
            end.close()
        getattr(self.loop, "close", lambda: None)()
        os.close(self._stacks)
        for memory in (self.logbook, self.inbound, self.outbound):
            memory.close()


def unpickled(body: bytes) -> Any:
    """For tests that send bodies of their own making."""
    return pickle.loads(body)
