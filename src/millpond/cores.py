"""How many cores this process may use: those it may run on, or fewer where its container has a quota of their time.

Part of the vocabulary. Reads the control group's files, of version 2 and 1, from this process's own group up to the
root: the tightest quota counts.
"""

from __future__ import annotations

import math
import os

from millpond.control_groups import MOUNT, OWN, groups, read

_V1 = ("cpu", "cpu,cpuacct", "cpuacct,cpu")  # where version 1 has the controller


def cores() -> int:
    """Cores this process may use, at least 1; a quota of a part of a core counts as the whole."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, math.ceil(min(allowed, quota())))


def quota(mount: str = MOUNT, own: str = OWN) -> float:
    """Cores' worth of time that the control groups of this process give it; infinite without a bound."""
    found = groups("cpu", _V1, mount, own)
    return min((_quota_v2(group) if is_v2 else _quota_v1(group) for is_v2, group in found), default=math.inf)


def _quota_v2(group: str) -> float:
    return _share(*[*read(f"{group}/cpu.max").split(), "", ""][:2])


def _quota_v1(group: str) -> float:
    return _share(read(f"{group}/cpu.cfs_quota_us").strip(), read(f"{group}/cpu.cfs_period_us").strip())


def _share(amount: str, period: str) -> float:
    """Both in microseconds; `max`, or -1 with version 1, is no bound."""
    if not (amount.isdigit() and period.isdigit() and int(period)):
        return math.inf
    return int(amount) / int(period)
