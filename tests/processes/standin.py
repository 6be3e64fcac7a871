"""A tiny worker program for tests of the engine: it speaks the protocol, and can be told to break it.

The methods of its handler are numbered by name. The instance finds the program as `self._program`, so that it can forge
frames.
"""

from __future__ import annotations

import os
import socket
import time
from types import SimpleNamespace
from typing import Any

import msgspec

from millpond.wire import frames, segments
from millpond.wire.buffers import Arena, SlotReader, SlotWriter
from millpond.wire.codec import Encoded, PickleCodec
from millpond.wire.handlerspec import load_arguments, load_handler
from millpond.wire.logbook import Logbook


def describe(handler: type | None) -> dict[str, Any]:
    """The facts of the handler: its methods, all of them plain."""
    operations = [_plain(name) for name in names(handler)]
    return {"name": handler.__name__ if handler else "", "operations": operations, "hooks": []}


def names(handler: type | None) -> list[str]:
    """The methods of a handler in the order of their numbers."""
    return [name for name in dir(handler) if handler and name[0] != "_" and callable(getattr(handler, name))]


def _plain(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "plain",
        "session": False,
        "positional": [],
        "positional_only": 0,
        "required": 0,
        "keyword_only": [],
        "required_keywords": [],
        "more_positional": True,
        "more_keywords": True,
    }


class Program:
    """The loop of the stand-in."""

    def __init__(self, config: dict[str, Any], fds: dict[str, int]) -> None:
        self.config = config
        self.fds = fds
        self.socket = socket.socket(fileno=fds["data"])
        self.logbook = Logbook(fds["logbook"])
        self.inbound = SlotReader(Arena(fds["inbound"], config["buffer_bytes"])) if "inbound" in fds else None
        self.outbound = SlotWriter(Arena(fds["outbound"], config["buffer_bytes"])) if "outbound" in fds else None
        self.codec = PickleCodec(config["buffer_threshold"])
        self.sessions: list[Any] = []
        self.frames: list[Any] = []

    def serve(self, methods: list[Any]) -> None:
        """Answer calls until told to leave."""
        reader = frames.FrameReader(1 << 30, self.config["incarnation"])
        while data := self.socket.recv(65536):
            for fields, body in reader.feed(data):
                self.frames.append((fields[1], fields[7], fields[8], fields[5]))
                if fields[1] == frames.BYE:
                    return
                if fields[1] == frames.PING:
                    self.send(frames.PONG)
                elif fields[1] == frames.OPEN_SESSION:
                    self.sessions.append((fields[8], fields[2], bytes(body)))
                elif fields[1] == frames.CALL:
                    self.answer(fields, body, methods)

    def answer(self, fields: Any, body: Any, methods: list[Any]) -> None:
        """Claim, run, end and answer one call."""
        self.now = SimpleNamespace(position=fields[3], call_id=fields[7])
        if self.logbook.claim(fields[3]):
            self.reply(frames.SKIPPED)
            return
        if fields[2] & frames.SEGMENTED:
            args, kwargs = self.codec.decode(*segments.unpack(body, self.inbound))
        else:
            args, kwargs = self.codec.decode(body)
        result = methods[fields[4] - 1](*args, **kwargs)
        self.logbook.end(fields[3])
        encoded = self.codec.encode(result)
        if isinstance(encoded, Encoded):
            parts = segments.pack(encoded, self.outbound, self.config["buffer_threshold"])
            self.reply(frames.OK, b"".join(parts), frames.SEGMENTED)
        else:
            self.reply(frames.OK, encoded)

    def reply(self, kind: int, body: bytes = b"", flags: int = 0) -> None:
        """Answer the present call."""
        self.send(kind, body, flags, self.now.position, self.now.call_id)

    def send(
        self,
        kind: int,
        body: bytes = b"",
        flags: int = 0,
        position: int = 0,
        call_id: int = 0,
        sender: int | None = None,
    ) -> None:
        """Write any frame."""
        sender = self.config["incarnation"] if sender is None else sender
        header = frames.pack(len(body), kind, flags, position, 0, 0, sender, call_id, 0, 1.0, time.monotonic())
        self.socket.sendall(header + body)


def main(config: dict[str, Any], fds: dict[str, int], image: type | None, *_: Any) -> None:
    """The worker."""
    program = Program(config, fds)
    handler = image or load_handler(config["handler"])
    args, kwargs = load_arguments(config["arguments"])
    instance = handler(*args, **kwargs) if handler else None
    if instance is not None:
        instance._program = program
    pid = {"pid": os.getpid()}
    program.send(frames.WARMING, msgspec.msgpack.encode(pid))
    program.send(frames.READY, msgspec.msgpack.encode(describe(handler) | pid))
    program.serve([getattr(instance, name) for name in names(handler)])
