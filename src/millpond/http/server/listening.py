"""Listening sockets: of an address, at a path, or inherited from who started the program (`--fd`, systemd).

Opened before anything else is done, so that clients can connect while pools open. None of them can be inherited by the
processes of a pool. Errors are sentences (`CannotListen`).
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

FIRST_FD = 3  # of those that systemd hands over
SYSTEMD = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
BACKLOG = 2048


class CannotListen(Exception):
    """The address cannot be listened at, and why."""


class Listener(NamedTuple):
    """A listening socket."""

    socket: socket.socket
    is_kept: bool = False  # open elsewhere too, so that connections wait in it while no program takes them
    path: Path | None = None  # that was made for it, and goes with it
    mark: tuple[int, ...] | None = None  # by which that path is told from one made later

    @property
    def is_public(self) -> bool:
        """Whether other machines could connect."""
        if self.socket.family == socket.AF_UNIX:
            return False
        return not ipaddress.ip_address(self.socket.getsockname()[0].partition("%")[0]).is_loopback

    def address(self, scheme: str) -> str:
        """The address as a URL, or the path of a Unix socket."""
        where = self.socket.getsockname()
        if self.socket.family == socket.AF_UNIX:
            return f"unix:{where}"
        host = f"[{where[0]}]" if ":" in where[0] else where[0]
        return f"{scheme}://{host}:{where[1]}"


def open_address(host: str, port: int) -> list[Listener]:
    """Sockets at each address of a host; with port 0 at one that is free, the same for all of them."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(f"there is no address {host!r}: {error.strerror or error}") from None
    opened: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        where = (address[0], opened[0].getsockname()[1] if opened else address[1], *address[2:])
        opened.append(_bound(family, where))
    return [Listener(one) for one in opened]


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        why = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
        raise CannotListen(f"cannot listen at {address[0]} port {address[1]}: {why}") from None
    return listener


def open_path(path: str, mode: int) -> Listener:
    """A Unix socket with `mode`, in a folder that lets in nobody who may not connect; one that is missing is made."""
    where = Path(path)
    try:
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(where.parent, mode)
        with _alone(where.parent):  # or two programs that find a dead one's socket would remove each other's
            _remove_stale(where)
            return Listener(_bound_path(where, mode), False, where, _mark(where))
    except OSError as error:
        raise CannotListen(f"cannot listen at {path}: {error.strerror or error}") from None


def check_folder(folder: Path, mode: int) -> None:
    """Raise `CannotListen` for a folder in which others could put a socket, or may look who may not connect."""
    there = folder.stat()
    others = stat.S_IMODE(there.st_mode) & 0o077
    may_enter = (0o050 if mode & 0o060 else 0) | (0o005 if mode & 0o006 else 0)
    if there.st_uid not in (0, os.geteuid()) or others & ~may_enter:
        raise CannotListen(
            f"the folder {folder} of the socket has mode {stat.S_IMODE(there.st_mode):04o} and belongs to user "
            f"{there.st_uid}; it must be this user's, with mode {0o700 | may_enter:04o} or less (one that is missing "
            "is made so)"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _remove_stale(path: Path) -> None:
    """Remove this user's socket at which nobody listens; anything else that is there stays and raises."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise CannotListen(f"cannot listen at {path}: there is a file that is no socket")
    if there.st_uid != os.geteuid():
        raise CannotListen(f"cannot listen at {path}: there is a socket of user {there.st_uid}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: somebody listens
    raise CannotListen(f"cannot listen at {path}: another program listens there")


def _bound_path(path: Path, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def remove_path(listener: Listener) -> None:
    """Remove the Unix socket from the folder if it still is the one that was opened."""
    if listener.path is None:
        return
    with suppress(OSError), _alone(listener.path.parent):
        if _mark(listener.path) == listener.mark:
            listener.path.unlink()


def _mark(path: Path) -> tuple[int, ...]:
    there = path.lstat()
    return there.st_dev, there.st_ino, there.st_mtime_ns  # inodes are used again


def open_inherited(descriptor: int) -> Listener:
    """The listening socket that has this number already."""
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:
        raise CannotListen(f"there is no open file {descriptor}") from None
    if not stat.S_ISSOCK(kind):
        raise CannotListen(f"the open file {descriptor} is no socket")
    listener = socket.socket(fileno=descriptor)
    if listener.type != socket.SOCK_STREAM or listener.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        listener.detach()
        raise CannotListen(f"the open file {descriptor} is no stream socket of the internet or of Unix")
    listener.set_inheritable(False)
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.listen(BACKLOG)
    return Listener(listener, is_kept=True)


def take_activated(environment: MutableMapping[str, str]) -> list[Listener]:
    """The sockets that systemd opened for this very process; its variables go, so that no other takes them."""
    told = {name: environment.pop(name, "") for name in SYSTEMD}
    if told["LISTEN_PID"] != str(os.getpid()) or not told["LISTEN_FDS"].isdigit():
        return []
    return [open_inherited(FIRST_FD + index) for index in range(int(told["LISTEN_FDS"]))]
