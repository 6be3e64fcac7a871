"""What a pool costs beside its calls: processor time and memory of this process and all it started.

Reads `/proc`; changes nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def descendants() -> list[int]:
    """Every process this one started, directly or not."""
    return [child.pid for child in psutil.Process(os.getpid()).children(recursive=True)]


def cpu_seconds(pids: list[int]) -> float:
    """Processor time of all threads of some processes so far, to the nanosecond (`cpu_times` counts ticks of 10 ms).

    Finding out the `pids` costs milliseconds: do that before, or it counts too.
    """
    files = [file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def proportional_mb() -> float:
    """Proportional set size of all this process started: pages that n processes share count 1/n for each."""
    total = 0
    for pid in descendants():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
