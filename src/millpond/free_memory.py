"""How much memory is left: what the machine has available, or less where the control group of this process has a limit.

Part of the vocabulary. Reads Linux's own files, of control groups of version 2 and 1; nothing where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator

from millpond.control_groups import MOUNT, OWN, groups, read

MACHINE = "/proc/meminfo"


def free_bytes(mount: str = MOUNT, own: str = OWN, machine: str = MACHINE) -> int | None:
    """Bytes that may still be used; `None` where nobody says."""
    left = [*_machine(machine), *_groups(mount, own)]
    return max(0, min(left)) if left else None


def _machine(path: str) -> Iterator[int]:
    for line in read(path).splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            yield int(amount.split()[0]) * 1024


def _groups(mount: str, own: str) -> Iterator[int]:
    """What the limit of each control group leaves, of this process's own group up to the root."""
    for is_v2, group in groups("memory", ("memory",), mount, own):
        limit, used = ("max", "current") if is_v2 else ("limit_in_bytes", "usage_in_bytes")
        most, now = _number(f"{group}/memory.{limit}"), _number(f"{group}/memory.{used}")
        if most is not None and now is not None:
            yield most - now + _reclaimable(group)


def _reclaimable(group: str) -> int:
    """Pages of files that nobody used of late: the kernel gives them back before it refuses memory."""
    for line in read(f"{group}/memory.stat").splitlines():
        name, _, amount = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(amount)
    return 0


def _number(path: str) -> int | None:
    """The number in a file; nothing if there is none, or `max`."""
    text = read(path).strip()
    return int(text) if text.isdigit() else None
