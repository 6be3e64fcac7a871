"""What the engine asks of the operating system, in one place: prctl, process trees, the run id's carriers.

Linux in full. Elsewhere what does not exist is skipped (a worker then outlives a killed warden until the run id finds
it). Decides nothing; called by the warden, by its workers, and by the parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from millpond.environment import IMAGE_ID as IMAGE_ID
from millpond.environment import RUN_ID as RUN_ID

IS_LINUX = sys.platform == "linux"
# One message, one order: only Linux has ordered, reliable packets with an end-of-file between processes.
CONTROL_KIND = socket.SOCK_SEQPACKET if IS_LINUX else socket.SOCK_DGRAM

_SWEEP_S = 2.0
TRACKER_GRACE_S = 1.0  # for a resource tracker to remove what its dead process left
BELOW_ROUNDS = 10  # of `kill_below` at most: somebody may start processes without end
_TRACKER = b"resource_tracker import main"  # multiprocessing's, loky's
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


def _prctl(option: int, value: int | bytes) -> None:
    if IS_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def check_platform(platform: str, start_method: str) -> None:
    """Raise `OSError` where local workers cannot be made in this way."""
    if platform == "win32":
        raise OSError("Millpond needs Linux, or macOS with start_method='spawn'; it does not run on Windows")
    if platform == "darwin" and start_method == "fork":
        raise OSError("on macOS forked workers are not safe; use start_method='spawn'")


def signal_with_parent(signo: int) -> None:
    """Be sent `signo` when the thread that forked this process ends.

    The parent may have died before: compare `os.getppid()` afterwards.
    """
    _prctl(_PR_SET_PDEATHSIG, signo)


def end_soon_with_parent() -> None:
    """Be ended by SIGALRM a second after the thread that forked this process ended, without a line of Python.

    The C library's `alarm` itself handles SIGHUP: it is called with the signal's number, which is 1, and that is how
    many seconds it waits.
    """
    if IS_LINUX:
        libc = ctypes.CDLL(None)
        libc.signal(int(signal.SIGHUP), ctypes.cast(libc.alarm, ctypes.c_void_p))
        signal_with_parent(signal.SIGHUP)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_name(name: str) -> None:
    """Show this name in process lists (15 bytes)."""
    _prctl(_PR_SET_NAME, name.encode())


def flush_c_streams() -> None:
    """Write out what C code printed and the C library still holds."""
    ctypes.CDLL(None).fflush(None)


def watch(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends, or `None` where there is no such thing (any more)."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:  # gone, and reaped by somebody else
        return None


def other_threads() -> dict[int, str]:
    """The native threads of this process but the main one, by id; Python's own names for those it knows."""
    try:
        ids = sorted(map(int, os.listdir("/proc/self/task")))
    except OSError:
        return {}
    known = {thread.native_id: thread.name for thread in threading.enumerate()}
    names = {}
    for tid in ids:
        with contextlib.suppress(OSError):
            names[tid] = known.get(tid) or _read(f"/proc/self/task/{tid}/comm").decode(errors="replace").strip()
    names.pop(os.getpid(), None)
    return names


def descriptors() -> dict[int, str]:
    """This process's open descriptors and what each leads to: a path, or such as `socket:[123]`; empty if unknown."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one the list was read by is gone
                found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def children() -> list[int]:
    """The living and dead children of this process, adopted ones included. For a process of one thread."""
    pid = os.getpid()
    try:
        return list(map(int, _read(f"/proc/self/task/{pid}/children").split()))
    except OSError:  # the kernel was built without that file
        return [child for child in _pids() if _parent_of(child) == pid]


def children_of_all_threads() -> list[int]:
    """The children that any thread of this process started or adopted; those that can be read now."""
    found: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            found += map(int, _read(f"/proc/self/task/{thread}/children").split())
    return found


def carriers(value: str, name: str = RUN_ID) -> list[int]:
    """Living processes, this one excepted, whose environment carries the run id, or another mark."""
    return [pid for pid in _pids() if pid != os.getpid() and _carries(pid, value, name)]


def kill(pid: int, signo: int = signal.SIGKILL) -> None:
    """Signal a process that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signo)


def kill_group(leader: int) -> None:
    """Kill a process, its group, and nothing if neither exists."""
    kill(leader)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill_below(roots: Iterable[int]) -> bool:
    """Kill what these processes started, all generations but resource trackers, and say whether any of it lived.

    A worker adopts the orphans of its descendants: while it lives, stopped or not, all it started is found below it.
    Once it is dead what carries no mark is lost. So none is killed while this finds something, for some rounds.
    """
    # The dead lead to the living as well: a child may have been looked at before its parent died.
    children, living, parents = _children_of_all(), [], list(roots)
    while parents:
        parent = parents.pop()
        for pid, is_dead in children.pop(parent, ()):
            parents.append(pid)
            if not is_dead and not is_tracker(pid):
                living.append((pid, parent))
    for pid, parent in reversed(living):  # children first: one whose parent is dead has another, and is not known again
        _kill_child(pid, parent)
    return bool(living)


def kill_carrier(pid: int, value: str, name: str = RUN_ID) -> None:
    """Kill the process if it still is one that carries the mark: the number may be another's by now."""
    _signal_if(pid, signal.SIGKILL, lambda: _carries(pid, value, name))


