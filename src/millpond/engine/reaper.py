"""The reaper of the warden's children: reports which of them stopped, continued or died, and ends all they started.

A worker adopts the orphans of its own descendants, so what appears among the warden's children and is no worker was a
dead worker's: it is killed, Python's resource trackers last. Knows nothing of sockets; the warden sends on what is
returned here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from millpond.engine import kernel
from millpond.engine import warden_protocol as protocol

_ENDED = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)
_ANY_CHANGE = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG
_PATIENCE_S = 2.0  # for processes that cannot die yet, such as those in an uninterruptible wait
_STEP_S = 0.002

Report = tuple[int, int, int]  # kind, worker id, number


class Reaper:
    """Workers by pid, and which other children are to be left alone (those that `preload()` started)."""

    def __init__(self, kept: list[int]) -> None:
        self._kept = set(kept)
        self._workers: dict[int, int] = {}  # pid -> worker id
        self._pids: dict[int, int] = {}  # worker id -> pid
        self._spared: dict[int, float] = {}  # resource trackers of dead workers -> until when they may do their work

    def add(self, pid: int, worker_id: int) -> None:
        """Know a worker that was just started."""
        self._workers[pid] = worker_id
        self._pids[worker_id] = pid

    def signal(self, worker_id: int, signo: int) -> None:
        """Send a signal to a worker, unless it is dead: its pid stays its own until it is reaped here.

        What a killed one started dies when its end is seen.
        """
        if worker_id in self._pids:
            kernel.kill(self._pids[worker_id], signo)

    def changes(self) -> Iterator[Report]:
        """Reap what died, and report what became of the workers."""
        has_reaped = False
        while (seen := _peek()) is not None:
            if seen.si_code not in _ENDED:
                yield from self._state_changed(seen)
                continue
            # Still a zombie, so that neither its pid nor its group can be another's yet: the group can be killed
            # without hitting a stranger. Its other descendants have become children of this process, and are killed
            # below. Where one of them is a resource tracker, the group is left alone: the tracker is of it, and has to
            # clean up first.
            if seen.si_pid in self._workers and not self._have_tracker():
                kernel.kill_group(seen.si_pid)
            os.waitid(os.P_PID, seen.si_pid, os.WEXITED | os.WNOHANG)
            has_reaped = True
            yield from self._reaped(seen)
        if has_reaped:
            self.kill_strangers()

    def end(self) -> Iterator[Report]:
        """Kill everything and reap it; gives up on what cannot die."""
        self._kept.clear()
        until = time.monotonic() + _PATIENCE_S
        while _has_children() and time.monotonic() < until:
            for pid in self._workers:
                kernel.kill(pid)
            self.kill_strangers()
            yield from self.changes()
            time.sleep(_STEP_S)

    def wait_s(self) -> float | None:
        """Until when `kill_strangers` is to be called at the latest, in seconds from now; `None` if it need not."""
        return max(0.0, min(self._spared.values()) - time.monotonic()) if self._spared else None

    def kill_strangers(self) -> None:
        """Each stranger's own children come here when it dies, and its death brings us back: until none appear.

        A resource tracker ends by itself when all those are dead; it is killed if it has not after a while.
        """
        now, spared = time.monotonic(), self._spared
        self._spared = {}
        for pid in self._strangers():
            until = spared.get(pid, now + kernel.TRACKER_GRACE_S)
            if kernel.is_tracker(pid) and now < until:
                self._spared[pid] = until
            else:
                kernel.kill(pid)

    def _strangers(self) -> list[int]:
        return [pid for pid in kernel.children() if pid not in self._workers and pid not in self._kept]

    def _have_tracker(self) -> bool:
        return any(map(kernel.is_tracker, self._strangers()))

    def _state_changed(self, seen: os.waitid_result) -> Iterator[Report]:
        os.waitid(os.P_PID, seen.si_pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
        if seen.si_pid in self._workers:
            kind = protocol.CONTINUED if seen.si_code == os.CLD_CONTINUED else protocol.STOPPED
            yield kind, self._workers[seen.si_pid], 0

    def _reaped(self, seen: os.waitid_result) -> Iterator[Report]:
        self._kept.discard(seen.si_pid)
        worker_id = self._workers.pop(seen.si_pid, None)
        if worker_id is not None:
            del self._pids[worker_id]
            yield protocol.GONE, worker_id, seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status


def _peek() -> os.waitid_result | None:
    """A child whose state changed, which is left to be collected."""
    try:
        return os.waitid(os.P_ALL, 0, _ANY_CHANGE | os.WNOWAIT)
    except ChildProcessError:
        return None


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, _ANY_CHANGE | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
