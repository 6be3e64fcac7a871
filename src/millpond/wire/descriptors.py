"""File descriptors on their way to another process of this machine: kept here under a token, which travels in a value.

Who reads the value fetches them by the token, over a socket that only a thread of the sending process listens on, and
only while something is kept. One that is not fetched is closed with the value it was for (`Lease`). Used by `sharing`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import struct
import threading
import weakref
from typing import Any, NamedTuple

OF_ITS_PROCESS = "has something in it that processes share, which nothing holds open while it is away"

FETCH_S = 30.0  # to be given one by a process that is alive; a dead one refuses at once
_ASKED_S = 1.0  # for whoever asks to say for what
_PAUSE_S = 0.05  # while there is no descriptor left to take a connection with
_TOKEN_BYTES = 16
_INT = struct.Struct("i")
_PEER = struct.Struct("3i")  # pid, uid, gid
_CLOSED_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Handle(NamedTuple):
    """Stands for a descriptor in a pickle; `detach` is what multiprocessing's functions call where it arrives."""

    address: bytes
    token: bytes

    def detach(self) -> int:
        """The descriptor, which is the caller's from now on; `OSError` if it was fetched before, or its sender ended.

        `FETCH_S` is the longest that takes.
        """
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(FETCH_S)
                link.connect(self.address)
                link.sendall(self.token)
                _, ancillary, _, _ = link.recvmsg(1, socket.CMSG_SPACE(_INT.size), _CLOSED_ON_EXEC)
        except OSError as error:
            raise OSError(f"a file descriptor could not be fetched from the process that sent it: {error}") from error
        if not ancillary:
            raise OSError("a file descriptor was fetched before, or given up by the process that sent it")
        descriptor: int = _INT.unpack(ancillary[0][2])[0]
        return descriptor


class Lease:
    """The descriptors that one value refers to: those not fetched are closed when nobody holds the lease any more.

    And what else has to stay until the value arrived.
    """

    __slots__ = ("__weakref__", "_held", "_tokens")

    def __init__(self) -> None:
        self._tokens: list[bytes] = []
        self._held: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._tokens or self._held)

    def take(self, descriptor: int) -> Handle:
        """A handle of a copy of the descriptor."""
        if not self._tokens:
            weakref.finalize(self, _keeper.release, self._tokens).atexit = False
        handle = _keeper.keep(descriptor)
        self._tokens.append(handle.token)
        return handle

    def hold(self, value: Any) -> None:
        """Keep something alive as long as this lease, another lease too."""
        self._held.append(value)

    def reuse(self) -> None:
        """Let each descriptor be fetched as often as is asked for it: the value may be read more than once."""
        _keeper.reuse(self._tokens)
        for held in self._held:
            if isinstance(held, Lease):
                held.reuse()


class _Keeper:
    """The descriptors of this process that are on their way, and the thread that gives them out."""

    def __init__(self) -> None:
        # Re-entrant: a lease may be collected, and so release, in the midst of `keep`.
        self._lock = threading.RLock()
        self._kept: dict[bytes, int] = {}
        self._reused: set[bytes] = set()
        self._listener: socket.socket | None = None  # while something is kept

    def keep(self, descriptor: int) -> Handle:
        copy, token = os.dup(descriptor), secrets.token_bytes(_TOKEN_BYTES)
        # Kept before its address is known to anybody: the value with the handle may be read as soon as it is sent.
        with self._lock:
            self._kept[token] = copy
            try:
                listener = self._listener or self._listen()
            except BaseException:
                self.release([token])
                raise
            return Handle(listener.getsockname(), token)

    def reuse(self, tokens: list[bytes]) -> None:
        with self._lock:
            self._reused.update(token for token in tokens if token in self._kept)

    def release(self, tokens: list[bytes]) -> None:
        with self._lock:
            self._reused.difference_update(tokens)
            for token in tokens:
                if token in self._kept:
                    os.close(self._kept.pop(token))
            # The thread may be about to accept a connection: whoever made it is refused, as its token is not kept any
            # more. A descriptor that is kept from now on gets a listener and a thread of its own, so that the two never
            # share a socket that is about to be closed.
            if not self._kept and self._listener is not None:
                with contextlib.suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, which closes it
                self._listener = None

    def forget(self) -> None:
        """In a forked child: nothing here was ever its own."""
        # Another thread of the parent may have held the lock when this process was forked: nobody would release it
        # here.
        self._lock = threading.RLock()
        for copy in self._kept.values():
            os.close(copy)
        self._kept, self._reused = {}, set()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(b"\0millpond-" + secrets.token_hex(8).encode())  # a name in no file system: nothing is left
            listener.listen(128)
            threading.Thread(target=self._serve, args=(listener,), name="millpond-descriptors", daemon=True).start()
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        return listener

    def _serve(self, listener: socket.socket) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        with listener:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    if self._listener is not listener:
                        return
                    threading.Event().wait(_PAUSE_S)
                    continue
                with peer, contextlib.suppress(OSError):
                    self._give(peer)

    def _give(self, peer: socket.socket) -> None:
        peer.settimeout(_ASKED_S)
        _, uid, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in (0, os.geteuid()):
            return
        token = peer.recv(_TOKEN_BYTES)
        # Held while it is sent: a lease that is released meanwhile would close the copy, and its number might belong to
        # another file by then. What remains: a peer that dies before it received it has used up a fetch.
        with self._lock:
            copy = self._kept.get(token)
            if copy is None:
                return
            peer.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _INT.pack(copy))])
            if token not in self._reused:
                self.release([token])


_keeper = _Keeper()
os.register_at_fork(after_in_child=lambda: _keeper.forget())
