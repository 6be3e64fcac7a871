"""What the processes cost: processor, memory, descriptors, threads, zombies, and where each worker's memory goes.

Looks at a few workers at a time, in turn, so that 64 cost no more a second than eight; the proportional memory (PSS),
which the kernel adds up page by page, of one process a look. Runs on the collector's thread, never on the pool's loop.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from millpond.metrics.snapshot import ProcessFigures, Resources, Trend
from millpond.metrics.trend import NO_TREND, SURE, TrendWatch

AT_ONCE = 8  # workers a look
FAMILY_EVERY = 10  # looks between counts of children and zombies
WEIGH_EVERY_S = 10.0  # seconds between two looks at a process's PSS, at least
LEAST_TREND_S = 300.0  # a worker has to have been watched for: at first every worker grows
LEAST_GROWTH = 1024 * 1024  # bytes a worker has to have grown by before its trend counts for the pool
UNKNOWN = -1

Pids = Mapping[int, int]  # worker -> pid


@dataclass(frozen=True, slots=True)
class Seen:
    """The parent's figures and sums, and each worker's figures and trend, by the worker's id."""

    resources: Resources = field(default_factory=lambda: Resources(ProcessFigures(os.getpid())))
    processes: Mapping[int, ProcessFigures] = field(default_factory=dict)
    trends: Mapping[int, Trend] = field(default_factory=dict)


class WatchedProcess:
    """One process that is looked at again and again."""

    __slots__ = ("_at", "_process", "figures", "memory", "pss_at")

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._at = 0.0
        self.figures = ProcessFigures(pid)
        self.memory = TrendWatch()
        self.pss_at = -math.inf  # when its PSS was last asked for

    def look(self, now: float) -> None:
        """Read what is cheap. Raises `psutil.Error` if the process is gone, `OSError` if it cannot be read now."""
        with self._process.oneshot():
            times, rss = self._process.cpu_times(), self._process.memory_info().rss
            threads = self._process.num_threads()
        spent = times.user + times.system
        share = (spent - self.figures.cpu_s) / (now - self._at) if self._at and now > self._at else 0.0
        self.figures = replace(
            self.figures, cpu=max(0.0, share), cpu_s=spent, rss=rss, fds=self._fds(), threads=threads
        )
        self._at = now
        self.memory.note(now, rss)

    def weigh(self, now: float) -> None:
        """Read its PSS, where the system has it."""
        self.pss_at = now
        try:
            pss = getattr(self._process.memory_full_info(), "pss", UNKNOWN)
        except (psutil.Error, OSError, AttributeError):
            pss = UNKNOWN
        self.figures = replace(self.figures, pss=pss)

    def _fds(self) -> int:
        try:
            return self._process.num_fds()
        except (psutil.Error, OSError, AttributeError):
            return UNKNOWN


class ProcessWatch:
    """Looks at this process and at the workers'. `seen` is what was seen last; it may be read from any thread."""

    def __init__(self) -> None:
        self._parent = WatchedProcess(os.getpid())
        self._workers: dict[int, WatchedProcess] = {}
        self._turn: Iterator[int] = iter(())
        self._looks = 0
        self._family = (UNKNOWN, UNKNOWN)  # children, zombies
        self.seen = Seen()

    def look(self, now: float, workers: Pids) -> None:
        """Look at the parent and at some of the workers; one that is gone is forgotten. On one thread at a time."""
        self._meet(workers)
        self._look_at_parent(now)
        for worker in list(itertools.islice(self._turn, AT_ONCE)):
            self._try(worker, now)
        if not self._looks % FAMILY_EVERY:
            self._family = count_family(os.getpid())
        self._looks += 1
        eldest = min((self._parent, *self._workers.values()), key=lambda one: one.pss_at)
        if now >= eldest.pss_at + WEIGH_EVERY_S:
            eldest.weigh(now)
        self.seen = self._summed()

    def _look_at_parent(self, now: float) -> None:
        """Without a descriptor left nothing can be read but that: the last figures stand, and all are in use."""
        try:
            self._parent.look(now)
        except OSError as error:
            if error.errno == errno.EMFILE:
                self._parent.figures = replace(self._parent.figures, fds=max_fds())

    def _meet(self, workers: Pids) -> None:
        """Know who is there, and begin a new round when the last is over."""
        for worker in [w for w, one in self._workers.items() if workers.get(w) != one.figures.pid]:
            del self._workers[worker]
        new = [worker for worker, pid in workers.items() if pid > 0 and worker not in self._workers]
        for worker in new:
            try:
                self._workers[worker] = WatchedProcess(workers[worker])
            except (psutil.Error, ValueError, OSError):
                continue
        left = [worker for worker in self._turn if worker in self._workers]
        known = set(new)
        waiting = new + left if left else [*new, *(w for w in self._workers if w not in known)]
        self._turn = iter(waiting)

    def _try(self, worker: int, now: float) -> None:
        one = self._workers.get(worker)
        try:
            if one is not None:
                one.look(now)
        except psutil.Error:
            del self._workers[worker]
        except OSError:
            pass  # this program has no descriptors left: the last figures stand

    def _summed(self) -> Seen:
        there = dict(self._workers)
        figures = {worker: one.figures for worker, one in there.items()}
        trends = {worker: one.memory.trend for worker, one in there.items()}
        children, zombies = self._family
        resources = Resources(
            parent=self._parent.figures,
            max_fds=max_fds(),
            children=children,
            zombies=zombies,
            workers_cpu=sum(one.cpu for one in figures.values()),
            workers_rss=sum(max(0, one.rss) for one in figures.values()),
            workers_pss=sum(max(0, one.pss) for one in figures.values()),
            steepest=steepest(trends.values()),
        )
        return Seen(resources, figures, trends)


def steepest(trends: Iterable[Trend]) -> Trend:
    """Of the trends that are sure and have amounted to something, the one that grows most."""
    sure = [one for one in trends if one.confidence >= SURE and one.seconds >= LEAST_TREND_S]
    grown = [one for one in sure if one.slope * one.seconds >= LEAST_GROWTH]
    return max(grown, key=lambda one: one.slope, default=NO_TREND)


def max_fds() -> int:
    """How many descriptors this process may open; -1 if unbounded or unknown."""
    try:
        import resource
    except ImportError:
        return UNKNOWN
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else UNKNOWN


def count_family(pid: int) -> tuple[int, int]:
    """A process's descendants, and how many of them are zombies."""
    try:
        there = list(_descendants(pid))
        return len(there), sum(state == "Z" for state in there)
    except (OSError, IndexError):
        return _count_by_psutil(pid)


def _descendants(pid: int) -> Iterator[str]:
    """The states of all descendants, from Linux's own lists of children: no other process is looked at."""
    for path in Path(f"/proc/{pid}/task").iterdir():
        for child in path.joinpath("children").read_text().split():
            state = _state(int(child))
            if state:
                yield state
            if state not in ("", "Z"):
                yield from _descendants(int(child))


def _state(pid: int) -> str:
    try:
        # The state follows the name, which is in brackets and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _count_by_psutil(pid: int) -> tuple[int, int]:
    states: Sequence[str] = []
    try:
        states = [one.status() for one in psutil.Process(pid).children(recursive=True)]
    except (psutil.Error, OSError):
        return UNKNOWN, UNKNOWN
    return len(states), states.count(psutil.STATUS_ZOMBIE)
