"""Whether the kernel killed for lack of memory: its counters, each compared with what it was at the last look.

A process killed for memory dies of SIGKILL and nothing says why; that a counter has risen meanwhile is a hint and no
proof. Control groups of version 2 and 1, and of the whole machine.
"""

from __future__ import annotations

from pathlib import Path

MOUNT = "/sys/fs/cgroup"
OWN = "/proc/self/cgroup"
MACHINE = "/proc/vmstat"


class OomCounters:
    """The counters as of the last look."""

    def __init__(self, mount: str = MOUNT, own: str = OWN, machine: str = MACHINE) -> None:
        self._group = [Path(mount, path) for path in _paths(own)]
        self._machine = [Path(machine)]
        self._seen = self._look()

    def hint(self) -> str:
        """What the counters show about a process that was killed since the last look; empty if they stood still."""
        (group, machine), self._seen = self._seen, self._look()
        if self._seen[0] > group:
            return "the kernel killed a process of this control group for lack of memory meanwhile, perhaps this one"
        if self._seen[1] > machine:
            return "the kernel killed a process of this machine for lack of memory meanwhile, perhaps this one"
        return ""

    def _look(self) -> tuple[int, int]:
        return max(map(_count, self._group), default=0), max(map(_count, self._machine))


def _paths(own: str) -> list[str]:
    """Where below the mount the counters of this process's own control groups are."""
    try:
        lines = Path(own).read_text().splitlines()
    except OSError:
        return []
    paths = []
    for _, controllers, group in (line.split(":", 2) for line in lines):
        if not controllers:
            paths += [f"{place}{group}/memory.events" for place in (".", "unified")]
        elif "memory" in controllers.split(","):
            paths.append(f"memory{group}/memory.oom_control")
    return [*paths, "memory.events", "memory/memory.oom_control"]


def _count(path: Path) -> int:
    """The line `oom_kill N` of a file; 0 where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
