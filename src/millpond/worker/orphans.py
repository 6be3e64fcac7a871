"""Orphans: processes that an operation's helpers leave behind become this worker's children, and are reaped here.

A worker adopts them so that they die with it, but no code of the handler's knows them, let alone waits. What the
handler started itself keeps its exit status until the handler asks: such a child is noted where Python starts
processes. One that native code started is not; it counts as an orphan when nobody has waited for it `PATIENCE_S` after
it was first seen dead.
"""

from __future__ import annotations

import _posixsubprocess
import functools
import os
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 0.5  # also covers the moment between a start and the note of it
_STARTERS = (
    (os, ("fork", "forkpty", "posix_spawn", "posix_spawnp")),
    (_posixsubprocess, ("fork_exec",)),  # what subprocess and multiprocessing start processes by
)
_DEAD = os.WEXITED | os.WNOHANG | os.WNOWAIT  # looks, and leaves the status to whoever waits

Dead = tuple[int, int]  # pid and start time: a number may be used again


class Orphans:
    """Which children the handler started; looks and reaps in whatever thread calls `reap`, always the same one."""

    def __init__(self) -> None:
        self._started: dict[int, object] = {}  # pid -> a mark of that start
        self._seen: dict[Dead, float] = {}  # dead, and by whom they were started is not known -> since when

    def note_starts(self) -> None:
        """Note what is started from now on. Cannot be undone: for real workers only."""
        subprocess = sys.modules.get("subprocess")  # one that comes later takes what is there then
        for module, names in (*_STARTERS, *([(subprocess, ("_fork_exec",))] if subprocess else ())):
            for name in names:
                if start := getattr(module, name, None):
                    setattr(module, name, self._noting(start))

    def note(self, pid: int) -> None:
        """A child that is not to be touched until somebody has waited for it."""
        if pid:  # in a forked child there is nothing to note
            self._started[pid] = object()

    def reap(self) -> None:
        """Reap the orphans that have been dead for a while. Cheap when no child is dead."""
        self._forget_the_reaped()
        # The handler may wait for a child between our look and `waitid`: then there is nothing left to reap, and nobody
        # lost anything. A number is not given to a new process before the old one was reaped. What remains: native code
        # that waits for its child later than `PATIENCE_S` after its death finds no exit status.
        now, dead = monotonic(), set(_dead_children()) if _has_dead_child() else set()
        self._seen = {one: self._seen.get(one, now) for one in dead if one[0] not in self._started}
        for (pid, _), since in self._seen.items():
            if now >= since + PATIENCE_S:
                with suppress(ChildProcessError):
                    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)

    def _forget_the_reaped(self) -> None:
        for pid, start in list(self._started.items()):
            # Asked of each: the list in /proc may leave out a child while others come and go. Its number may have been
            # given to a new child since it was asked, and noted anew: the mark tells that start from the one before.
            if not _is_child(pid) and self._started.get(pid) is start:
                del self._started[pid]

    def _noting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(start)
        def noted(*args: Any, **kwargs: Any) -> Any:
            started = start(*args, **kwargs)
            self.note(started[0] if isinstance(started, tuple) else started)
            return started

        return noted


def _has_dead_child() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, _DEAD) is not None
    except ChildProcessError:
        return False


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, _DEAD)
    except ChildProcessError:
        return False
    return True


def _dead_children() -> Iterator[Dead]:
    """Of the main thread's children, which the adopted ones are among; none while they cannot be read."""
    pid = os.getpid()
    with suppress(OSError):
        for child in _read(f"/proc/{pid}/task/{pid}/children").split():
            with suppress(OSError, IndexError):
                # The name in parentheses may hold anything; the state is the first word after it.
                facts = _read(f"/proc/{int(child)}/stat").rpartition(b")")[2].split()
                if facts[0] == b"Z":
                    yield int(child), int(facts[19])


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
