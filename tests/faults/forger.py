"""A hostile worker: it puts itself between its own loop and the parent, and rewrites one answer on the way.

The handler replaces the descriptor of the worker's data socket with a pair of its own and forwards frames in a thread;
so the frame it forges has the right call, position and incarnation wherever the forgery does not say otherwise.
"""

from __future__ import annotations

import os
import pickle
import socket
import stat
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from millpond.wire import frames
from tests.faults.handlers import Plain

LENGTH, KIND, FLAGS, POSITION, OPERATION, AMOUNT, INCARNATION, CALL = range(8)
Frame = tuple[list[Any], bytes]


class Evil:
    """Its pickle calls a function where it is decoded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def by_eval(marker: str) -> bytes:
    """A pickle that writes the marker by `builtins.eval`."""
    return pickle.dumps(Evil(eval, f"open({marker!r}, 'w')"))


def by_system(marker: str) -> bytes:
    """A pickle that writes the marker by `os.system`."""
    return pickle.dumps(Evil(os.system, f"touch {marker}"))


def by_dotted_name(marker: str) -> bytes:
    """A pickle that reaches `os.system` through a module that also holds exceptions."""
    return b"\x80\x04\x8c\x07tempfile\x8c\x0a_os.system\x93" + _string(f"touch {marker}") + b"\x85R."


def by_exception_state(marker: str) -> bytes:
    """A pickle of a harmless exception whose argument is the harmful call."""
    return pickle.dumps(ValueError(Evil(os.system, f"touch {marker}")))


def _string(text: str) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


PICKLES = {kind.__name__: kind for kind in (by_eval, by_system, by_dotted_name, by_exception_state)}


def forge(how: str, detail: str, frame: Frame) -> bytes:
    """The bytes that go out in place of an honest answer."""
    fields, body = list(frame[0]), frame[1]
    match how:
        case "result":
            body = PICKLES[detail.split(":")[0]](detail.split(":")[1])
        case "exception":
            fields[KIND], fields[FLAGS] = frames.RAISED, 0
            evil = PICKLES[detail.split(":")[0]](detail.split(":")[1])
            facts = {"type": "builtins.ValueError", "text": "forged", "traceback": "forged", "pickled": evil}
            body = msgspec.msgpack.encode(facts)
        case "oversized":
            fields[LENGTH] = 2**32 - 1
            return frames.HEADER.pack(*fields) + b"x" * 4096
        case "truncated":
            fields[LENGTH] = 1000
            return frames.HEADER.pack(*fields) + b"x" * 500
        case "kind":
            fields[KIND] = 99
        case "incarnation":
            fields[INCARNATION] += 1
        case "segments":
            fields[FLAGS] |= 1
            body = b"\xff" * 64
        case "nested":
            body = b"\x91" * 200_000 + b"\xc0"
        case "garbage":
            return b"Traceback (most recent call last):\n" * 100
        case "nothing":
            return b""
        case "twice":
            return 2 * whole(fields, body)
        case "others":
            # The same answer, first for every call near by, then honestly.
            near = range(max(1, fields[CALL] - 50), fields[CALL] + 50)
            forged = b"".join(whole([*fields[:CALL], call, *fields[CALL + 1 :]], body) for call in near)
            return forged + whole(fields, body)
    return whole(fields, body)


def whole(fields: list[Any], body: bytes) -> bytes:
    """A frame whose length is right."""
    return frames.HEADER.pack(len(body), *fields[1:]) + body


class Forger(Plain):
    """Answers honestly until told otherwise."""

    def tamper(self, how: str, detail: str = "") -> int:
        """Forge the answer to the call after this one; return this worker's pid."""
        fd = data_socket()
        parent = socket.socket(fileno=os.dup(fd))
        ours, theirs = socket.socketpair()
        os.dup2(theirs.detach(), fd)
        parent.setblocking(True)
        threading.Thread(target=_forward, args=(parent, ours), daemon=True).start()
        threading.Thread(target=_rewrite, args=(ours, parent, how, detail), daemon=True).start()
        return os.getpid()

    def deep(self, depth: int) -> Any:
        value: Any = None
        for _ in range(depth):
            value = [value]
        return value


def data_socket() -> int:
    """The descriptor of the first of this worker's two stream sockets; the second is the control thread's."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                end = socket.socket(fileno=os.dup(fd))
                if end.type == socket.SOCK_STREAM:
                    found.append(fd)
                end.close()
        except OSError:
            pass
    data, _side = sorted(found)
    return data


def _forward(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def _rewrite(source: socket.socket, target: socket.socket, how: str, detail: str) -> None:
    """Let the first answer pass, forge the second, end the process where the forgery is a broken-off one."""
    stream = source.makefile("rb")
    answers = 0
    while head := stream.read(frames.HEADER.size):
        fields = list(frames.HEADER.unpack(head))
        body = stream.read(fields[LENGTH])
        answers += fields[KIND] == frames.OK
        if answers != 2 or fields[KIND] != frames.OK:
            target.sendall(head + body)
            continue
        target.sendall(forge(how, detail, (fields, body)))
        if how == "truncated" and detail == "exit":
            os._exit(5)