def signal_carrier(pid: int, signo: int, value: str) -> None:
    """Send a signal to the process if it still is one that carries the run id; when this returns, it was sent."""
    _signal_if(pid, signo, lambda: _carries(pid, value, RUN_ID))


def is_tracker(pid: int) -> bool:
    """Whether a process is a resource tracker of Python's: it removes named shared memory and semaphores, and ends by
    itself, once those who registered them are dead.
    """
    try:
        return _TRACKER in _read(f"/proc/{pid}/cmdline")
    except OSError:
        return False


def close_all_but(kept: int) -> None:
    """Close every descriptor of this process but the standard streams and one."""
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def private_memory(pid: int) -> int | None:
    """Bytes of memory that only this process uses, or `None` if they cannot be read."""
    try:
        lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"Private_")) * 1024


def is_stopped(pid: int) -> bool:
    """Whether a process that was reported as stopped still is, as far as that can be read."""
    try:
        stat = _stat(pid)
    except OSError:
        return True
    return not stat or stat[0] in (b"T", b"t")


def only_taker(pid: int, signo: int) -> int | None:
    """The one thread of a process that does not block a signal; `None` if it is not one, or cannot be read."""
    try:
        threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return None
    takers = [tid for tid in threads if not _has(_status(pid, tid), b"SigBlk", signo)]
    return takers[0] if len(takers) == 1 else None


def is_unhandled(pid: int, tid: int, signo: int) -> bool:
    """Whether a signal to a process was not taken yet by the thread that takes it, or is being handled there.

    While a thread handles a signal it blocks it.
    """
    status = _status(pid, tid)
    return any(_has(status, name, signo) for name in (b"ShdPnd", b"SigPnd", b"SigBlk"))


def sleeps(pid: int, tid: int) -> int:
    """How often a thread gave its processor up to wait for something."""
    return int(_status(pid, tid).get(b"voluntary_ctxt_switches", b"0"))


def _status(pid: int, tid: int) -> dict[bytes, bytes]:
    lines = _shown(pid, f"task/{tid}/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(b":") for line in lines)}


def _has(status: Mapping[bytes, bytes], name: bytes, signo: int) -> bool:
    return bool(int(status.get(name, b"0"), 16) >> (signo - 1) & 1)


def _kill_child(pid: int, parent: int) -> None:
    _signal_if(pid, signal.SIGKILL, lambda: _parent_of(pid) == parent)


def _signal_if(pid: int, signo: int, is_meant: Callable[[], bool]) -> None:
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if is_meant():
                signal.pidfd_send_signal(handle, signo)
        finally:
            os.close(handle)


def _children_of_all() -> dict[int, list[tuple[int, bool]]]:
    """Parent -> its children, and whether each is dead."""
    # Not from the files named children, which leave some out while others come and go.
    found: dict[int, list[tuple[int, bool]]] = {}
    for pid in _pids():
        if len(stat := _stat(pid)) > 1:
            found.setdefault(int(stat[1]), []).append((pid, stat[0] == b"Z"))
    return found


def _pids() -> Iterator[int]:
    if not os.path.isdir("/proc/self"):
        import psutil

        return iter(psutil.pids())
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _parent_of(pid: int) -> int:
    stat = _stat(pid)
    return int(stat[1]) if len(stat) > 1 else 0


def _stat(pid: int) -> list[bytes]:
    """What the kernel shows of a process, beginning with its state and its parent; empty if it is gone."""
    return _shown(pid, "stat").rpartition(b")")[2].split()  # the name in parentheses may hold anything


def _carries(pid: int, value: str, name: str) -> bool:
    """Whether it was started with the mark, alone or among those of the pools around it."""
    begin, mark = f"{name}=".encode(), value.encode()
    return any(mark in entry.removeprefix(begin).split(b"/") for entry in _environment(pid) if entry.startswith(begin))


def _environment(pid: int) -> list[bytes]:
    return _shown(pid, "environ").split(b"\0")


def _shown(pid: int, name: str) -> bytes:
    try:
        return _read(f"/proc/{pid}/{name}")
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise  # there may well be something: there is no descriptor to look with
        return b""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def sweep(image_id: str) -> Iterator[None]:
    """Kill what carries the image's mark and all below it, round after round until none is left; pause at each step.

    Resource trackers come last: from when the others are dead they have a while to do their work. Gives up on what
    cannot be killed, such as a program that became another user's.
    """
    begin, patience, has_others = time.monotonic(), BELOW_ROUNDS, True
    while (found := carriers(image_id, IMAGE_ID)) and (now := time.monotonic()) - begin < _SWEEP_S:
        others = [pid for pid in found if not is_tracker(pid)]
        if others:
            patience -= 1
            if not kill_below(found) or patience <= 0:
                for pid in others:
                    kill_carrier(pid, image_id, IMAGE_ID)
        elif has_others:  # on a busy machine they may have died late: the trackers' time begins now
            begin, has_others = now, False
        elif now - begin >= TRACKER_GRACE_S:
            for pid in found:
                kill_carrier(pid, image_id, IMAGE_ID)
        yield
