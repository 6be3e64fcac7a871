"""How much memory is left: what the machine has available, or less where the control group of this process has a limit.

Part of the vocabulary. Reads Linux's own files, of control groups of version 2 and 1; nothing where there are none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

MOUNT = "/sys/fs/cgroup"
OWN = "/proc/self/cgroup"
MACHINE = "/proc/meminfo"


def free_bytes(mount: str = MOUNT, own: str = OWN, machine: str = MACHINE) -> int | None:
    """Bytes that may still be used; `None` where nobody says."""
    left = [*_machine(machine), *_groups(mount, own)]
    return max(0, min(left)) if left else None


def _machine(path: str) -> Iterator[int]:
    for line in _read(path).splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            yield int(amount.split()[0]) * 1024


def _groups(mount: str, own: str) -> Iterator[int]:
    """What the limit of each control group leaves, of this process's own group up to the root."""
    for line in _read(own).splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            folder, limit, used = mount, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            folder, limit, used = os.path.join(mount, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        names = group.strip("/").split("/")
        for depth in range(len(names), -1, -1):
            at = os.path.join(folder, *names[:depth])
            most, now = _number(os.path.join(at, limit)), _number(os.path.join(at, used))
            if most is not None and now is not None:
                yield most - now + _reclaimable(at)


def _reclaimable(group: str) -> int:
    """Pages of files that nobody used of late: the kernel gives them back before it refuses memory."""
    for line in _read(f"{group}/memory.stat").splitlines():
        name, _, amount = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(amount)
    return 0


def _number(path: str) -> int | None:
    """The number in a file; nothing if there is none, or `max`."""
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
