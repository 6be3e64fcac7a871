"""The warden: a single-threaded process that makes the warm image, forks workers from it, and reaps them.

It takes orders on one socket and reports on it, and ends, killing all it started, when that socket closes or the parent
dies. It carries no calls and judges no worker: that is the parent's.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import struct
import sys
from collections import deque
from typing import Any

from millpond.engine import kernel, spawner
from millpond.engine import warden_protocol as protocol
from millpond.engine.image import Image, explain, make_image
from millpond.engine.reaper import Reaper

_FDS_LIMIT = 16
_INT = struct.Struct("i")
_RIGHTS = (socket.SOL_SOCKET, socket.SCM_RIGHTS)


class Warden:
    """The loop, its socket, and its children. `image` is `None` where workers are spawned."""

    def __init__(
        self, the_plan: protocol.Plan, plan_fd: int, link: socket.socket, parent: int | None, image: Image | None
    ) -> None:
        self._plan = the_plan
        self._plan_fd = plan_fd
        self._link = link
        self._parent = parent
        self._image = image
        self._reaper = Reaper(kernel.children())
        self._unsent: deque[bytes] = deque()
        self._is_leaving = False
        link.setblocking(False)
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._signals: dict[int, Any] = {}  # what the workers get back
        self._wakeup_before = -1

    def run(self) -> None:
        """Serve until ordered to quit, or until the parent is gone; then kill everything and return."""
        self._listen()
        while not self._is_leaving:
            wait_s = self._reaper.wait_s()
            for fd, _ in self._poll.poll(None if wait_s is None else math.ceil(wait_s * 1000)):
                self._attend(fd)
            if wait_s is not None:
                self._reaper.kill_strangers()
        self.end()

    def end(self) -> None:
        """Kill and reap everything this process started."""
        # A resource tracker that preload() started waits until nobody holds its pipe any more, this process included.
        signal.set_wakeup_fd(-1)
        kernel.close_all_but(self._link.fileno())
        for report in self._reaper.end():
            self.report(*report)

    def report(self, kind: int, worker_id: int = 0, number: int = 0, text: bytes = b"") -> None:
        """Tell the parent; what it is too busy to take waits here, in order."""
        self._unsent.append(protocol.pack(kind, worker_id, number, text))
        self._send()

    def _listen(self) -> None:
        self._signals = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
            signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        }
        self._wakeup_before = signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for fd in (self._wake, self._parent):
            if fd is not None:
                self._poll.register(fd, select.POLLIN)
        # The signal's descriptor is watched first, then the children are looked at: one that ended in between is found
        # by either, and looking twice does no harm.
        self._reap()

    def _attend(self, fd: int) -> None:
        if fd == self._wake:
            self._reap()
        elif fd == self._link.fileno():
            self._send()
            self._take_order()
        else:
            self._is_leaving = True  # the parent died

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        for report in self._reaper.changes():
            self.report(*report)

    def _take_order(self) -> None:
        try:
            packet, fds, is_cut = _receive(self._link)
        except BlockingIOError:
            return
        except OSError:
            packet, fds, is_cut = b"", [], False
        if not packet:  # the parent closed the socket
            self._is_leaving = True
            return
        kind, worker_id, number, _ = protocol.unpack(packet)
        try:
            self._carry_out(kind, worker_id, number, fds, is_cut)
        finally:
            for fd in fds:  # the worker has its own; the next one must not inherit them
                os.close(fd)

    def _carry_out(self, kind: int, worker_id: int, number: int, fds: list[int], is_cut: bool) -> None:
        if kind == protocol.START:
            self._start(worker_id, fds, is_cut)
        elif kind == protocol.SIGNAL:
            self._reaper.signal(worker_id, number)
        elif kind == protocol.QUIT:
            self._is_leaving = True

    def _start(self, worker_id: int, fds: list[int], is_cut: bool) -> None:
        try:
            if is_cut:
                raise OSError("the warden has no file descriptors left to take a worker's")
            pid = self._make_worker(worker_id, fds)
        except OSError as error:
            self.report(protocol.START_FAILED, worker_id, text=f"the worker could not be started: {error}".encode())
            return
        # Known before this loop looks for ended children again: a worker that dies at once is reported as one, after
        # its start, and is never taken for a stranger.
        self._reaper.add(pid, worker_id)
        self.report(protocol.STARTED, worker_id, pid)

    def _make_worker(self, worker_id: int, fds: list[int]) -> int:
        if self._image is None:
            return spawner.spawn(self._plan, self._plan_fd, worker_id, fds)
        config = self._plan["config"] | {"incarnation": worker_id}
        return spawner.fork(self._image, config, fds, self._leave_to_the_child)

    def _leave_to_the_child(self) -> None:
        """In a forked worker: give back the signals and close what is the warden's."""
        signal.set_wakeup_fd(self._wakeup_before)
        for signo, handler in self._signals.items():
            signal.signal(signo, signal.SIG_DFL if handler is None else handler)
        self._link.close()
        for fd in (self._wake, self._woken, self._plan_fd, self._parent):
            if fd is not None:
                os.close(fd)

    def _send(self) -> None:
        try:
            while self._unsent:
                self._link.send(self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:
            self._poll.modify(self._link, select.POLLIN | select.POLLOUT)
            return
        except OSError:  # nobody listens any more: noticed where orders are read
            self._unsent.clear()
        self._poll.modify(self._link, select.POLLIN)


def _receive(link: socket.socket) -> tuple[bytes, list[int], bool]:
    """A packet, the descriptors that came with it (closed on exec), and whether some were lost for want of room.

    `socket.recv_fds` would do, but it ignores its flags (in Python 3.11 at least).
    """
    room = socket.CMSG_SPACE(_FDS_LIMIT * _INT.size)
    packet, ancillary, flags, _ = link.recvmsg(protocol.PACKET_LIMIT, room, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    fds = [fd for level, kind, sent in ancillary if (level, kind) == _RIGHTS for (fd,) in _INT.iter_unpack(sent)]
    return packet, fds, bool(flags & socket.MSG_CTRUNC)


def main() -> None:
    """The program; the numbers of its control socket and of the plan's memfd are on the command line."""
    control_fd, plan_fd = map(int, sys.argv[1:])
    for fd in (control_fd, plan_fd):
        os.set_inheritable(fd, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the parent's thread may have blocked what is needed here
    the_plan = protocol.read(plan_fd)
    # Only while user code is imported and nobody looks at the socket: later the parent's thread may end and we live on.
    kernel.signal_with_parent(signal.SIGKILL)
    watch = kernel.watch(the_plan["parent"])
    if os.getppid() != the_plan["parent"]:
        return
    kernel.set_name("millpond-warden")
    kernel.adopt_orphans()
    link = socket.socket(socket.AF_UNIX, kernel.CONTROL_KIND, 0, control_fd)
    _serve(the_plan, plan_fd, link, watch)
    os._exit(0)  # what user code registered to run at exit could hang, and all it started is dead


def _serve(the_plan: protocol.Plan, plan_fd: int, link: socket.socket, watch: int | None) -> None:
    image, error = _prepare(the_plan)
    # A warden that is stopped when the parent dies goes on, and sees it. This comes also when only the parent's thread
    # ends, and is harmless.
    kernel.signal_with_parent(signal.SIGCONT)
    warden = Warden(the_plan, plan_fd, link, watch, image)
    if error is not None:
        warden.report(protocol.IMAGE_FAILED, text=error.encode(errors="replace"))
        warden.end()
        return
    if image is not None and image.note:
        warden.report(protocol.NOTE, text=image.note.encode(errors="replace"))
    warden.report(protocol.IMAGE_READY, text=_encoded(image.facts) if image is not None else b"")
    warden.run()


def _prepare(the_plan: protocol.Plan) -> tuple[Image | None, str | None]:
    """The image (none where workers are spawned), or why there is none."""
    if the_plan["start_method"] != "fork":
        return None, None
    try:
        return make_image(the_plan), None
    except BaseException as error:  # user code may raise anything, and it is reported to the parent
        return None, explain(error)


def _encoded(facts: dict[str, Any] | None) -> bytes:
    """The handler's facts; too many to fit a packet are left to the first worker to report."""
    import msgspec

    encoded = b"" if facts is None else msgspec.msgpack.encode(facts)
    return encoded if len(encoded) <= protocol.TEXT_LIMIT else b""
