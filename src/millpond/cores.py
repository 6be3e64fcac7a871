"""How many cores this process may use: those it may run on, or fewer where its container has a quota of their time.

Part of the vocabulary. Reads the control group's files, of version 2 and 1, from this process's own group up to the
root: the tightest quota counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

MOUNT = "/sys/fs/cgroup"
OWN = "/proc/self/cgroup"
# Where the file systems of the two versions, or of version 1's controller, are mounted below `MOUNT`.
_V2, _V1 = ("", "unified"), ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def cores() -> int:
    """Cores this process may use, at least 1; a quota of a part of a core counts as the whole."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, math.ceil(min(allowed, quota())))


def quota(mount: str = MOUNT, own: str = OWN) -> float:
    """Cores' worth of time that the control groups of this process give it; infinite without a bound."""
    return min(_quotas(mount, own), default=math.inf)


def _quotas(mount: str, own: str) -> Iterator[float]:
    for line in _read(own).splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        is_v2 = number == "0"
        if not is_v2 and "cpu" not in controllers.split(","):
            continue
        for folder in _V2 if is_v2 else _V1:
            # In a container the path may be the one outside: then only the root, which is the container's, is there.
            names = group.strip("/").split("/")
            for depth in range(len(names), -1, -1):
                yield (_quota_v2 if is_v2 else _quota_v1)(os.path.join(mount, folder, *names[:depth]))


def _quota_v2(group: str) -> float:
    return _share(*[*_read(f"{group}/cpu.max").split(), "", ""][:2])


def _quota_v1(group: str) -> float:
    return _share(_read(f"{group}/cpu.cfs_quota_us").strip(), _read(f"{group}/cpu.cfs_period_us").strip())


def _share(amount: str, period: str) -> float:
    """Both in microseconds; `max`, or -1 with version 1, is no bound."""
    if not (amount.isdigit() and period.isdigit() and int(period)):
        return math.inf
    return int(amount) / int(period)


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
